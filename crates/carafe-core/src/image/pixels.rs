//! Lays an image's colours out as the graph reads them.

use super::{Channels, Image, Layout, Normalisation, PixelValues, Preparation};

/// The graph's pixel input.
#[derive(Clone, Debug, PartialEq)]
pub struct PixelTensor {
    /// The shape, batch first.
    pub dimensions: [u32; 4],
    /// The values.
    pub bytes: TensorBytes,
}

/// The values of a pixel tensor, little-endian.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorBytes {
    /// One byte a value.
    U8(Vec<u8>),
    /// Four bytes a value.
    F32(Vec<u8>),
}

impl Preparation {
    /// The tensor of an image that has the model's size.
    pub fn tensor(&self, image: &Image) -> PixelTensor {
        let (width, height) = (image.width, image.height);
        let dimensions = match self.layout {
            Layout::Nhwc => [1, height, width, 3],
            Layout::Nchw => [1, 3, height, width],
        };
        let bytes = match self.pixels {
            PixelValues::Raw => TensorBytes::U8(self.arranged(image, |_, value| [value])),
            PixelValues::Normalised(rule) => {
                TensorBytes::F32(self.arranged(image, |colour, value| rule.apply(colour, value).to_le_bytes()))
            }
        };
        PixelTensor { dimensions, bytes }
    }

    /// What `bytes` makes of every value and the index of its colour (0 red, 1 green, 2 blue), in
    /// the tensor's order.
    fn arranged<const N: usize>(&self, image: &Image, bytes: impl Fn(usize, u8) -> [u8; N]) -> Vec<u8> {
        let order = match self.channels {
            Channels::Rgb => [0, 1, 2],
            Channels::Bgr => [2, 1, 0],
        };
        let pixels = image.rgb.as_chunks::<3>().0;
        let mut arranged = vec![0; image.rgb.len() * N];
        let places = arranged.as_chunks_mut::<N>().0;
        match self.layout {
            Layout::Nhwc => {
                for (places, pixel) in places.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
                    *places = order.map(|colour| bytes(colour, pixel[colour]));
                }
            }
            Layout::Nchw => {
                for (plane, colour) in places.chunks_exact_mut(pixels.len()).zip(order) {
                    for (place, pixel) in plane.iter_mut().zip(pixels) {
                        *place = bytes(colour, pixel[colour]);
                    }
                }
            }
        }
        arranged
    }
}

impl Normalisation {
    fn apply(&self, colour: usize, value: u8) -> f32 {
        (f32::from(value) - self.mean[colour]) / self.scale[colour]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Filter, ResizeRule};
    use super::*;

    fn tensor(layout: Layout, channels: Channels, pixels: PixelValues) -> PixelTensor {
        let (resize, filter) = (ResizeRule::Stretch, Filter::Bilinear);
        let preparation = Preparation { width: 2, height: 1, layout, channels, resize, filter, pixels };
        preparation.tensor(&Image::new(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap())
    }

    #[test]
    fn raw_pixels_keep_their_order_when_channels_are_last() {
        let made = tensor(Layout::Nhwc, Channels::Rgb, PixelValues::Raw);
        assert_eq!(made, PixelTensor { dimensions: [1, 1, 2, 3], bytes: TensorBytes::U8(vec![1, 2, 3, 4, 5, 6]) });
    }

    #[test]
    fn channels_first_gives_a_plane_for_each_colour_and_bgr_reverses_them() {
        let made = tensor(Layout::Nchw, Channels::Bgr, PixelValues::Raw);
        assert_eq!(made, PixelTensor { dimensions: [1, 3, 1, 2], bytes: TensorBytes::U8(vec![3, 6, 2, 5, 1, 4]) });
    }

    #[test]
    fn mean_and_scale_follow_their_colour_into_bgr() {
        let rule = Normalisation { mean: [1.0, 0.0, 3.0], scale: [1.0, 2.0, 4.0] };
        let made = tensor(Layout::Nhwc, Channels::Bgr, PixelValues::Normalised(rule));
        let expected: Vec<u8> = [0.0_f32, 1.0, 0.0, 0.75, 2.5, 3.0].into_iter().flat_map(f32::to_le_bytes).collect();
        assert_eq!(made.bytes, TensorBytes::F32(expected));
    }
}
