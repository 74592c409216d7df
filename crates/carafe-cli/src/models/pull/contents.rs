//! Whether contents are those that are known beforehand, or those that the hub's name for them
//! says.
//!
//! The hub names a large file by its SHA-256 and a small one as git does: by the SHA-1 of `blob`,
//! its length, a zero byte and its contents. Names of other kinds say nothing of the contents.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use carafe_models::folder::sha256;
use serde::Deserialize;
use sha1::{Digest, Sha1};

/// What a file must be, wherever it comes from.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Identity {
    #[serde(rename = "bytes")]
    pub(crate) size: u64,
    pub(super) sha256: String,
}

impl Identity {
    /// Whether a file is there and is this one.
    pub(super) fn is_of(&self, file: &Path) -> bool {
        file.metadata().is_ok_and(|metadata| metadata.len() == self.size)
            && sha256(file).is_ok_and(|hash| hash == self.sha256)
    }
}

/// Says what is wrong with contents of another name, or of another length than the one announced.
pub(super) fn fault(path: &Path, etag: &str, announced: Option<u64>) -> io::Result<Option<String>> {
    let size = path.metadata()?.len();
    if let Some(announced) = announced.filter(|announced| *announced != size) {
        return Ok(Some(format!("is {size} bytes long; {announced} are announced")));
    }
    let (kind, got) = match etag.len() {
        _ if !etag.bytes().all(|byte| byte.is_ascii_hexdigit()) => return Ok(None),
        64 => ("SHA-256", sha256(path)?),
        40 => ("git hash", git_hash(path)?),
        _ => return Ok(None),
    };
    let is_same = got.eq_ignore_ascii_case(etag);
    Ok((!is_same).then(|| format!("has the {kind} {got}; {etag} was expected")))
}

/// git's name for the contents of a file, read in pieces.
fn git_hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha1::new_with_prefix(format!("blob {}\0", file.metadata()?.len()));
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            length => hash.update(&piece[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::fault;

    /// What `git hash-object` says of `hello\n`.
    const GIT: &str = "ce013625030ba8dba906f756967f9e9ca394464a";
    const SHA256: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

    #[test]
    fn contents_are_held_against_a_name_of_either_kind() {
        let folder = std::env::temp_dir().join(format!("carafe-contents-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("made");
        let (right, wrong) = (folder.join("right"), folder.join("wrong"));
        fs::write(&right, "hello\n").expect("written");
        fs::write(&wrong, "hullo\n").expect("written");
        for name in [GIT, SHA256, "an-etag-of-another-kind"] {
            assert_eq!(fault(&right, name, Some(6)).expect("read"), None, "{name}");
        }
        assert!(fault(&wrong, GIT, Some(6)).expect("read").is_some_and(|why| why.starts_with("has the git hash ")));
        assert!(fault(&wrong, SHA256, None).expect("read").is_some_and(|why| why.starts_with("has the SHA-256 ")));
        assert_eq!(fault(&right, GIT, Some(7)).expect("read"), Some("is 6 bytes long; 7 are announced".to_owned()));
        fs::remove_dir_all(folder).expect("removed");
    }
}
