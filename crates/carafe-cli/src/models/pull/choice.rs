//! Which files of a repository make a model.
//!
//! The list of files is a stranger's: a name that is not plain is no file that is taken, and names
//! are compared with what is known, so that none leads anywhere else. Code is never taken.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::wanted::is_plain_name;
use crate::models::licence;

pub(super) const GRAPH: &str = "openvino_model.xml";
pub(super) const GRAPH_WEIGHTS: &str = "openvino_model.bin";
pub(super) const SAFETENSORS: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
/// What a `tokenizer.json` can be made of.
const VOCABULARY: [&str; 2] = ["vocab.json", "merges.txt"];
/// Files beside the weights that say what the model is, how its text is cut, how its prompts are
/// made, how its tokens are chosen; each is taken where it is there.
const CONFIGURATION: [&str; 10] = [
    CONFIG,
    "generation_config.json",
    TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    VOCABULARY[0],
    VOCABULARY[1],
    "chat_template.jinja",
    "chat_template.json",
];
/// Says, in its first lines, under which licence the model is given.
const README: &str = "README.md";
/// Files that the weights may be cut into: models a thousand times as large have some hundred.
const MAX_SHARDS: usize = 1000;
/// Most names that a refusal shows.
const SHOWN: usize = 12;

/// The files to fetch.
pub(super) struct Choice {
    pub(super) weights: Weights,
    /// What is fetched besides.
    pub(super) companions: Vec<String>,
    /// The tokenizer, where the weights' file cannot have its own.
    pub(super) tokenizer: Option<&'static str>,
    /// Those of them that a licence asks to be kept.
    pub(super) licence_texts: Vec<String>,
}

/// How the weights come.
pub(super) enum Weights {
    /// A graph of OpenVINO's, [`GRAPH`] and [`GRAPH_WEIGHTS`].
    OpenVino,
    /// [`SAFETENSORS`].
    Safetensors,
    /// Several files of safetensors, which [`INDEX`] names.
    Shards,
    /// A .gguf or a .tflite.
    Alone(String),
}

impl Weights {
    /// Whether the model is the folder of the files, and not one of them.
    pub(super) fn is_folder(&self) -> bool {
        !matches!(self, Self::Alone(_))
    }
}

impl Choice {
    /// Of these files, those of the model; or those around `file`, where one was asked for.
    pub(super) fn of(files: &[String], file: Option<&str>) -> Result<Self> {
        let files: Vec<&str> = files.iter().map(String::as_str).filter(|file| is_plain_name(file)).collect();
        let weights = match file {
            Some(file) => asked_for(&files, file)?,
            None => found(&files)?,
        };
        require_beside(&files, &weights)?;
        let has_own_tokenizer = matches!(&weights, Weights::Alone(file) if has_ending(file, ".gguf"));
        let is_tflite = matches!(&weights, Weights::Alone(_)) && !has_own_tokenizer;
        let licences: Vec<&str> = files.iter().copied().filter(|file| licence::is_text(file)).collect();
        let configuration = CONFIGURATION.into_iter().filter(|_| weights.is_folder());
        let known = configuration.chain(is_tflite.then_some(TOKENIZER)).chain([README]);
        let known = known.filter(|name| files.contains(name));
        let companions = known.chain(licences.iter().copied()).map(str::to_owned).collect();
        let licence_texts = licences.into_iter().map(str::to_owned).collect();
        Ok(Self { companions, tokenizer: is_tflite.then_some(TOKENIZER), licence_texts, weights })
    }
}

fn asked_for(files: &[&str], file: &str) -> Result<Weights> {
    ensure!(
        has_ending(file, ".gguf") || has_ending(file, ".tflite"),
        "`{file}` is neither a .gguf nor a .tflite; other models are taken whole, without `--file`"
    );
    ensure!(files.contains(&file), "there is no file `{file}`; {}", there_is(files));
    Ok(Weights::Alone(file.to_owned()))
}

fn found(files: &[&str]) -> Result<Weights> {
    if files.contains(&GRAPH) {
        return Ok(Weights::OpenVino);
    }
    if files.contains(&SAFETENSORS) {
        return Ok(Weights::Safetensors);
    }
    if files.contains(&INDEX) {
        return Ok(Weights::Shards);
    }
    let ggufs: Vec<&str> = files.iter().copied().filter(|file| has_ending(file, ".gguf")).collect();
    match ggufs[..] {
        [file] => Ok(Weights::Alone(file.to_owned())),
        [] => bail!(
            "`{GRAPH}`, `{SAFETENSORS}` or shards of it, or a .gguf was expected; {}; a .tflite must be named by `--file`",
            there_is(files)
        ),
        _ => bail!("it has several .gguf, name one by `--file`: {}", listed(&ggufs)),
    }
}

