//! Our guests on the stock `wasmtime-wasi-nn`: they are standard wasi-nn programs, and no private door to our host is in them.

use std::fs;

use carafe_e2e::{collect, greedy, load, root, runtime};
use carafe_host::text::TextModel;
use carafe_host::{Limits, Sandbox};
use carafe_openvino::Profile;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::error::Context;
use wasmtime::{Engine, Error, Result, Store};
use wasmtime_wasi_nn::wit::{WasiNnCtx, WasiNnView};

use text::exports::carafe::guests::generation::{EventKind, Model, Prompt, Request, Sampling, TensorNames};

/// The text guest's world, bound anew: nothing of our host is used.
mod text {
    wasmtime::component::bindgen!({ path: "../../wit", world: "carafe:guests/text" });
}

/// The image guest's world, likewise.
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
    // The stock host reaches OpenVINO by its C library, which lies beside the one that ours has loaded.
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
fn the_text_guest_writes_the_same_text_on_the_stock_host() -> Result<()> {
    let (linker, mut store) = stock("fixtures/models/tiny")?;
    let guest = text::Text::instantiate(&mut store, &component(&linker, "text")?, &linker)?;
    let generator = guest.carafe_guests_generation().generator();
    let tokenizer = fs::read(root().join("fixtures/models/tiny/tokenizer.json"))?;
    let opened = generator.call_open(&mut store, &model(), &tokenizer)?.map_err(Error::msg)?;
    let submitted = generator.call_submit(&mut store, opened, &request())?;
    submitted.map_err(|error| Error::msg(error.message))?;
    let mut texts = Vec::new();
    'steps: loop {
        for event in generator.call_step(&mut store, opened)? {
            match event.kind {
                EventKind::Token(token) => texts.push(token.text),
                EventKind::Failed(message) => return Err(Error::msg(message)),
                EventKind::Finished(_) => break 'steps,
                EventKind::Started(_) | EventKind::Prompt(_) => {}
            }
        }
    }
    // The stock host sets no properties: the plugin's defaults, which are our profile `fast`.
    let ours = TextModel::start(
        &Sandbox::new()?,
        &load("fixtures/models/tiny", Profile::Fast).map_err(words)?,
        Limits::default(),
    )?;
    assert_eq!(texts, collect(ours.submit_blocking(greedy("The fox", 16))?).0);
    Ok(())
}

fn model() -> Model {
    let name = str::to_owned;
    Model {
        graph: name("tiny"),
        tensors: TensorNames {
            input_ids: name("input_ids"),
            position_ids: name("position_ids"),
            attention_mask: name("attention_mask"),
            beam_idx: name("beam_idx"),
            logit_idx: name("logit_idx"),
            logits: name("logits"),
        },
        context_length: 64,
        vocabulary_size: 512,
        end_of_text: vec![0],
        max_batch: 16,
        max_step: 128,
        max_logits: 128,
        max_positions: 1024,
        draft_tokens: 3,
    }
}

fn request() -> Request {
    Request {
        prompt: Prompt::Text("The fox".to_owned()),
        max_tokens: 16,
        max_tokens_is_default: false,
        sampling: Sampling {
            temperature: 0.0,
            top_k: None,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
        },
        stop: Vec::new(),
        ignore_end_of_text: true,
        min_tokens: 0,
        logprobs: None,
        echo: false,
        resume: Vec::new(),
    }
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
