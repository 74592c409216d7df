//! The documents: the book, its links, and what programs write into it.
//!
//! mdBook takes one folder, and the documents link to others: the README, the tools' own. So the
//! book is built from a copy of all documents as they lie in the tree. Links then hold as they are,
//! and a copy of the table of contents, with the documents outside of `docs/` at its end, says what
//! is a chapter.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use carafe_models::ModelFolder;

use crate::shell::{carafe, long_step, output, program, report, root, run};
use crate::{default_model, setup, show};

const MDBOOK_VERSION: &str = "0.5.4";
const FOLDER: &str = "target/book";
/// What else is a chapter, with its title: documents outside of `docs/`, and the table that they link to.
const OUTSIDE: [(&str, &str); 11] = [
    ("Contents", "docs/SUMMARY.md"),
    ("Architecture", "ARCHITECTURE.md"),
    ("Contributing", "CONTRIBUTING.md"),
    ("Changes", "CHANGELOG.md"),
    ("Examples", "examples/README.md"),
    ("The tools", "tools/README.md"),
    ("The benchmark suite", "bench/README.md"),
    ("Bundled models", "models/README.md"),
    ("Fixtures", "fixtures/README.md"),
    ("Pictures", "images/README.md"),
    ("Licences of others", "NOTICE.md"),
];
/// What documents link to and show.
const COPIED: [&str; 5] = ["md", "svg", "png", "json", "LICENSE"];
/// What the program writes: the part, and its file.
const WRITTEN: [(&str, &str); 2] = [("command-line", "docs/command-line.md"), ("openapi", "docs/openapi.json")];

/// Builds the book and checks the links of its pages.
pub(crate) fn book() -> Result<()> {
    let source = root().join(FOLDER).join("source");
    copy(&source)?;
    contents(&source)?;
    run(program(mdbook()?).arg("build").env("MDBOOK_BOOK__SRC", &source))?;
    let pages = root().join(FOLDER).join("html");
    check(&["target/book/html/**/*.html"], &pages)?;
    report(&format!("the book is {}", pages.join("docs/introduction.html").display()));
    Ok(())
}

/// Checks the links between all documents of the tree.
pub(crate) fn links() -> Result<()> {
    let documents = tracked(&["*.md"])?;
    let documents: Vec<&str> = documents.iter().map(String::as_str).collect();
    check(&documents, &root())
}

/// Nothing of the outside world is asked: a link to it is taken as it is.
fn check(files: &[&str], folder: &Path) -> Result<()> {
    let options = ["--offline", "--include-fragments", "--no-progress", "--root-dir"];
    run(program(setup::lychee()?).args(options).arg(folder).args(files))
}

/// Writes the parts of the book that follow from the program.
pub(crate) fn reference() -> Result<()> {
    show::build()?;
    for (what, file) in WRITTEN {
        let text = output(carafe().args(["reference", what]))?;
        fs::write(root().join(file), format!("{text}\n")).with_context(|| format!("failed to write `{file}`"))?;
    }
    Ok(())
}

/// Takes pictures of the page while the default model answers.
pub(crate) fn screenshots() -> Result<()> {
    show::build()?;
    setup::clients()?;
    let models = default_model::cached()?;
    default_model::set_up();
    ensure!(
        ModelFolder::open(&models.join(default_model::NAME)).is_ok(),
        "the pictures show {}, which could not be set up",
        default_model::NAME
    );
    run(program("node").arg("crates/carafe-e2e/browser/screenshots.mjs").arg(models))
}

/// Files that git knows, and new ones that it does not ignore.
fn tracked(patterns: &[&str]) -> Result<Vec<String>> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "--"];
    let listed = output(program("git").args(list).args(patterns))?;
    Ok(listed.lines().filter(|file| root().join(file).exists()).map(str::to_owned).collect())
}

fn copy(source: &Path) -> Result<()> {
    // What was deleted since must not stay.
    if source.exists() {
        fs::remove_dir_all(source)?;
    }
    let patterns = COPIED.map(|ending| format!("*{ending}"));
    for file in tracked(&patterns.each_ref().map(String::as_str))? {
        let copy = source.join(&file);
        fs::create_dir_all(copy.parent().unwrap_or(source))?;
        fs::copy(root().join(&file), &copy).with_context(|| format!("failed to copy `{file}`"))?;
    }
    Ok(())
}

/// The table of contents, seen from the copy's root. The first chapter becomes the front page, in
/// the root, so it is one whose links are right there.
fn contents(source: &Path) -> Result<()> {
    let own = fs::read_to_string(root().join("docs/SUMMARY.md"))?.replace("](", "](docs/").replace("# Summary", "");
    let outside = OUTSIDE.iter().filter(|(_, file)| source.join(file).exists());
    let outside: String = outside.map(|(title, file)| format!("- [{title}]({file})\n")).collect();
    Ok(fs::write(source.join("SUMMARY.md"), format!("[Carafe](README.md)\n{own}\n# In the source tree\n\n{outside}"))?)
}

/// mdBook of the pinned version, compiled where it is not there yet.
fn mdbook() -> Result<PathBuf> {
    let folder = root().join("target/tools");
    let program_file = folder.join("bin/mdbook");
    let has_version =
        || output(program(&program_file).arg("--version")).is_ok_and(|said| said.ends_with(MDBOOK_VERSION));
    if !has_version() {
        let package = format!("mdbook@{MDBOOK_VERSION}");
        long_step("install mdBook into target/tools", "two to five minutes on two cores", || {
            // Without its own server, which is most of what it compiles.
            let install = ["install", "--locked", "--force", "--no-default-features", "--features", "search", "--root"];
            run(crate::shell::cargo(&install).arg(&folder).arg(package))
        })?;
    }
    Ok(program_file)
}
