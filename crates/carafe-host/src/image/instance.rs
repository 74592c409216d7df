//! One instance of the image guest: the calls of its `classifier`, each timed and bounded.

use std::time::{Duration, Instant};

use wasmtime::Store;
use wasmtime::component::ResourceAny;

use super::{Classification, ImageError, ImageTimes, Pixels};
use crate::Error;
use crate::bindings::image::exports::carafe::guests::classification::{GuestClassifier, Model};
use crate::bindings::image::{Image, ImagePre};
use crate::guest::{Surroundings, trap};
use crate::store::{State, linker, start_call};

/// What an instance is made from, as often as one is needed.
pub(super) struct Blueprint {
    guest: ImagePre<State>,
    surroundings: Surroundings,
    model: Model,
    labels: Vec<u8>,
}

impl Blueprint {
    pub(super) fn new(surroundings: Surroundings, model: Model, labels: Vec<u8>) -> Result<Self, Error> {
        let component = surroundings.sandbox.image_guest()?;
        let linker = linker(surroundings.sandbox.engine())?;
        let guest = linker.instantiate_pre(&component).and_then(ImagePre::new).map_err(Error::engine)?;
        Ok(Self { guest, surroundings, model, labels })
    }
}

/// A running guest with its classifier. After a trap it must be dropped: wasmtime lets nobody enter it again.
pub(super) struct Instance {
    store: Store<State>,
    guest: Image,
    classifier: ResourceAny,
}

impl Instance {
    pub(super) fn open(blueprint: &Blueprint) -> Result<Self, Error> {
        let mut store = blueprint.surroundings.new_store();
        let guest = blueprint.guest.instantiate(&mut store).map_err(|error| trap(&store, &error))?;
        start_call(&mut store);
        // Half of the guest's memory is for one image while it is decoded; the rest holds the file, the pixels and the code's own.
        let memory = blueprint.surroundings.limits.guest_memory / 2;
        let classifier = guest
            .carafe_guests_classification()
            .classifier()
            .call_open(&mut store, &blueprint.model, &blueprint.labels, memory)
            .map_err(|error| trap(&store, &error))?
            .map_err(|refusal| Error::Open {
                model: blueprint.model.graph.clone(),
                message: refusal.message().to_owned(),
            })?;
        Ok(Self { store, guest, classifier })
    }

    pub(super) fn classify(&mut self, file: &[u8], top: u32) -> Result<Classification, Error> {
        let (image, decode) = self.call(|guest, store, classifier| guest.call_decode(store, classifier, file))?;
        let result = self.classify_image(image, top, decode);
        self.release(image)?;
        result
    }

    fn classify_image(&mut self, image: ResourceAny, top: u32, decode: Duration) -> Result<Classification, Error> {
        let (pixels, resize) = self.call(|guest, store, classifier| guest.call_resize(store, classifier, image))?;
        let result = self.classify_pixels(image, pixels, top);
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
    ) -> Result<(Classification, Duration), Error> {
        let (labels, model) =
            self.call(|guest, store, classifier| guest.call_classify(store, classifier, pixels, top))?;
        let (width, height, pixels) = self.describe(image, pixels).map_err(|error| trap(&self.store, &error))?;
        let guest_memory = self.store.data().memory.high_water();
        let times = ImageTimes::default();
        Ok((Classification { labels, width, height, pixels, times, guest_memory }, model))
    }

    /// One timed call of the classifier.
    fn call<T>(
        &mut self,
        call: impl FnOnce(GuestClassifier<'_>, &mut Store<State>, ResourceAny) -> wasmtime::Result<Result<T, ImageError>>,
    ) -> Result<(T, Duration), Error> {
        start_call(&mut self.store);
        let guest = self.guest.carafe_guests_classification().classifier();
        let started = Instant::now();
        let answer = call(guest, &mut self.store, self.classifier);
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
