//! Markdown documents of the tree, as far as tests read them: their fenced blocks.
//!
//! A block of commands is run by a test, or the line before it says why not:
//! `<!-- not run: REASON -->`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::root;

/// What stands before a block that no test runs, and before the reason.
const NOT_RUN: &str = "<!-- not run: ";

/// A fenced block.
#[derive(Clone, Debug)]
pub struct Block {
    /// The document, from the project's root.
    pub document: String,
    /// The line of its first fence, counted from 1.
    pub line: usize,
    /// What stands after the fence: the language.
    pub kind: String,
    /// Its lines, without the indentation of the fence.
    pub text: String,
    /// Why no test runs it.
    pub not_run: Option<String>,
}

impl Block {
    /// The document and the line, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.document, self.line)
    }
}

/// The book's pages, and the documents in the root that hold commands.
///
/// # Errors
/// If the folder cannot be read.
pub fn documents() -> Result<Vec<String>> {
    let entries = fs::read_dir(root().join("docs"))?.collect::<Result<Vec<_>, _>>()?;
    let paths = entries.iter().map(|entry| PathBuf::from("docs").join(entry.file_name()));
    let pages = paths.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let root = ["README.md", "CONTRIBUTING.md"].map(PathBuf::from);
    let mut documents: Vec<String> = pages.chain(root).map(|path| path.display().to_string()).collect();
    documents.sort();
    Ok(documents)
}

/// A document's text.
///
/// # Errors
/// If it cannot be read.
pub fn read(document: &str) -> Result<String> {
    fs::read_to_string(root().join(Path::new(document))).with_context(|| format!("failed to read `{document}`"))
}

/// The blocks of a document.
///
/// # Errors
/// If it cannot be read, or a block does not end.
pub fn blocks(document: &str) -> Result<Vec<Block>> {
    let text = read(document)?;
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    let mut before = "";
    while let Some((index, line)) = lines.next() {
        if let Some((indentation, kind)) = line.split_once("```") {
            let mut block = Block {
                document: document.to_owned(),
                line: index + 1,
                kind: kind.to_owned(),
                text: String::new(),
                not_run: reason(before),
            };
            let is_ended = lines.by_ref().any(|(_, line)| {
                let line = line.strip_prefix(indentation).unwrap_or(line);
                if line != "```" {
                    block.text.extend([line, "\n"]);
                }
                line == "```"
            });
            ensure!(is_ended, "{}: the block does not end", block.place());
            blocks.push(block);
        }
        before = line;
    }
    Ok(blocks)
}

fn reason(line: &str) -> Option<String> {
    line.trim().strip_prefix(NOT_RUN)?.strip_suffix("-->").map(|reason| reason.trim().to_owned())
}
