//! A user's own models: added under a name, listed with what they are, removed again. What `add`
//! makes of each kind of source is tested with the tools.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use carafe_e2e::{Ran, carafe, root};
use tempfile::TempDir;

/// A home with a copy of the tiny model in the data folder's place for models.
struct Home(TempDir);

impl Home {
    fn new() -> Result<Self> {
        Ok(Self(TempDir::new()?))
    }

    fn models(&self, kind: &str) -> PathBuf {
        self.0.path().join(kind).join("carafe/models")
    }

    /// Puts the tiny model into the `data` folder or the `cache`.
    fn with_tiny(&self, kind: &str) -> Result<PathBuf> {
        let to = self.models(kind).join("tiny");
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(root().join("fixtures/models/tiny"))? {
            let entry = entry?;
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
        Ok(to)
    }

    fn run(&self, words: &[&str]) -> Result<Ran> {
        let mut command = carafe(words)?;
        command.env("XDG_DATA_HOME", self.0.path().join("data")).env("XDG_CACHE_HOME", self.0.path().join("cache"));
        Ok(Ran::new(&command.env_remove("CARAFE_MODELS").env("CARAFE_PYTHON", "/bin/true").output()?))
    }
}

fn words(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

#[test]
fn models_of_the_users_data_folder_and_cache_are_found_and_removed() -> Result<()> {
    for kind in ["data", "cache"] {
        let home = Home::new()?;
        let folder = home.with_tiny(kind)?;
        let shown = home.run(&["models", "show", "tiny", "--json"])?.json()?;
        assert_eq!(shown["path"], words(&folder)?);
        let removed = home.run(&["models", "remove", "tiny"])?;
        assert_eq!(removed.code, Some(0), "{}", removed.err);
        let line = format!("removed tiny from {}, 0.2 MiB freed\n", folder.display());
        assert_eq!(removed.out, line);
        assert_eq!(fs::read_dir(home.models(kind))?.count(), 0, "nothing is left");
        let again = home.run(&["models", "remove", "tiny"])?;
        assert!(again.code == Some(1) && again.err.contains("there is no model `tiny` in `"), "{again:?}");
    }
    Ok(())
}

#[test]
fn a_model_that_is_not_the_users_stays() -> Result<()> {
    let home = Home::new()?;
    let refused = home.run(&["models", "remove", "tales"])?;
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("models/tales` and stays: only models in `"), "{}", refused.err);
    assert!(root().join("models/tales/model.toml").is_file());
    for name in ["../tales", "", ".", "Tales"] {
        let refused = home.run(&["models", "remove", name])?;
        assert!(refused.code == Some(1) && refused.err.contains("cannot be a model's name"), "{refused:?}");
    }
    Ok(())
}

#[test]
fn a_broken_model_is_removed_and_of_a_link_only_the_link() -> Result<()> {
    let home = Home::new()?;
    let folder = home.with_tiny("data")?;
    fs::write(folder.join("model.toml"), "format = 9")?;
    let link = home.models("data").join("linked");
    symlink(&folder, &link)?;
    let removed = home.run(&["models", "remove", "linked", "--json"])?.json()?;
    assert_eq!(removed["freed_bytes"], 0);
    assert!(link.symlink_metadata().is_err() && folder.join("model.bin").is_file());
    let removed = home.run(&["models", "remove", "tiny", "--json"])?.json()?;
    assert!(removed["freed_bytes"].as_u64() > Some(200_000) && !folder.exists(), "{removed}");
    Ok(())
}

#[test]
fn a_model_is_added_under_a_name_that_is_free_and_can_be() -> Result<()> {
    let home = Home::new()?;
    let folder = home.with_tiny("data")?;
    let refuse = |flags: &[&str]| -> Result<String> {
        let source = root().join("fixtures/tiny.tflite");
        let ran = home.run(&[&["models", "add", words(&source)?], flags].concat())?;
        assert_eq!(ran.code, Some(1), "{}", ran.out);
        Ok(ran.err)
    };
    let taken = format!("`tiny` is there already, in `{}`; `--again` replaces it", folder.display());
    assert!(refuse(&[])?.contains(&taken));
    assert!(refuse(&["--name", "Not A Name"])?.contains("cannot be a model's name"));
    let missing = home.run(&["models", "add", "nowhere.gguf"])?;
    assert!(missing.code == Some(1) && missing.err.contains("failed to read `nowhere.gguf`"), "{missing:?}");
    let broken = home.0.path().join("broken.gguf");
    fs::write(&broken, "GGUF")?;
    let broken = home.run(&["models", "add", words(&broken)?])?;
    assert!(broken.code == Some(1) && broken.err.contains("broken.gguf`"), "{broken:?}");
    Ok(())
}

#[test]
fn a_list_says_context_chat_and_licence() -> Result<()> {
    let home = Home::new()?;
    let listed = home.run(&["models", "list"])?;
    let tales = listed.out.lines().find(|line| line.starts_with("tales ")).context("tales")?;
    assert!(tales.contains("256 tokens, ") && !tales.contains("chat"), "{tales}");
    let entries = home.run(&["models", "list", "--json"])?.json()?;
    let tales =
        entries.as_array().and_then(|all| all.iter().find(|entry| entry["name"] == "tales")).context("tales")?;
    assert_eq!((&tales["context_length"], &tales["chat_template"]), (&256.into(), &false.into()));
    assert!(tales["licence"].is_string());
    Ok(())
}
