//! The rules of a manifest that its types cannot say: what goes with what, and within which limits.

use carafe_tensor::{Dim, ElementType, Role, describe};

use super::{
    BLOCK_SIZE, File, GenerationDefaults, Image, MAX_NAME, Manifest, Pixels, Resize, SPECIAL_TOKENS, Task, Tensor, Text,
};

type Check = Result<(), String>;

/// Checks everything; the error says what is wrong.
pub(super) fn check(manifest: &Manifest) -> Check {
    name(&manifest.name)?;
    ensure(manifest.guest.is_none(), || "`guest` is reserved and not supported yet; remove it".to_owned())?;
    manifest.files.all().try_for_each(file)?;
    roles(manifest)?;
    match manifest.task {
        Task::TextGeneration => text_model(manifest),
        Task::ImageClassification => image_model(manifest),
    }
}

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(message()) }
}

fn name(name: &str) -> Check {
    ensure(super::is_model_name(name), || {
        format!("`name` is `{name}`; expected 1 to {MAX_NAME} of a-z, 0-9, `-` and `.`, the first a letter or digit")
    })
}

fn file(file: &File) -> Check {
    let plain = !file.path.is_empty() && !file.path.starts_with('.') && !file.path.contains(['/', '\\', '\0', ':']);
    ensure(plain, || format!("file path `{}` must be a plain file name inside the model's folder", file.path))?;
    let digest = file.sha256.len() == 64 && file.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    ensure(digest, || format!("`sha256` of `{}` must be 64 lower-case hexadecimal digits", file.path))
}

/// Every role at most once, every name at most once, and the roles of the task there.
fn roles(manifest: &Manifest) -> Check {
    for (kind, tensors) in [("input", &manifest.inputs), ("output", &manifest.outputs)] {
        for (index, tensor) in tensors.iter().enumerate() {
            let earlier = &tensors[..index];
            ensure(earlier.iter().all(|other| other.role != tensor.role), || {
                format!("two {kind}s have the role `{}`", tensor.role)
            })?;
            ensure(earlier.iter().all(|other| other.name != tensor.name), || {
                format!("two {kind}s are named `{}`", tensor.name)
            })?;
        }
    }
    Ok(())
}

/// What a tensor of a role must look like.
struct Expected<'a> {
    role: Role,
    element: ElementType,
    shape: &'a [Dim],
}

fn tensor(kind: &str, tensors: &[Tensor], expected: &Expected<'_>) -> Check {
    let found = tensors.iter().find(|tensor| tensor.role == expected.role);
    let tensor = found.ok_or_else(|| format!("no {kind} has the role `{}`", expected.role))?;
    ensure(tensor.element == expected.element && tensor.shape == expected.shape, || {
        let (got, needed) = (describe(tensor.element, &tensor.shape), describe(expected.element, expected.shape));
        format!("{kind} `{}` is {got}; its role needs {needed}", tensor.name)
    })
}

fn count(kind: &str, tensors: &[Tensor], expected: usize) -> Check {
    ensure(tensors.len() == expected, || format!("the graph has {} {kind}s; the task needs {expected}", tensors.len()))
}

fn text_model(manifest: &Manifest) -> Check {
    let text = manifest.text.as_ref().ok_or("a text model needs `[text]`")?;
    ensure(manifest.image.is_none() && manifest.files.labels.is_none(), || {
        "a text model has no `[image]` and no labels".to_owned()
    })?;
    ensure(manifest.files.tokenizer.is_some(), || "a text model needs `files.tokenizer`".to_owned())?;
    ensure(manifest.inputs.is_empty() && manifest.outputs.is_empty(), || {
        "a text model lists no inputs and outputs; those of its graph follow from the format".to_owned()
    })?;
    text_values(text)
}

fn text_values(text: &Text) -> Check {
    let limit = i32::MAX.cast_unsigned();
    ensure((1..=limit).contains(&text.context_length), || {
        format!("`context_length` is {}; expected 1 to {limit}", text.context_length)
    })?;
    ensure((1..=limit).contains(&text.vocabulary_size), || {
        format!("`vocabulary_size` is {}; expected 1 to {limit}", text.vocabulary_size)
    })?;
    ensure(super::is_prefill_chunk(text.prefill_chunk), || {
        format!("`prefill_chunk` is {}; expected a multiple of {BLOCK_SIZE}", text.prefill_chunk)
    })?;
    let outside = text.eos_token_ids.iter().find(|id| **id >= text.vocabulary_size);
    outside.map_or(Ok(()), |id| {
        Err(format!("`eos_token_ids` holds {id}; the vocabulary has {} ids", text.vocabulary_size))
    })?;
    let unknown = text.special_tokens.keys().find(|name| !SPECIAL_TOKENS.contains(&name.as_str()));
    unknown.map_or(Ok(()), |name| {
        Err(format!("`special_tokens` has `{name}`; expected any of `{}`", SPECIAL_TOKENS.join("`, `")))
    })?;
    generation_defaults(&text.generation)
}

