//! Brings decoded samples to RGB inside the buffer that holds them, so that no second image is ever
//! alive.
//!
//! Grey and transparency only; the decoders themselves resolve palettes, ink and luma. Where pixels
//! grow (grey to RGB) the walk goes from the end to the start, where they shrink from the start to
//! the end: either way what is read was not yet overwritten.

/// The samples of one pixel, 8 bits each.
#[derive(Clone, Copy)]
pub(super) enum Samples {
    Grey,
    GreyAlpha,
    Rgb,
    RgbAlpha,
}

impl Samples {
    /// Bytes a pixel.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::RgbAlpha => 4,
        }
    }

    fn rgb(self, pixel: &[u8]) -> [u8; 3] {
        match (self, pixel) {
            (Self::Grey, &[grey]) => [grey; 3],
            (Self::GreyAlpha, &[grey, alpha]) => [over_white(grey, alpha); 3],
            (Self::Rgb, &[red, green, blue]) => [red, green, blue],
            (Self::RgbAlpha, &[red, green, blue, alpha]) => [red, green, blue].map(|colour| over_white(colour, alpha)),
            _ => [0; 3],
        }
    }
}

/// A colour of this opacity on a white page, rounded to the nearest.
pub(super) fn over_white(colour: u8, alpha: u8) -> u8 {
    let (colour, alpha) = (u32::from(colour), u32::from(alpha));
    let sum = colour * alpha + 255 * (255 - alpha);
    u8::try_from((sum + 127) / 255).unwrap_or(u8::MAX)
}

/// Makes `pixels` pixels of `samples`, which lie at the start of `buffer`, RGB. The buffer has room
/// for the larger of the two.
pub(super) fn to_rgb(mut buffer: Vec<u8>, pixels: usize, samples: Samples) -> Vec<u8> {
    let width = samples.bytes();
    let mut convert = |index: usize| {
        let colours = samples.rgb(&buffer[index * width..(index + 1) * width]);
        buffer[index * 3..index * 3 + 3].copy_from_slice(&colours);
    };
    match samples {
        Samples::Rgb => {}
        Samples::RgbAlpha => (0..pixels).for_each(&mut convert),
        Samples::Grey | Samples::GreyAlpha => (0..pixels).rev().for_each(&mut convert),
    }
    // Not shrunk: that may copy.
    buffer.truncate(pixels * 3);
    buffer
}
