//! Decoding stays within the memory that its header was judged by. In a process of its own: every
//! allocation counts.

#![cfg(feature = "image")]

use std::sync::{Mutex, MutexGuard};

use carafe_core::image::{Channels, Error, Filter, Image, Layout, PixelValues, Preparation, ResizeRule, decode};
use peak_alloc::PeakAlloc;

#[path = "image/encoder.rs"]
mod encoder;

use encoder::Jpeg;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// What a refusal may allocate: the decoders' own state and a sentence.
const REFUSAL: u64 = 1 << 20;

/// Held by each test: what another allocates would count as well.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The result, and the most bytes allocated at once beside those of before.
fn peak<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let result = work();
    (result, (ALLOCATED.peak_usage() - before) as u64)
}

fn needed(result: Result<Image, Error>) -> u64 {
    match result {
        Err(Error::TooLarge { needed, .. }) => needed,
        other => panic!("a budget of 0 gave {other:?}"),
    }
}

fn jpeg(sampling: &[encoder::Sampling], progressive: bool) -> Vec<u8> {
    Jpeg { progressive, ..description(sampling) }.encode()
}

fn description(sampling: &[encoder::Sampling]) -> Jpeg<'_> {
    let level = &|component, x, y| (x + y) as i32 % 200 + component as i32;
    Jpeg { sampling, width: 1501, height: 1203, progressive: false, one_scan_each: false, level }
}

/// A JPEG that says it is to be turned by a quarter.
fn turned(jpeg: &[u8]) -> Vec<u8> {
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    [&jpeg[..2], exif, &jpeg[2..]].concat()
}

fn png(width: u32, height: u32, colour: png::ColorType, depth: png::BitDepth) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    let mut writer = encoder.write_header().unwrap();
    let bytes = colour.samples() * width as usize * height as usize * depth as usize / 8;
    writer.write_image_data(&vec![77; bytes]).unwrap();
    writer.finish().unwrap();
    file
}

fn bmp(width: i32, height: i32, bits: u16) -> Vec<u8> {
    let palette = if bits <= 8 { 4 << bits } else { 0 };
    let pixels = (width as usize * usize::from(bits)).div_ceil(8).next_multiple_of(4) * height as usize;
    let mut file = b"BM".to_vec();
    file.extend([0; 8]);
    file.extend((54_u32 + palette).to_le_bytes());
    file.extend(40_u32.to_le_bytes());
    file.extend(width.to_le_bytes());
    file.extend(height.to_le_bytes());
    file.extend([1, 0]);
    file.extend(bits.to_le_bytes());
    file.resize(54 + palette as usize + pixels, 0);
    file
}

#[test]
fn decoding_stays_within_what_the_header_was_judged_by() {
    let _alone = alone();
    use png::{BitDepth, ColorType};
    let three = [(2, 2), (1, 1), (1, 1)];
    let files = [
        ("baseline 4:4:4", jpeg(&[(1, 1); 3], false)),
        ("baseline 4:2:0", jpeg(&three, false)),
        ("baseline 4:2:0, turned", turned(&jpeg(&three, false))),
        ("baseline 4:1:1", jpeg(&[(4, 1), (1, 1), (1, 1)], false)),
        ("progressive 4:4:4", jpeg(&[(1, 1); 3], true)),
        ("progressive 4:2:0", jpeg(&three, true)),
        ("progressive 4:2:0, turned", turned(&jpeg(&three, true))),
        ("progressive, four colours", jpeg(&[(1, 1); 4], true)),
        ("baseline 4:4:0", jpeg(&[(1, 2), (1, 1), (1, 1)], false)),
        ("baseline, four colours", jpeg(&[(2, 2), (1, 1), (1, 1), (2, 2)], false)),
        ("a scan for each component", Jpeg { one_scan_each: true, ..description(&three) }.encode()),
        ("a scan for each component, turned", turned(&Jpeg { one_scan_each: true, ..description(&three) }.encode())),
        ("grey JPEG", jpeg(&[(1, 1)], false)),
        ("PNG", png(1500, 1200, ColorType::Rgb, BitDepth::Eight)),
        ("grey PNG", png(1500, 1200, ColorType::Grayscale, BitDepth::Eight)),
        ("transparent 16-bit PNG", png(1500, 1200, ColorType::Rgba, BitDepth::Sixteen)),
        ("PNG of one row", png(600_000, 1, ColorType::Rgba, BitDepth::Sixteen)),
        ("PNG of one column", png(1, 600_000, ColorType::Rgb, BitDepth::Eight)),
        ("BMP", bmp(1501, 1200, 24)),
        ("8-bit BMP", bmp(1501, 1200, 8)),
        ("1-bit BMP", bmp(1501, 1200, 1)),
        ("32-bit BMP", bmp(1501, 1200, 32)),
    ];
    for (name, file) in files {
        let copy = file.clone();
        let (refused, refusal) = peak(|| decode(copy, 0));
        let needed = needed(refused);
        assert!(refusal < REFUSAL, "{name}: the refusal allocated {refusal} bytes");

        let copy = file.clone();
        let (image, peak) = peak(|| decode(copy, needed));
        image.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(peak <= needed, "{name}: {peak} bytes at the peak, {needed} were judged");
        assert!(peak * 3 >= needed, "{name}: {needed} bytes were judged, {peak} used");
        assert!(decode(file, needed - 1).is_err(), "{name}");
    }
}