/// The ranges are those of a request's own values.
fn generation_defaults(defaults: &GenerationDefaults) -> Check {
    let within = |name, value: Option<f32>, range: &str, holds: fn(f32) -> bool| {
        ensure(value.is_none_or(holds), || {
            format!("`generation.{name}` is {}; expected {range}", value.unwrap_or_default())
        })
    };
    within("temperature", defaults.temperature, "0 to 2", |value| (0.0..=2.0).contains(&value))?;
    within("top_p", defaults.top_p, "0 to 1", |value| (0.0..=1.0).contains(&value))?;
    within("min_p", defaults.min_p, "0 to below 1", |value| (0.0..1.0).contains(&value))?;
    within("repetition_penalty", defaults.repetition_penalty, "a finite number above 0", |value| {
        value > 0.0 && value.is_finite()
    })?;
    ensure(defaults.top_k != Some(0), || "`generation.top_k` is 0; expected at least 1".to_owned())
}

fn image_model(manifest: &Manifest) -> Check {
    let image = manifest.image.as_ref().ok_or("an image model needs `[image]`")?;
    let files = &manifest.files;
    let text_parts = manifest.text.is_some() || files.tokenizer.is_some() || files.chat_template.is_some();
    ensure(!text_parts, || "an image model has no `[text]`, no tokenizer and no chat template".to_owned())?;
    ensure(manifest.files.labels.is_some(), || "an image model needs `files.labels`".to_owned())?;
    image_values(image)?;
    image_tensors(manifest, image)
}

fn image_values(image: &Image) -> Check {
    let side = 1..=4096;
    ensure(side.contains(&image.width) && side.contains(&image.height), || {
        format!("the image is {} x {}; expected sides of 1 to 4096 pixels", image.width, image.height)
    })?;
    let crops = image.resize == Resize::Crop;
    ensure(crops == image.resize_side.is_some(), || {
        "`resize_side` goes with `resize = \"crop\"`, and only with it".to_owned()
    })?;
    let longest = image.width.max(image.height);
    ensure(image.resize_side.is_none_or(|side| (longest..=8192).contains(&side)), || {
        format!("`resize_side` must be {longest} (the longer side of the image) to 8192")
    })?;
    let normalised = image.pixels == Pixels::Normalised;
    ensure(normalised == image.mean.is_some() && normalised == image.scale.is_some(), || {
        "`mean` and `scale` go with `pixels = \"normalised\"`, and only with it".to_owned()
    })?;
    let usable = |values: &[f32; 3]| values.iter().all(|value| value.is_finite() && *value != 0.0);
    ensure(image.scale.as_ref().is_none_or(usable), || "`scale` must be finite and not 0".to_owned())?;
    let quantised = image.scores.is_quantised();
    ensure(quantised == image.score_scale.is_some() && quantised == image.score_zero_point.is_some(), || {
        "`score_scale` and `score_zero_point` go with quantised scores, and only with them".to_owned()
    })?;
    ensure(image.score_scale.is_none_or(|scale| scale.is_finite() && scale > 0.0), || {
        "`score_scale` must be above 0".to_owned()
    })
}

fn image_tensors(manifest: &Manifest, image: &Image) -> Check {
    use Dim::Fixed;
    let (height, width) = (Fixed(image.height), Fixed(image.width));
    let shape = match image.layout {
        super::Layout::Nhwc => [Fixed(1), height, width, Fixed(3)],
        super::Layout::Nchw => [Fixed(1), Fixed(3), height, width],
    };
    let element = if image.pixels == Pixels::Raw { ElementType::U8 } else { ElementType::F32 };
    count("input", &manifest.inputs, 1)?;
    tensor("input", &manifest.inputs, &Expected { role: Role::Pixels, element, shape: &shape })?;
    count("output", &manifest.outputs, 1)?;
    let scores = manifest.output(Role::Scores).ok_or("no output has the role `scores`")?;
    let element = if image.scores.is_quantised() { ElementType::U8 } else { ElementType::F32 };
    let valid = matches!(scores.shape[..], [Fixed(1), Fixed(1..)]) && scores.element == element;
    ensure(valid, || format!("output `{}` must have type {element} and shape [1, number of scores]", scores.name))
}
