//! The model's description and errors, between the words of `wit/image.wit` and those of
//! carafe-core. They mean the same.

use carafe_core::image;

use crate::bindings::exports::carafe::guests::classification::{
    Channels, Error, Filter, Layout, Model, PixelValues, Quantisation, ResizeRule, ScoreScale,
};

impl From<&Model> for image::Preparation {
    fn from(model: &Model) -> Self {
        Self {
            width: model.width,
            height: model.height,
            layout: match model.layout {
                Layout::Nhwc => image::Layout::Nhwc,
                Layout::Nchw => image::Layout::Nchw,
            },
            channels: match model.channels {
                Channels::Rgb => image::Channels::Rgb,
                Channels::Bgr => image::Channels::Bgr,
            },
            resize: match model.resize {
                ResizeRule::Stretch => image::ResizeRule::Stretch,
                ResizeRule::Crop(side) => image::ResizeRule::Crop(side),
            },
            filter: match model.filter {
                Filter::Bilinear => image::Filter::Bilinear,
                Filter::Bicubic => image::Filter::Bicubic,
            },
            pixels: match model.pixels {
                PixelValues::Raw => image::PixelValues::Raw,
                PixelValues::Normalised(rule) => image::PixelValues::Normalised(image::Normalisation {
                    mean: rule.mean.into(),
                    scale: rule.scale.into(),
                }),
            },
        }
    }
}

impl From<ScoreScale> for image::ScoreScale {
    fn from(scale: ScoreScale) -> Self {
        match scale {
            ScoreScale::Logits => Self::Logits,
            ScoreScale::Probabilities => Self::Probabilities,
            ScoreScale::QuantisedLogits(steps) => Self::QuantisedLogits(steps.into()),
            ScoreScale::QuantisedProbabilities(steps) => Self::QuantisedProbabilities(steps.into()),
        }
    }
}

impl From<Quantisation> for image::Quantisation {
    fn from(steps: Quantisation) -> Self {
        Self { scale: steps.scale, zero_point: steps.zero_point }
    }
}

impl From<image::Error> for Error {
    fn from(error: image::Error) -> Self {
        let text = error.to_string();
        match error {
            image::Error::InvalidImage { .. } => Self::InvalidImage(text),
            image::Error::FileTooLarge { .. } | image::Error::TooLarge { .. } => Self::TooLarge(text),
            image::Error::Unsupported { .. } => Self::Unsupported(text),
            image::Error::InvalidArgument { .. } => Self::InvalidArgument(text),
            _ => Self::Model(text),
        }
    }
}
