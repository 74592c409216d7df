//! What a model wants of an image, as its manifest says it: size, resize rule, filter, colour
//! order, layout and values.

use super::Error;

/// The longest side a model may ask for; far beyond any classifier, and it keeps every later
/// product small.
const LONGEST_SIDE: u32 = 4096;

/// How an image becomes the graph's input.
#[derive(Clone, Debug)]
pub struct Preparation {
    /// Width of the graph's input.
    pub width: u32,
    /// Height of the graph's input.
    pub height: u32,
    /// Order of the input's axes.
    pub layout: Layout,
    /// Order of the colours.
    pub channels: Channels,
    /// How an image of any shape becomes `width` x `height`.
    pub resize: ResizeRule,
    /// Convolution used for scaling.
    pub filter: Filter,
    /// What the graph is given for each colour value.
    pub pixels: PixelValues,
}

/// Order of the axes of the pixel tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[1, height, width, 3]`.
    Nhwc,
    /// `[1, 3, height, width]`.
    Nchw,
}

/// Order of the colours of one pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// How an image of any shape becomes the model's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeRule {
    /// Both sides are scaled on their own.
    Stretch,
    /// The shorter side is scaled to this many pixels and the longer one in proportion (rounded
    /// down), then the centre is cut out (an odd remainder leaves the smaller part left and above).
    Crop(u32),
}

/// Convolution filters; their support grows when an image shrinks, as in Pillow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// A triangle, 1 pixel to each side.
    Bilinear,
    /// Cubic with a = -0.5, 2 pixels to each side.
    Bicubic,
}

/// What the graph is given for each colour value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PixelValues {
    /// The value itself, one byte.
    Raw,
    /// `(value - mean) / scale` as f32.
    Normalised(Normalisation),
}

/// Mean and scale of red, green and blue, whatever the order of the channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// Taken from each value.
    pub mean: [f32; 3],
    /// What the difference is divided by.
    pub scale: [f32; 3],
}

impl Preparation {
    /// Checks that the numbers make sense together; the other methods expect it.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] naming the number.
    pub fn check(&self) -> Result<(), Error> {
        let (width, height) = (self.width, self.height);
        if !(1..=LONGEST_SIDE).contains(&width) || !(1..=LONGEST_SIDE).contains(&height) {
            return Err(Error::model(format!(
                "the model's size is {width} x {height}, each side must be from 1 to {LONGEST_SIDE}"
            )));
        }
        if let ResizeRule::Crop(side) = self.resize
            && !(width.max(height)..=LONGEST_SIDE).contains(&side)
        {
            let least = width.max(height);
            return Err(Error::model(format!(
                "the model's `resize_side` is {side}, it must be from {least} to {LONGEST_SIDE}"
            )));
        }
        match self.pixels {
            PixelValues::Normalised(normalisation) => normalisation.check(),
            PixelValues::Raw => Ok(()),
        }
    }
}

impl Normalisation {
    fn check(&self) -> Result<(), Error> {
        let finite = self.mean.iter().chain(&self.scale).all(|value| value.is_finite());
        if !finite || self.scale.contains(&0.0) {
            let Self { mean, scale } = self;
            return Err(Error::model(format!(
                "the model's `mean` {mean:?} and `scale` {scale:?} must be finite, and `scale` not 0"
            )));
        }
        Ok(())
    }
}
