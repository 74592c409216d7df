//! `carafe models add`: from a file or folder on this machine to a certified model in the user's
//! data folder.
//!
//! What kinds of sources there are, the tools know; here is only what must be known before: what
//! the model is called, and under which licence it is given.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use carafe_gguf::Gguf;

use super::tools::{Plan, Source};
use super::{added, licence, tools};
use crate::arguments::Add;
use crate::output;

/// Runs the command.
pub(super) fn run(options: &Add) -> Result<()> {
    let plan = Plan::new(&options.making, &called(&options.source)?)?;
    ensure!(
        options.making.again || !plan.out.exists(),
        "`{}` is there already, in `{}`; `--again` replaces it, and `--name` gives another name",
        plan.name,
        plan.out.display()
    );
    let source = source(options)?;
    let python = tools::find_python()?;
    output::note(&format!("converting is done by {}", python.display()));
    added::tell(&plan.make(&python, &source)?, options.making.json)
}

/// What a source is called: a folder by its name, a file by its name without the ending.
fn called(source: &Path) -> Result<String> {
    let failed = || format!("failed to read `{}`", source.display());
    let path = source.canonicalize().with_context(failed)?;
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    Ok(name.with_context(failed)?.to_string_lossy().into_owned())
}

fn source(options: &Add) -> Result<Source> {
    let path = &options.source;
    let is_gguf = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"));
    let licence = match (path.is_dir(), is_gguf) {
        (true, _) => licence::of_folder(path),
        (false, true) => licence::of_gguf(&gguf(path)?).unwrap_or_else(|| licence::UNKNOWN.to_owned()),
        (false, false) => licence::UNKNOWN.to_owned(),
    };
    let of_folder = if path.is_dir() { licence::texts(path) } else { Vec::new() }.into_iter();
    let name = path.canonicalize()?.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Source {
        path: path.clone(),
        tokenizer: options.tokenizer.clone(),
        licence,
        licence_texts: of_folder.chain(options.licence_text.clone()).collect(),
        notice: format!("Made of `{name}`."),
    })
}

/// What a GGUF file says of itself; one that cannot be read is refused before Python starts.
fn gguf(path: &Path) -> Result<Gguf> {
    let failed = || format!("failed to read `{}`", path.display());
    let file = File::open(path).with_context(failed)?;
    let metadata = file.metadata().with_context(failed)?;
    ensure!(metadata.is_file(), "`{}` is no file", path.display());
    Gguf::read(BufReader::new(file), metadata.len()).with_context(failed)
}
