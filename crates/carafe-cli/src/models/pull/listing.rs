//! What the hub says of a revision as a whole: which commit it is, and which files that has.
//!
//! Source: the hub's API, `GET /api/models/OWNER/NAME/revision/REVISION`.

use serde::Deserialize;

use super::failure::Failure;
use super::wanted::is_plain_name;

/// The longest answer that is read.
pub(super) const LONGEST: u64 = 16 << 20;
/// The most files of one repository.
const MAX_FILES: usize = 100_000;

/// One commit of a repository.
pub(super) struct Listing {
    /// A plain name.
    pub(super) commit: String,
    /// Paths as the hub has them, nothing checked.
    pub(super) files: Vec<String>,
}

#[derive(Deserialize)]
struct Answer {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

impl Listing {
    /// Reads the hub's answer.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Failure> {
        let unusable = |why: String| Failure::Unusable(format!("{why}; is HF_ENDPOINT right?"));
        let answer: Answer = serde_json::from_slice(text)
            .map_err(|error| unusable(format!("is answered in a way that no hub does ({error})")))?;
        if !is_plain_name(&answer.sha) {
            return Err(unusable("is named in a way that no hub does: `sha` must be a plain name".to_owned()));
        }
        let count = answer.siblings.len();
        if count > MAX_FILES {
            return Err(unusable(format!("names {count} files, where at most {MAX_FILES} were expected")));
        }
        Ok(Self { commit: answer.sha, files: answer.siblings.into_iter().map(|file| file.rfilename).collect() })
    }
}
