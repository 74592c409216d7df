//! Under which licence a model is given, as far as its source says it.
//!
//! A manifest holds an SPDX expression, or `unknown`. What SPDX has no name for becomes a
//! `LicenseRef-`, as its specification wants it. Nothing here judges a licence.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use carafe_gguf::Gguf;

/// Where nobody says it.
pub(super) const UNKNOWN: &str = "unknown";
/// The same in SPDX's words, as manifests may have it.
const NO_ASSERTION: &str = "NOASSERTION";
/// Where only a text says it.
const IN_A_TEXT: &str = "LicenseRef-LICENSE";
/// Names of files that a licence asks to be kept with what it is of.
const TEXTS: [&str; 6] = ["license", "licence", "copying", "notice", "use_policy", "acceptable_use"];
/// The hub's name for what it has no name for; `license_name` says more.
const OTHER: &str = "other";
/// The most of a `README.md` that is read: its first lines say the licence.
const README_BYTES: u64 = 64 << 10;
/// The longest name of a licence.
const LONGEST: usize = 64;

/// Licences as SPDX spells them, of those that the hub knows by the same letters in lower case.
const SPDX: [&str; 30] = [
    "AFL-3.0",
    "AGPL-3.0",
    "Apache-2.0",
    "Artistic-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC-BY-2.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-NC-3.0",
    "CC-BY-NC-4.0",
    "CC-BY-NC-ND-4.0",
    "CC-BY-NC-SA-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "ECL-2.0",
    "EPL-2.0",
    "EUPL-1.1",
    "GPL-2.0",
    "GPL-3.0",
    "ISC",
    "LGPL-2.1",
    "LGPL-3.0",
    "MIT",
    "MPL-2.0",
    "NCSA",
    "Unlicense",
    "Zlib",
];

/// Of a folder as the hub has it: from the first lines of its `README.md`, else from whether there
/// is a text of it.
pub(super) fn of_folder(folder: &Path) -> String {
    let said = readme(folder).and_then(|readme| front_matter(&readme));
    match said {
        Some(name) if name == OTHER => of_texts(folder).unwrap_or_else(|| expression(OTHER)),
        Some(name) => expression(&name),
        None => of_texts(folder).unwrap_or_else(|| UNKNOWN.to_owned()),
    }
}

/// Of a GGUF file: from its metadata.
pub(super) fn of_gguf(file: &Gguf) -> Option<String> {
    let name = file.text("general.license")?;
    Some(expression(if name == OTHER { file.text("general.license.name").unwrap_or(name) } else { name }))
}

/// What people read.
pub(crate) fn words(expression: &str) -> &str {
    match expression {
        NO_ASSERTION => UNKNOWN,
        IN_A_TEXT => "see its LICENSE",
        expression => expression,
    }
}

/// Whether a file is one that a licence asks to be kept, by its name: `LICENSE.txt`, `NOTICE`,
/// `USE_POLICY.md`.
pub(super) fn is_text(file: &str) -> bool {
    let stem = file.split('.').next().unwrap_or(file).to_ascii_lowercase().replace('-', "_");
    TEXTS.iter().any(|text| stem.starts_with(text))
}

/// The files of a folder that a licence asks to be kept, in the order of their names.
pub(super) fn texts(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let texts = entries.map(|entry| entry.path()).filter(|path| path.is_file() && is_text(&name_of(path)));
    let mut texts: Vec<_> = texts.collect();
    texts.sort();
    texts
}

fn of_texts(folder: &Path) -> Option<String> {
    let is_licence = |path: &PathBuf| !name_of(path).to_ascii_lowercase().starts_with("notice");
    texts(folder).iter().any(is_licence).then(|| IN_A_TEXT.to_owned())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The beginning of a folder's `README.md`.
fn readme(folder: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(folder.join("README.md")).ok()?.take(README_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the YAML between the first two `---` says of the licence: `license`, one word or the first
/// of a list, or `license_name` where that is `other`.
fn front_matter(readme: &str) -> Option<String> {
    let rest = readme.trim_start_matches('\u{feff}').strip_prefix("---")?;
    let lines: Vec<&str> = rest.lines().skip(1).take_while(|line| line.trim_end() != "---").collect();
    let value = |key: &str| {
        let place = lines.iter().position(|line| line.starts_with(key))?;
        let same_line = unquoted(lines[place].strip_prefix(key)?);
        let next = || Some(unquoted(lines.get(place + 1)?.trim_start().strip_prefix('-')?));
        if same_line.is_empty() { next() } else { Some(same_line) }
    };
    let licence = value("license:").filter(|name| !name.is_empty())?;
    Some(if licence == OTHER { value("license_name:").unwrap_or(licence) } else { licence })
}

fn unquoted(value: &str) -> String {
    let plain = value.split(" #").next().unwrap_or(value).trim();
    plain.trim_matches(|quote| matches!(quote, '"' | '\'' | '[' | ']')).trim().to_owned()
}

/// An SPDX expression for a name as the hub writes it.
fn expression(name: &str) -> String {
    if name.eq_ignore_ascii_case(UNKNOWN) || name.trim().is_empty() {
        return UNKNOWN.to_owned();
    }
    if let Some(known) = SPDX.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        return (*known).to_owned();
    }
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' };
    format!("LicenseRef-{}", name.chars().take(LONGEST).map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_read_from_the_first_lines_of_a_readme() {
        for (lines, expected) in [
            ("---\nlicense: apache-2.0\n---\n# A model", Some("Apache-2.0")),
            ("---\r\nlanguage: en\r\nlicense: 'mit' # a word\r\n---\r\n", Some("MIT")),
            ("---\nlicense:\n- bsd-3-clause\n---\n", Some("BSD-3-Clause")),
            ("---\nlicense: other\nlicense_name: my own\n---\n", Some("LicenseRef-my-own")),
            ("---\nlicense: llama3.2\n---\n", Some("LicenseRef-llama3.2")),
            ("---\nlicense: unknown\n---\n", Some(UNKNOWN)),
            ("---\nlanguage: en\n---\nlicense: mit", None),
            ("# license: mit", None),
        ] {
            assert_eq!(front_matter(lines).map(|name| expression(&name)).as_deref(), expected, "{lines}");
        }
    }

    #[test]
    fn texts_of_licences_are_known_by_their_names() {
        for file in ["LICENSE", "LICENSE.txt", "licence.md", "NOTICE", "Notice.txt", "USE_POLICY.md", "use-policy.txt"]
        {
            assert!(is_text(file), "{file}");
        }
        for file in ["README.md", "config.json", "model.safetensors", "sublicense.txt"] {
            assert!(!is_text(file), "{file}");
        }
    }

    #[test]
    fn a_licence_that_nobody_says_is_unknown_and_one_in_a_text_is_there_to_be_read() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("NOTICE"), "made by us").expect("written");
        assert_eq!(words(&of_folder(folder.path())), "unknown");
        std::fs::write(folder.path().join("LICENSE.txt"), "do as you like").expect("written");
        assert_eq!(words(&of_folder(folder.path())), "see its LICENSE");
    }
}
