//! `carafe models`: sound folders, and every way in which one can be broken.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use carafe_e2e::{Ran, carafe, root, run};
use serde_json::json;
use tempfile::TempDir;

#[test]
fn bundled_models_are_listed_shown_and_verified_with_a_run() -> Result<()> {
    let list = run(&["models", "list", "--json"])?.json()?;
    let names: Vec<_> = list.as_array().context("no list")?.iter().filter_map(|entry| entry["name"].as_str()).collect();
    assert_eq!(names, ["mobilenet-v2", "tales", "tiny"]);
    for name in names {
        let shown = run(&["models", "show", name])?;
        assert!(shown.out.contains("every gate passed"), "{}", shown.out);
        let verified = run(&["models", "verify", name, "--run"])?;
        assert_eq!(verified.code, Some(0), "{}", verified.err);
        assert!(verified.out.contains("as in the certificate"), "{}", verified.out);
    }
    Ok(())
}

#[test]
fn models_are_found_from_any_folder() -> Result<()> {
    let elsewhere = TempDir::new()?;
    let output = carafe(&["models", "verify", "tales"])?.current_dir(elsewhere.path()).output()?;
    assert!(output.status.success(), "{output:?}");
    Ok(())
}

/// A copy of the tiny model that may be broken.
fn copy() -> Result<TempDir> {
    let place = TempDir::new()?;
    let (from, to) = (root().join("fixtures/models/tiny"), place.path().join("tiny"));
    fs::create_dir(&to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(place)
}

/// Breaks a copy, and returns what `models verify` says of it.
fn verify_broken(break_it: impl FnOnce(&Path) -> Result<()>) -> Result<String> {
    let place = copy()?;
    break_it(&place.path().join("tiny"))?;
    let place = place.path().to_str().context("a path in UTF-8")?;
    let ran = run(&["models", "verify", "tiny", "--models", place])?;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    Ok(ran.err)
}

fn edit_manifest(folder: &Path, edit: impl FnOnce(String) -> String) -> Result<()> {
    let path = folder.join("model.toml");
    Ok(fs::write(&path, edit(fs::read_to_string(&path)?))?)
}

#[test]
fn a_gguf_file_is_shown_and_one_that_is_cut_is_refused_where_it_ends() -> Result<()> {
    let path = root().join("crates/carafe-gguf/tests/golden/types.gguf");
    let path = path.to_str().context("a path in UTF-8")?;
    let shown = run(&["models", "inspect", path])?;
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    let tensors =
        "tensors     4 in all; 1 of F16 (0.0 MiB), 1 of F32 (0.0 MiB), 1 of Q4_1 (0.0 MiB), 1 of Q8_0 (0.0 MiB)";
    assert!(shown.out.contains(tensors) && shown.out.contains("licence     unknown"), "{}", shown.out);
    let described: serde_json::Value = serde_json::from_str(&run(&["models", "inspect", path, "--json"])?.out)?;
    assert_eq!(described["tensors"][2]["type"], "Q8_0");
    assert_eq!(described["metadata"]["some.texts"], serde_json::json!(["a", "", "ß"]));
    let place = TempDir::new()?;
    let cut = place.path().join("cut.gguf");
    fs::write(&cut, &fs::read(path)?[..300])?;
    let refused = run(&["models", "inspect", cut.to_str().context("a path in UTF-8")?])?;
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""));
    assert!(refused.err.contains("cut.gguf`") && refused.err.contains("are left in the file"), "{}", refused.err);
    Ok(())
}

#[test]
fn a_changed_byte_is_found() -> Result<()> {
    let error = verify_broken(|folder| {
        let path = folder.join("model.bin");
        let mut bytes = fs::read(&path)?;
        bytes[1000] ^= 1;
        Ok(fs::write(path, bytes)?)
    })?;
    assert!(error.contains("model.bin") && error.contains("SHA-256"), "{error}");
    Ok(())
}

#[test]
fn a_missing_file_and_a_cut_one_are_found() -> Result<()> {
    let missing = verify_broken(|folder| Ok(fs::remove_file(folder.join("tokenizer.json"))?))?;
    assert!(missing.contains("tokenizer.json") && missing.contains("missing"), "{missing}");
    let cut = verify_broken(|folder| Ok(fs::write(folder.join("model.bin"), [0; 100])?))?;
    assert!(cut.contains("model.bin") && cut.contains("100 bytes"), "{cut}");
    Ok(())
}

#[test]
fn a_folder_is_verified_by_its_path_too() -> Result<()> {
    let place = copy()?;
    let path = place.path().join("tiny");
    let verified = run(&["models", "verify", path.to_str().context("a path in UTF-8")?, "--run"])?;
    assert_eq!(verified.code, Some(0), "{}", verified.err);
    assert!(verified.out.contains("as in the certificate"), "{}", verified.out);
    Ok(())
}

/// Changes the tokenizer of a folder, and its size and hash in the manifest, as a person who edits
/// it by hand would.
fn edit_tokenizer(folder: &Path, edit: impl FnOnce(&mut serde_json::Value)) -> Result<()> {
    let path = folder.join("tokenizer.json");
    let before = (fs::metadata(&path)?.len(), carafe_models::folder::sha256(&path)?);
    let mut tokenizer = serde_json::from_slice(&fs::read(&path)?)?;
    edit(&mut tokenizer);
    fs::write(&path, serde_json::to_vec(&tokenizer)?)?;
    let after = (fs::metadata(&path)?.len(), carafe_models::folder::sha256(&path)?);
    edit_manifest(folder, |text| {
        text.replace(&before.1, &after.1).replace(&format!("size = {}", before.0), &format!("size = {}", after.0))
    })
}

