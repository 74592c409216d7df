//! One instance of the image guest: the calls of its `classifier`, each timed and bounded.

use std::time::{Duration, Instant};

use wasmtime::Store;
use wasmtime::component::ResourceAny;

use super::{Classification, ImageError, ImageTimes, Pixels, description};
use crate::Error;
use crate::bindings::image::exports::carafe::guests::classification::{GuestClassifier, Model};
use crate::bindings::image::{Image, ImagePre};
use crate::guest::{GuestConfig, Instance, trap};
use crate::load::LoadedGraph;
use crate::nn::linker;
use crate::store::{State, start_call};

/// What an instance is made from, as often as one is needed.
pub(super) struct ImageTemplate {
    guest: ImagePre<State>,
    config: GuestConfig,
    model: Model,
    /// Name of the graph for images among others, if it is another one.
    side_by_side: Option<String>,
    labels: Vec<u8>,
}

impl ImageTemplate {
    pub(super) fn new(config: GuestConfig, loaded: &LoadedGraph) -> Result<Self, Error> {
        let component = config.sandbox.image_guest()?;
        let linker = linker(config.sandbox.engine())?;
        let guest = linker.instantiate_pre(&component).and_then(ImagePre::new).map_err(Error::engine)?;
        let (model, labels) = (description::model(loaded)?, loaded.labels()?);
        Ok(Self { guest, config, model, side_by_side: loaded.side_by_side_name(), labels })
    }
}

/// A running guest with its classifiers. After a trap it must be dropped: wasmtime lets nobody
/// enter it again.
pub(super) struct ImageInstance {
    store: Store<State>,
    guest: Image,
    /// Its graph has all threads for one image.
    alone: ResourceAny,
    /// Its graph has one thread an image; the same as `alone` where there is one graph.
    side_by_side: ResourceAny,
}

/// How many images share the processors.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    One,
    Several,
}

impl Instance for ImageInstance {
    type Template = ImageTemplate;

    const KIND: &str = "image";

    fn open(template: &ImageTemplate) -> Result<Self, Error> {
        let mut store = template.config.new_store();
        let guest = template.guest.instantiate(&mut store).map_err(|error| trap(&store, &error))?;
        let alone = open_classifier(template, &guest, &mut store, &template.model)?;
        let side_by_side = match &template.side_by_side {
            Some(graph) => {
                let model = Model { graph: graph.clone(), ..template.model.clone() };
                open_classifier(template, &guest, &mut store, &model)?
            }
            None => alone,
        };
        Ok(Self { store, guest, alone, side_by_side })
    }

    fn memory(&self) -> u64 {
        self.store.data().memory.high_water()
    }
}

impl ImageInstance {
    /// Classifies a file. `load` is asked when the graph is to run: by then other images may
    /// have come or gone.
    pub(super) fn classify(
        &mut self,
        file: &[u8],
        top: u32,
        load: impl FnOnce() -> Load,
    ) -> Result<Classification, Error> {
        let alone = self.alone;
        let (image, decode) = self.call(|guest, store| guest.call_decode(store, alone, file))?;
        let result = self.classify_image(image, top, decode, load);
        self.release(image)?;
        result
    }

    fn classify_image(
        &mut self,
        image: ResourceAny,
        top: u32,
        decode: Duration,
        load: impl FnOnce() -> Load,
    ) -> Result<Classification, Error> {
        let alone = self.alone;
        let (pixels, resize) = self.call(|guest, store| guest.call_resize(store, alone, image))?;
        let result = self.classify_pixels(image, pixels, top, load());
        self.release(pixels)?;
        let (mut classification, model) = result?;
        classification.times = ImageTimes { decode, resize, model, ..ImageTimes::default() };
        Ok(classification)
    }

    fn classify_pixels(
        &mut self,
        image: ResourceAny,
        pixels: ResourceAny,
        top: u32,
        load: Load,
    ) -> Result<(Classification, Duration), Error> {
        let classifier = match load {
            Load::One => self.alone,
            Load::Several => self.side_by_side,
        };
        let (labels, model) = self.call(|guest, store| guest.call_classify(store, classifier, pixels, top))?;
        let (width, height, pixels) = self.describe(image, pixels).map_err(|error| trap(&self.store, &error))?;
        let guest_memory = self.memory();
        let times = ImageTimes::default();
        Ok((Classification { labels, width, height, pixels, times, guest_memory }, model))
    }

    /// One timed call of the classifier.
    fn call<T>(
        &mut self,
        call: impl FnOnce(GuestClassifier<'_>, &mut Store<State>) -> wasmtime::Result<Result<T, ImageError>>,
    ) -> Result<(T, Duration), Error> {
        start_call(&mut self.store);
        let guest = self.guest.carafe_guests_classification().classifier();
        let started = Instant::now();
        let answer = call(guest, &mut self.store);
        let time = started.elapsed();
        Ok((answer.map_err(|error| trap(&self.store, &error))?.map_err(Error::Image)?, time))
    }

    /// Size of the image, and what the model saw of it.
    fn describe(&mut self, image: ResourceAny, pixels: ResourceAny) -> wasmtime::Result<(u32, u32, Pixels)> {
        start_call(&mut self.store);
        let interface = self.guest.carafe_guests_classification();
        let (of_image, of_pixels, store) = (interface.image(), interface.pixels(), &mut self.store);
        let pixels = Pixels {
            width: of_pixels.call_width(&mut *store, pixels)?,
            height: of_pixels.call_height(&mut *store, pixels)?,
            rgb: of_pixels.call_rgb(&mut *store, pixels)?,
        };
        Ok((of_image.call_width(&mut *store, image)?, of_image.call_height(&mut *store, image)?, pixels))
    }

    /// Lets the guest free what it holds behind a handle.
    fn release(&mut self, resource: ResourceAny) -> Result<(), Error> {
        start_call(&mut self.store);
        resource.resource_drop(&mut self.store).map_err(|error| trap(&self.store, &error))
    }
}

fn open_classifier(
    template: &ImageTemplate,
    guest: &Image,
    store: &mut Store<State>,
    model: &Model,
) -> Result<ResourceAny, Error> {
    start_call(store);
    // Half of the guest's memory is for one image while it is decoded; the rest holds the file, the
    // pixels and the code's own.
    let memory = template.config.limits.guest_memory / 2;
    let classifier = guest.carafe_guests_classification().classifier();
    let opened = classifier.call_open(&mut *store, model, &template.labels, memory);
    opened
        .map_err(|error| trap(store, &error))?
        .map_err(|refusal| Error::Open { model: template.model.graph.clone(), message: refusal.message().to_owned() })
}
