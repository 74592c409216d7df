//! The image guest on the stock `wasmtime-wasi-nn`: it is a standard wasi-nn program, and no
//! private door to our host is in it. (The text guest speaks standard wasi-nn too, but its graph
//! has a KV cache that only our host binds; docs/sandbox.md.)

use std::fs;

use carafe_e2e::{root, runtime};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::error::Context;
use wasmtime::{Engine, Error, Result, Store};
use wasmtime_wasi_nn::wit::{WasiNnCtx, WasiNnView};

/// The image guest's world, bound anew: nothing of our host is used.
mod image {
    wasmtime::component::bindgen!({ path: "../../wit", world: "carafe:guests/image" });
}

/// What the stock host keeps beside a guest.
struct State {
    table: ResourceTable,
    nn: WasiNnCtx,
}

/// A store of the stock host with one model, and its linker: wasi-nn and nothing else.
fn stock(folder: &str) -> Result<(Linker<State>, Store<State>)> {
    // The stock host reaches OpenVINO by its C library, which lies beside the one that ours has
    // loaded.
    let library = runtime().map_err(words)?.library_path().to_owned();
    let name = library.file_name().and_then(|name| name.to_str()).context("a name in UTF-8")?;
    let name = name.replace("libopenvino.", "libopenvino_c.");
    openvino_sys::library::load_from(library.with_file_name(name)).map_err(Error::msg)?;
    let path = root().join(folder).to_str().context("a path in UTF-8")?.to_owned();
    let (backends, registry) = wasmtime_wasi_nn::preload(&[("openvino".to_owned(), path)])?;
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi_nn::wit::add_to_linker(&mut linker, |state: &mut State| {
        WasiNnView::new(&mut state.table, &mut state.nn)
    })?;
    let state = State { table: ResourceTable::new(), nn: WasiNnCtx::new(backends, registry) };
    Ok((linker, Store::new(&engine, state)))
}

/// An error of our own crates in the stock host's terms.
fn words(error: anyhow::Error) -> Error {
    Error::msg(format!("{error:#}"))
}

fn component(linker: &Linker<State>, guest: &str) -> Result<Component> {
    Component::from_file(linker.engine(), root().join(format!("guests/built/{guest}.wasm")))
}

#[test]
fn the_image_guest_sees_the_same_on_the_stock_host() -> Result<()> {
    use image::exports::carafe::guests::classification as wit;
    let (linker, mut store) = stock("models/mobilenet-v2")?;
    let guest = image::Image::instantiate(&mut store, &component(&linker, "image")?, &linker)?;
    let interface = guest.carafe_guests_classification();
    let labels = fs::read(root().join("models/mobilenet-v2/labels.txt"))?;
    let model = image_model("models/mobilenet-v2")?;
    let classifier = interface.classifier();
    let opened = classifier.call_open(&mut store, &model, &labels, 128 << 20)?;
    let opened = opened.map_err(|error| Error::msg(format!("{error:?}")))?;
    let file = fs::read(root().join("images/parrot.jpg"))?;
    let refused = |error: wit::Error| Error::msg(format!("{error:?}"));
    let image = classifier.call_decode(&mut store, opened, &file)?.map_err(refused)?;
    let pixels = classifier.call_resize(&mut store, opened, image)?.map_err(refused)?;
    let labels = classifier.call_classify(&mut store, opened, pixels, 1)?.map_err(refused)?;
    assert!(labels[0].text.contains("macaw"), "{labels:?}");
    Ok(())
}

/// The bundled classifier's manifest in the guest's words.
fn image_model(folder: &str) -> Result<image::exports::carafe::guests::classification::Model> {
    use image::exports::carafe::guests::classification as wit;
    let folder = carafe_models::ModelFolder::open(&root().join(folder))?;
    let manifest = folder.manifest();
    let image = manifest.image.as_ref().context("an image model")?;
    let quantisation = wit::Quantisation {
        scale: image.score_scale.context("a quantised output")?,
        zero_point: image.score_zero_point.context("a quantised output")?,
    };
    Ok(wit::Model {
        graph: manifest.name.clone(),
        input: manifest.inputs[0].name.clone(),
        output: manifest.outputs[0].name.clone(),
        width: image.width,
        height: image.height,
        layout: wit::Layout::Nhwc,
        channels: wit::Channels::Rgb,
        resize: wit::ResizeRule::Stretch,
        filter: wit::Filter::Bilinear,
        pixels: wit::PixelValues::Raw,
        scores: wit::ScoreScale::QuantisedProbabilities(quantisation),
        label_offset: image.label_offset,
    })
}
