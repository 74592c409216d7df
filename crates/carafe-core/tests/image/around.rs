//! What stands around a complete picture: Exif data at every place, chunks and segments that are
//! missing, wrong or many.

use carafe_core::image::{Image, decode};

use crate::MEMORY;
use crate::files::fixture;

/// Exif data that turn an image by a quarter, with a value of type LONG.
const TURN: &[u8] = b"II*\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x06\0\0\0\0\0\0\0";

const MARK: &[u8] = b"Exif\0\0";

fn read(file: Vec<u8>) -> Image {
    decode(file, MEMORY).unwrap()
}

fn size(image: &Image) -> (u32, u32) {
    (image.width(), image.height())
}

fn with(mut file: Vec<u8>, place: usize, inserted: &[u8]) -> Vec<u8> {
    file.splice(place..place, inserted.iter().copied());
    file
}

fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
    [&[0xff, marker][..], &(payload.len() as u16 + 2).to_be_bytes(), payload].concat()
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind, data].concat();
    let crc = crc(&body);
    [&(data.len() as u32).to_be_bytes()[..], &body, &crc.to_be_bytes()].concat()
}

fn crc(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

#[test]
fn a_jpeg_is_turned_by_exif_data_before_its_first_scan_alone() {
    let exif = segment(0xe1, &[MARK, TURN].concat());
    for name in ["decode-37x23-420.jpg", "progressive-420.jpg"] {
        let file = fixture(name);
        let end = file.len() - 2;
        let upright = read(file.clone());
        let turned = read(with(file.clone(), 2, &exif));
        assert_eq!(size(&turned), (upright.height(), upright.width()), "{name}");
        assert_eq!(read(with(file, end, &exif)), upright, "{name}");
    }
}

#[test]
fn the_first_exif_segment_of_a_jpeg_counts() {
    let first = segment(0xe1, &[MARK, b"II*\0\x08\0\0\0\0\0"].concat());
    let file = fixture("decode-37x23-420.jpg");
    let both = [first, segment(0xe1, &[MARK, TURN].concat())].concat();
    assert_eq!(read(with(file.clone(), 2, &both)), read(file));
}

#[test]
fn a_png_is_turned_by_exif_data_before_its_image_and_after_it_with_their_mark_or_without() {
    let file = fixture("decode-37x23-420.png");
    let turned = [0, 6].map(|mark| read(with(file.clone(), 33, &chunk(b"eXIf", &[&MARK[..mark], TURN].concat()))));
    assert_eq!(turned.each_ref().map(size), [(23, 37); 2]);
    let end = file.len() - 12;
    assert_eq!(read(with(file, end, &chunk(b"eXIf", TURN))), turned[0]);
}

#[test]
fn a_png_whose_image_data_are_complete_needs_no_end() {
    for name in ["rgb.png", "interlaced.png", "palette.png"] {
        let file = fixture(name);
        let end = memchr::memmem::rfind(&file, b"IEND").unwrap() - 4;
        for length in end..file.len() {
            assert_eq!(read(file[..length].to_vec()), read(file.clone()), "{name} cut to {length} bytes");
        }
        assert!(decode(file[..end - 5].to_vec(), MEMORY).is_err(), "{name} cut within its data");
    }
}

#[test]
fn a_jpeg_may_have_comments_without_number() {
    let file = fixture("baseline-420.jpg");
    assert_eq!(read(with(file.clone(), 2, &segment(0xfe, b"").repeat(5000))), read(file));
}

#[test]
fn a_segment_of_a_wrong_length_after_the_last_scan_changes_nothing() {
    for marker in [0xfe, 0xe1, 0xef] {
        for name in ["baseline-420.jpg", "progressive-420.jpg"] {
            let file = fixture(name);
            let end = file.len() - 2;
            let wrong = with(file.clone(), end, &[0xff, marker, 0x10, 0, b'a', b'b']);
            assert_eq!(read(wrong.clone()), read(file), "{name}");
            assert!(decode(wrong[..wrong.len() - 2].to_vec(), MEMORY).is_err(), "{name} without its end");
        }
    }
}

#[test]
fn a_height_that_is_said_again_in_a_longer_segment_is_the_same() {
    let file = fixture("decode-37x23-420.jpg");
    let end = file.len() - 2;
    assert_eq!(read(with(file.clone(), end, &segment(0xdc, &[0, 23, 0]))), read(file));
}