/// Numbers that look drawn, the same each time (Knuth's constants).
fn drawn(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

#[test]
fn a_damaged_file_stays_within_what_its_header_was_judged_by() {
    let _alone = alone();
    let three = [(2, 2), (1, 1), (1, 1)];
    let small = |progressive, one_scan_each| {
        Jpeg { width: 301, height: 203, progressive, one_scan_each, ..description(&three) }.encode()
    };
    let files = [small(false, false), small(true, false), small(false, true), bmp(301, 203, 8), bmp(301, 203, 32)];
    let (mut state, mut judged) = (1, 0);
    for round in 0..1500 {
        let mut file = files[round % files.len()].clone();
        // Every other one near the start, where the headers are.
        let length = if round % 2 == 0 { file.len() } else { 250 };
        for _ in 0..=round % 3 {
            let place = drawn(&mut state) % length;
            file[place] = drawn(&mut state) as u8;
        }
        let Err(Error::TooLarge { needed, .. }) = decode(file.clone(), 0) else { continue };
        if needed > 64 << 20 {
            continue;
        }
        let (_, peak) = peak(|| decode(file, needed));
        assert!(peak <= needed, "round {round}: {peak} bytes at the peak, {needed} were judged");
        judged += 1;
    }
    assert!(judged > 500, "only {judged} files were judged");
}

#[test]
fn metadata_takes_no_memory() {
    let _alone = alone();
    let image = jpeg(&[(1, 1); 3], false);
    let comment =
        [b"\xff\xe1\xff\xff".as_slice(), b"http://ns.adobe.com/xmp/extension/\0", &[b'x'; 0xffff - 37]].concat();
    let file = [&image[..2], &comment.repeat(200), &image[2..]].concat();
    let needed = needed(decode(image, 0));
    let (image, peak) = peak(|| decode(file, needed));
    image.unwrap();
    assert!(peak <= needed, "{peak} bytes at the peak, {needed} were judged");
}

#[test]
fn resizing_stays_within_its_memory_and_refuses_shapes_that_would_not() {
    let _alone = alone();
    let preparation = Preparation {
        width: 224,
        height: 224,
        layout: Layout::Nhwc,
        channels: Channels::Rgb,
        resize: ResizeRule::Crop(256),
        filter: Filter::Bicubic,
        pixels: PixelValues::Raw,
    };
    let image = Image::black(3000, 500);
    let needed = needed(preparation.resize(&image, 0));
    let (resized, peak) = peak(|| preparation.resize(&image, needed));
    assert_eq!(resized.unwrap().width(), 224);
    let held = image.rgb().len() as u64;
    assert!(peak + held <= needed, "{peak} bytes at the peak beside {held}, {needed} were judged");

    // 256 x 51 million pixels on the way
    let column = Image::black(1, 200_000);
    let refusal = preparation.resize(&column, 128 << 20).unwrap_err().to_string();
    assert!(refusal.starts_with("resizing an image of 1 x 200000 pixels"), "{refusal}");
}
