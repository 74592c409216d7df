//! An image model's manifest in the guest's words.

use carafe_models::manifest::{self, Image};
use carafe_tensor::Role;

use crate::Error;
use crate::bindings::image::exports::carafe::guests::classification::{
    Channels, Filter, Layout, Model, Normalisation, PixelValues, Quantisation, ResizeRule, ScoreScale,
};
use crate::load::LoadedGraph;

pub(super) fn model(model: &LoadedGraph) -> Result<Model, Error> {
    let image = model.image()?;
    Ok(Model {
        graph: model.name().to_owned(),
        input: model.tensor_name(Role::Pixels),
        output: model.tensor_name(Role::Scores),
        width: image.width,
        height: image.height,
        layout: match image.layout {
            manifest::Layout::Nhwc => Layout::Nhwc,
            manifest::Layout::Nchw => Layout::Nchw,
        },
        channels: match image.channels {
            manifest::Channels::Rgb => Channels::Rgb,
            manifest::Channels::Bgr => Channels::Bgr,
        },
        resize: image.resize_side.map_or(ResizeRule::Stretch, ResizeRule::Crop),
        filter: match image.filter {
            manifest::Filter::Bilinear => Filter::Bilinear,
            manifest::Filter::Bicubic => Filter::Bicubic,
        },
        pixels: pixel_values(image),
        scores: score_scale(image),
        label_offset: image.label_offset,
    })
}

fn pixel_values(image: &Image) -> PixelValues {
    match (image.mean, image.scale) {
        (Some(mean), Some(scale)) => PixelValues::Normalised(Normalisation { mean: mean.into(), scale: scale.into() }),
        _ => PixelValues::Raw,
    }
}

fn score_scale(image: &Image) -> ScoreScale {
    // The manifest's rules give quantised scores both numbers.
    let quantisation = Quantisation {
        scale: image.score_scale.unwrap_or(1.0),
        zero_point: image.score_zero_point.unwrap_or_default(),
    };
    match image.scores {
        manifest::Scores::Logits => ScoreScale::Logits,
        manifest::Scores::Probabilities => ScoreScale::Probabilities,
        manifest::Scores::QuantisedLogits => ScoreScale::QuantisedLogits(quantisation),
        manifest::Scores::QuantisedProbabilities => ScoreScale::QuantisedProbabilities(quantisation),
    }
}