/// What `models verify --run` says of a copy whose tokenizer was changed.
fn run_with_tokenizer(edit: impl FnOnce(&mut serde_json::Value)) -> Result<String> {
    let place = copy()?;
    let path = place.path().join("tiny");
    edit_tokenizer(&path, edit)?;
    let ran = run(&["models", "verify", path.to_str().context("a path in UTF-8")?, "--run"])?;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    Ok(ran.err)
}

#[test]
fn a_run_opens_the_tokenizer_as_the_server_does() -> Result<()> {
    let truncation = json!({ "direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0 });
    let error = run_with_tokenizer(|tokenizer| tokenizer["truncation"] = truncation)?;
    assert!(error.contains("`truncation` must be null") && error.contains("`convert` drops it"), "{error}");
    Ok(())
}

#[test]
fn a_run_finds_a_tokenizer_that_cuts_otherwise() -> Result<()> {
    let error = run_with_tokenizer(|tokenizer| tokenizer["model"]["merges"] = json!([]))?;
    assert!(error.contains("has the tokens") && error.contains("the certificate says"), "{error}");
    Ok(())
}

#[test]
fn an_unknown_key_is_refused() -> Result<()> {
    let error = verify_broken(|folder| edit_manifest(folder, |text| format!("colour = \"red\"\n{text}")))?;
    assert!(error.contains("colour"), "{error}");
    Ok(())
}

#[test]
fn another_format_is_refused_by_its_number_and_with_what_to_do() -> Result<()> {
    let with_format = |format: &str| {
        let line = format!("format = {format}");
        verify_broken(|folder| edit_manifest(folder, |text| text.replace("format = 2", &line)))
    };
    let error = with_format("3")?;
    assert!(error.contains("format version 3") && error.contains("update Carafe"), "{error}");
    let error = with_format("1")?;
    assert!(error.contains("format version 1") && error.contains("carafe models add SOURCE --again"), "{error}");
    Ok(())
}

#[test]
fn a_path_out_of_the_folder_is_refused() -> Result<()> {
    let error =
        verify_broken(|folder| edit_manifest(folder, |text| text.replace("\"model.bin\"", "\"../model.bin\"")))?;
    assert!(error.contains("../model.bin") && error.contains("plain file name"), "{error}");
    Ok(())
}

#[test]
fn a_users_own_guest_is_refused_for_now() -> Result<()> {
    let error = verify_broken(|folder| edit_manifest(folder, |text| format!("guest = \"mine.wasm\"\n{text}")))?;
    assert!(error.contains("guest"), "{error}");
    Ok(())
}

#[test]
fn a_model_of_another_task_is_refused() -> Result<()> {
    let ran = run(&["generate", "--model", "mobilenet-v2", "--prompt", "x"])?;
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("image-classification") && ran.err.contains("text-generation"), "{}", ran.err);
    Ok(())
}

/// Runs `models list` on a directory.
fn list(directory: &Path, flags: &[&str]) -> Result<Ran> {
    let directory = directory.to_str().context("a path in UTF-8")?;
    run(&[&["models", "list", "--models", directory], flags].concat())
}

#[test]
fn a_broken_model_is_shown_with_its_reason_and_the_others_are_listed() -> Result<()> {
    let place = copy()?;
    fs::create_dir(place.path().join("broken"))?;
    fs::write(place.path().join("broken/model.toml"), "format = 2")?;
    let listed = list(place.path(), &[])?;
    assert!(listed.code == Some(0) && listed.out.contains("tales"), "{listed:?}");
    assert!(listed.err.contains("broken/model.toml` is not a valid manifest"), "{}", listed.err);
    assert!(listed.err.contains("fixtures/models/tiny` is not used: "), "{}", listed.err);
    assert_eq!(list(place.path(), &["--strict"])?.code, Some(1));
    let json = list(place.path(), &["--json"])?.json()?;
    let errors: Vec<_> =
        json.as_array().context("a list")?.iter().filter_map(|entry| entry["error"].as_str()).collect();
    assert!(matches!(errors[..], [error] if error.contains("not a valid manifest")), "{errors:?}");
    Ok(())
}

#[test]
fn a_model_folder_is_understood_and_one_that_is_not_there_is_named() -> Result<()> {
    let place = copy()?;
    let folder = place.path().join("tiny");
    let path = folder.to_str().context("a path in UTF-8")?;
    let shown = run(&["models", "show", "tiny", "--json", "--models", path])?;
    assert!(shown.out.contains(path), "{}", shown.out);
    let missing = place.path().join("missing");
    let missing = missing.to_str().context("a path in UTF-8")?;
    for command in [&["models", "list"][..], &["serve"], &["tokenize", "a"], &["bench"]] {
        let ran = run(&[command, &["--models", missing]].concat())?;
        assert!(ran.code == Some(1) && ran.out.is_empty(), "{command:?}: {ran:?}");
        assert!(ran.err.contains(&format!("`--models` names `{missing}`, which does not exist")), "{}", ran.err);
    }
    let variable = Ran::new(&carafe(&["models", "list"])?.env("CARAFE_MODELS", missing).output()?);
    assert!(variable.err.contains(&format!("`CARAFE_MODELS` names `{missing}`")), "{}", variable.err);
    Ok(())
}
