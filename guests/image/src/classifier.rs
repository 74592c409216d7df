//! One image model, ready to classify.

use carafe_core::image::{self, Labels, Preparation, ScoreScale};

use crate::bindings::exports::carafe::guests::classification::{
    self as exported, Error, GuestClassifier, ImageBorrow, Label, Model, PixelsBorrow,
};
use crate::graph::Graph;
use crate::{Image, Pixels};

/// A model's description, its labels and its graph, checked against one another.
pub(crate) struct Classifier {
    preparation: Preparation,
    scores: ScoreScale,
    labels: Labels,
    graph: Graph,
    memory: u64,
}

impl Classifier {
    fn new(model: Model, labels: &[u8], memory: u64) -> Result<Self, Error> {
        let preparation = Preparation::from(&model);
        let scores = ScoreScale::from(model.scores);
        preparation.check()?;
        scores.check()?;
        let labels = Labels::parse(labels, model.label_offset)?;
        let graph = Graph::load(&model.graph, model.input, model.output)?;
        let classifier = Self { preparation, scores, labels, graph, memory };
        classifier.check_labels()?;
        Ok(classifier)
    }

    /// Computes a black image: only its scores tell how many labels there must be.
    fn check_labels(&self) -> Result<(), Error> {
        let black = image::Image::black(self.preparation.width, self.preparation.height);
        let scores = self.graph.compute(&self.preparation.tensor(&black))?;
        Ok(self.labels.check(self.scores.count(&scores))?)
    }

    fn labels(&self, pixels: &image::Image, k: usize) -> Result<Vec<Label>, Error> {
        let scores = self.graph.compute(&self.preparation.tensor(pixels))?;
        let top = self.scores.top(&scores, k)?;
        Ok(top.into_iter().map(|ranked| self.label(ranked)).collect())
    }

    fn label(&self, ranked: image::Ranked) -> Label {
        let text = self.labels.text(ranked.index).unwrap_or_default().to_owned();
        Label { index: ranked.index as u32, text, probability: ranked.probability }
    }
}

impl GuestClassifier for Classifier {
    fn open(model: Model, labels: Vec<u8>, memory: u64) -> Result<exported::Classifier, Error> {
        Self::new(model, &labels, memory).map(exported::Classifier::new)
    }

    fn decode(&self, bytes: Vec<u8>) -> Result<exported::Image, Error> {
        let image = image::decode(bytes, self.memory)?;
        Ok(exported::Image::new(Image(image)))
    }

    fn resize(&self, image: ImageBorrow<'_>) -> Result<exported::Pixels, Error> {
        let pixels = self.preparation.resize(&image.get::<Image>().0, self.memory)?;
        Ok(exported::Pixels::new(Pixels(pixels)))
    }

    fn classify(&self, pixels: PixelsBorrow<'_>, k: u32) -> Result<Vec<Label>, Error> {
        self.labels(&pixels.get::<Pixels>().0, k as usize)
    }
}