/// Refuses weights that lack what cannot be made up for, before they are fetched.
fn require_beside(files: &[&str], weights: &Weights) -> Result<()> {
    let lacks = |name: &str| !files.contains(&name);
    let missing = match weights {
        Weights::OpenVino if lacks(GRAPH_WEIGHTS) => GRAPH_WEIGHTS,
        Weights::Alone(file) if has_ending(file, ".gguf") => return Ok(()),
        weights if weights.is_folder() && lacks(CONFIG) => CONFIG,
        _ if lacks(TOKENIZER) && VOCABULARY.into_iter().any(lacks) => TOKENIZER,
        _ => return Ok(()),
    };
    bail!("there is no `{missing}` beside the weights; {}", there_is(files))
}

fn has_ending(file: &str, ending: &str) -> bool {
    file.len() > ending.len() && file.to_ascii_lowercase().ends_with(ending)
}

fn there_is(files: &[&str]) -> String {
    if files.is_empty() { "there are no files".to_owned() } else { format!("there is {}", listed(files)) }
}

fn listed(files: &[&str]) -> String {
    let shown: Vec<String> = files.iter().take(SHOWN).map(|file| format!("`{file}`")).collect();
    match files.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}

/// Names of the shards in `model.safetensors.index.json`, each a plain file name: they come from
/// strangers and become paths.
pub(super) fn shards(index: &Path) -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(index).with_context(|| format!("failed to read `{}`", index.display()))?;
    let json: Value = serde_json::from_str(&text).with_context(|| format!("`{}` is not JSON", index.display()))?;
    let places =
        json["weight_map"].as_object().with_context(|| format!("`{}` has no `weight_map`", index.display()))?;
    let names: Option<BTreeSet<_>> = places.values().map(|name| name.as_str().map(str::to_owned)).collect();
    let names = names.with_context(|| format!("`{}` names a file by something else than text", index.display()))?;
    ensure!(
        names.len() <= MAX_SHARDS,
        "`{}` names {} files; at most {MAX_SHARDS} were expected",
        index.display(),
        names.len()
    );
    match names.iter().find(|name| !is_plain_name(name)) {
        Some(name) => bail!("`{}` names a file `{name}`; a plain name was expected", index.display()),
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(files: &[&str], file: Option<&str>) -> Result<Choice, String> {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        Choice::of(&files, file).map_err(|error| error.to_string())
    }

    #[test]
    fn a_graph_goes_before_safetensors_and_these_before_a_gguf() {
        let all = [
            "a.gguf",
            "config.json",
            "tokenizer.json",
            "model.safetensors",
            "openvino_model.bin",
            "openvino_model.xml",
        ];
        assert!(matches!(choose(&all, None), Ok(Choice { weights: Weights::OpenVino, .. })));
        assert!(matches!(choose(&all[..4], None), Ok(Choice { weights: Weights::Safetensors, .. })));
        assert!(matches!(choose(&all[..3], None), Ok(Choice { weights: Weights::Alone(_), .. })));
    }

    #[test]
    fn what_tells_of_a_model_is_taken_and_code_is_not() {
        let files = [
            "LICENSE",
            "NOTICE.txt",
            "README.md",
            "USE_POLICY.md",
            "chat_template.jinja",
            "config.json",
            "modeling.py",
            "model.safetensors",
            "pytorch_model.bin",
            "tokenizer.json",
            "../evil.json",
            "sub/config.json",
        ];
        let choice = choose(&files, None).expect("safetensors");
        let expected = [
            "config.json",
            "tokenizer.json",
            "chat_template.jinja",
            "README.md",
            "LICENSE",
            "NOTICE.txt",
            "USE_POLICY.md",
        ];
        assert_eq!(choice.companions, expected);
        assert_eq!(choice.licence_texts, expected[4..]);
    }

    #[test]
    fn a_repository_of_several_gguf_wants_one_to_be_named() {
        let files = ["a.Q4_0.gguf", "a.Q8_0.GGUF"];
        let error = choose(&files, None).err().expect("a refusal");
        assert_eq!(error, "it has several .gguf, name one by `--file`: `a.Q4_0.gguf`, `a.Q8_0.GGUF`");
        assert!(choose(&files, Some("a.Q8_0.GGUF")).is_ok());
        assert!(
            choose(&files, Some("b.gguf")).is_err_and(|error| error.contains("there is no file `b.gguf`; there is"))
        );
    }

    #[test]
    fn what_cannot_be_made_up_for_is_missed_before_anything_is_fetched() {
        for (files, missing) in [
            (&["openvino_model.xml", "config.json", "tokenizer.json"][..], "openvino_model.bin"),
            (&["model.safetensors", "tokenizer.json"], "config.json"),
            (&["model.safetensors", "config.json", "merges.txt"], "tokenizer.json"),
        ] {
            let error = choose(files, None).err().expect("a refusal");
            assert!(error.contains(&format!("there is no `{missing}` beside the weights; there is")), "{error}");
        }
        assert!(choose(&["model.safetensors", "config.json", "merges.txt", "vocab.json"], None).is_ok());
    }

    #[test]
    fn a_repository_without_a_model_is_refused_with_what_it_has() {
        let error = choose(&["pytorch_model.bin", "../openvino_model.xml"], None).err().expect("a refusal");
        assert!(error.contains("there is `pytorch_model.bin`;"), "{error}");
        let error = choose(&[], None).err().expect("a refusal");
        assert!(error.contains("there are no files;"), "{error}");
    }
}
