//! `carafe models verify --run`: opens the model in its guest, as the server does, and repeats in
//! `exact` what the certificate records.

use std::num::NonZeroU32;

use anyhow::{Context, Result, bail, ensure};
use carafe_host::image::ImageModel;
use carafe_host::text::{EventKind, Prompt, Request, TextOptions};
use carafe_host::tokenizer::{EncodeOptions, Tokenizer};
use carafe_host::{DecoderLimits, Limits, LoadedGraph, Sandbox};
use carafe_models::certificate::{Greedy, Pattern};
use carafe_models::{ModelFolder, Task};
use carafe_openvino::{GraphKind, Options, Profile, Tensor};
use carafe_tensor::{Dim, ElementType};

use crate::machine;
use crate::source::{Sandboxed, Source};

/// How far a quantised score may be off on another processor: its kernels round differently.
const SCORE_TOLERANCE: f64 = 1.0;

/// Repeats everything; a line for each thing that agreed.
pub(super) fn run(folder: &ModelFolder) -> Result<Vec<String>> {
    let certificate = folder.certificate()?;
    let options = Options { profile: Profile::Exact, ..Options::default() };
    let model = LoadedGraph::load(&machine::runtime()?, folder.clone(), &options, &DecoderLimits::default())?;
    match folder.manifest().task {
        Task::TextGeneration => {
            ensure!(!certificate.greedy.is_empty(), "the certificate records no greedy tokens to compare with");
            let mut tokenizer = Tokenizer::open(&Sandbox::new()?, model.name(), model.tokenizer()?, Limits::default())?;
            let repeat = |greedy: &Greedy| {
                repeat_tokens(&mut tokenizer, greedy)?;
                repeat_greedy(&model, greedy)
            };
            certificate.greedy.iter().map(repeat).collect()
        }
        Task::ImageClassification => {
            let pattern = certificate.pattern.as_ref().context("the certificate records no scores to compare with")?;
            classify_a_picture(&model)?;
            Ok(vec![repeat_pattern(&model, pattern)?])
        }
    }
}

/// The guest must cut a prompt into the tokens that the certificate's figures are of.
fn repeat_tokens(tokenizer: &mut Tokenizer, greedy: &Greedy) -> Result<()> {
    // As the tools cut it.
    let options = EncodeOptions { add_special_tokens: true, parse_special: false };
    let tokens: Vec<_> = tokenizer.encode(&greedy.prompt, options)?.iter().map(|token| token.id).collect();
    ensure!(
        tokens == greedy.prompt_tokens,
        "the prompt {:?} has the tokens {tokens:?}; the certificate says {:?}",
        greedy.prompt,
        greedy.prompt_tokens
    );
    Ok(())
}

/// A picture goes the whole way through the guest; what it shows does not matter.
fn classify_a_picture(model: &LoadedGraph) -> Result<()> {
    let guest = ImageModel::start(&Sandbox::new()?, model, Limits::default(), NonZeroU32::MIN)?;
    let labels = guest.classify_blocking(one_pixel(), 1)?.labels;
    ensure!(labels.len() == 1, "the guest answered {} labels for a picture; 1 was expected", labels.len());
    Ok(())
}

/// A BMP of one grey pixel: file header, BITMAPINFOHEADER, and a row of 3 bytes filled up to 4.
fn one_pixel() -> Vec<u8> {
    let header: [u32; 13] = [58, 0, 54, 40, 1, 1, (24 << 16) | 1, 0, 4, 0, 0, 0, 0];
    let fields = header.iter().flat_map(|field| field.to_le_bytes());
    b"BM".iter().copied().chain(fields).chain([128, 128, 128, 0]).collect()
}

fn repeat_greedy(model: &LoadedGraph, greedy: &Greedy) -> Result<String> {
    let count = u32::try_from(greedy.tokens.len())?;
    let request = Request::greedy(Prompt::Tokens(greedy.prompt_tokens.clone()), count);
    let mut source = Sandboxed::start(model, TextOptions::default(), Limits::default(), request)?;
    let mut tokens = Vec::new();
    while let Some(event) = source.next()? {
        match event {
            EventKind::Token(token) => tokens.push(token.id),
            EventKind::Failed(failure) => bail!("the request failed: {}", failure.message),
            EventKind::Started(_) | EventKind::Prompt(_) | EventKind::Finished(_) => {}
        }
    }
    let prompt = &greedy.prompt;
    let same = tokens.iter().zip(&greedy.tokens).take_while(|(got, expected)| got == expected).count();
    ensure!(
        tokens == greedy.tokens,
        "greedy tokens after {prompt:?} differ from the certificate's at token {same}: expected {:?}, got {:?}",
        greedy.tokens.get(same),
        tokens.get(same)
    );
    Ok(format!("{} greedy tokens after {prompt:?}", tokens.len()))
}

fn repeat_pattern(model: &LoadedGraph, pattern: &Pattern) -> Result<String> {
    let GraphKind::Classifier(spec) = model.graph().kind() else { bail!("only a classifier has scores") };
    let pixels = &spec.input;
    let dims: Vec<u32> =
        pixels.shape.iter().filter_map(|dim| if let Dim::Fixed(size) = dim { Some(*size) } else { None }).collect();
    let count = dims.iter().map(|size| *size as usize).product();
    let values = (0..count).map(Pattern::pixel);
    let data = match pixels.element {
        ElementType::U8 => values.collect(),
        ElementType::F32 => values.flat_map(|value| f32::from(value).to_le_bytes()).collect(),
        ElementType::I32 => bail!("an image graph reads u8 or f32"),
    };
    let input = Tensor { dims, element: pixels.element, data };
    let outputs = model.graph().context()?.compute(&[(&pixels.name, input.view())])?;
    let scores = outputs.first().map(|(_, tensor)| scores(tensor)).unwrap_or_default();
    for (index, expected) in &pattern.top {
        let got = scores
            .get(*index as usize)
            .copied()
            .context("the certificate names a score that the graph does not have")?;
        ensure!(
            (got - expected).abs() <= SCORE_TOLERANCE,
            "score {index} of the pattern is {got}; the certificate says {expected}"
        );
    }
    Ok(format!("{} scores of the pattern", pattern.top.len()))
}

fn scores(tensor: &Tensor) -> Vec<f64> {
    match tensor.element {
        ElementType::U8 => tensor.data.iter().map(|value| f64::from(*value)).collect(),
        _ => tensor.view().f32_values().map(f64::from).collect(),
    }
}
