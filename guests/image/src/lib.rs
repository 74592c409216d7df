//! The image guest: glue between `wit/image.wit`, carafe-core's `image` module and wasi-nn.
//!
//! An encoded image becomes an upright image, then the model's pixels, then labels: three exported
//! calls, so that the host can time each. All it knows comes in as arguments, all it can reach is
//! the graph that it was told to load by name.

mod bindings;
mod classifier;
mod description;
mod graph;

use bindings::exports::carafe::guests::classification::{Guest, GuestImage, GuestPixels};
use carafe_core::image;

use classifier::Classifier;

struct Component;

impl Guest for Component {
    type Image = Image;
    type Pixels = Pixels;
    type Classifier = Classifier;
}

/// A decoded image, upright, 8-bit RGB.
struct Image(image::Image);

impl GuestImage for Image {
    fn width(&self) -> u32 {
        self.0.width()
    }

    fn height(&self) -> u32 {
        self.0.height()
    }
}

/// An image in the model's size.
struct Pixels(image::Image);

impl GuestPixels for Pixels {
    fn width(&self) -> u32 {
        self.0.width()
    }

    fn height(&self) -> u32 {
        self.0.height()
    }

    fn rgb(&self) -> Vec<u8> {
        self.0.rgb().to_vec()
    }
}
