//! From an image file to labels: everything an image guest computes around its graph.
//!
//! The way of one image: [`decode`](decode()) turns the file into an upright 8-bit RGB [`Image`];
//! [`Preparation::resize`] brings it to the size that the model wants; [`Preparation::tensor`] lays
//! its colours out as the graph reads them. Of the graph's answer [`ScoreScale::top`] makes ranked
//! probabilities, and [`Labels`] gives them names.
//!
//! Files are not trusted: a file is judged by its header against a memory budget before anything of
//! its declared size is allocated, and every refusal is an [`Error`] in words. The module knows
//! nothing of graphs, wasi-nn or model folders.

mod decode;
mod error;
mod labels;
mod pixels;
mod preparation;
mod resize;
mod scores;
mod vectors;

pub use decode::{FILE_LIMIT, decode};
pub use error::Error;
pub use labels::Labels;
pub use pixels::{PixelTensor, TensorBytes};
pub use preparation::{Channels, Filter, Layout, Normalisation, PixelValues, Preparation, ResizeRule};
pub use scores::{Quantisation, Ranked, ScoreScale};

/// An upright 8-bit RGB image: 3 bytes (red, green, blue) a pixel, row by row, without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Image {
    /// An image of `width` x `height` pixels; `None` unless both are at least 1 and `rgb` holds 3
    /// bytes for each pixel.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Option<Self> {
        let whole = width > 0 && height > 0 && rgb.len() as u64 == rgb_bytes(width, height);
        whole.then_some(Self { width, height, rgb })
    }

    /// A black image; a side of 0 counts as 1.
    pub fn black(width: u32, height: u32) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        Self { width, height, rgb: vec![0; width as usize * height as usize * 3] }
    }

    /// Pixels in a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The colours: red, green, blue, pixel after pixel, row after row.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}

/// Bytes of an RGB image of this size; the product of two 32-bit sides fits, three times it may
/// not.
fn rgb_bytes(width: u32, height: u32) -> u64 {
    (u64::from(width) * u64::from(height)).saturating_mul(3)
}
