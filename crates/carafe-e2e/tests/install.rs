//! `cargo xtask install`: what it installs works from another folder, and `uninstall` takes all of
//! it away and nothing else.
//!
//! Without the conversion tools, whose packages would be fetched anew for each run.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use carafe_e2e::{Ran, root};
use tempfile::TempDir;

/// Runs `cargo xtask COMMAND --prefix PREFIX`.
fn xtask(words: &[&str], prefix: &Path) -> Result<Ran> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["run", "--quiet", "--package", "xtask", "--"]).args(words).arg("--prefix").arg(prefix);
    Ok(Ran::new(&cargo.current_dir(root()).output()?))
}

/// Runs an installed `carafe` in its user's home, with nothing else in its environment.
fn installed(prefix: &Path, home: &Path, words: &[&str]) -> Result<Ran> {
    let mut carafe = Command::new(prefix.join("bin/carafe"));
    Ok(Ran::new(&carafe.args(words).env_clear().env("HOME", home).current_dir(home).output()?))
}

/// All files in a folder and those below, by their path in it.
fn files(folder: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder)?.display().to_string());
            }
        }
    }
    Ok(found)
}

#[test]
fn an_installation_works_from_anywhere_and_leaves_nothing_when_it_goes() -> Result<()> {
    let home = TempDir::new()?;
    let prefix = home.path().join("deep/below/local");
    let done = xtask(&["install", "--without-tools"], &prefix)?;
    assert_eq!(done.code, Some(0), "{}", done.err);
    let first = files(&prefix)?;

    let text = installed(&prefix, home.path(), &["generate", "--prompt", "The king", "--max-tokens", "4", "--json"])?;
    assert_eq!(text.json()?["usage"]["completion_tokens"], 4);
    let picture = root().join("images/cat_720p.jpg").display().to_string();
    let label = installed(&prefix, home.path(), &["classify", &picture, "--top", "1"])?;
    assert!(label.out.contains("Egyptian cat"), "{}{}", label.out, label.err);
    let places = installed(&prefix, home.path(), &["models", "list"])?;
    let source = root().display().to_string();
    assert!(!places.err.contains(&source), "an installed program looks into the source tree: {}", places.err);

    let again = xtask(&["install", "--without-tools"], &prefix)?;
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert_eq!(files(&prefix)?, first, "installing over an earlier installation");

    assert_eq!(xtask(&["uninstall"], &prefix)?.code, Some(0));
    assert!(!home.path().join("deep").exists(), "{:?}", files(home.path())?);
    Ok(())
}

#[test]
fn completions_are_understood_by_their_shells_and_manual_pages_by_man() -> Result<()> {
    let folder = TempDir::new()?;
    for shell in ["bash", "zsh", "fish"] {
        let script = carafe_e2e::run(&["completions", shell])?;
        assert!(script.out.contains("tokenize"), "{shell}: {}", script.err);
        fs::write(folder.path().join(shell), script.out)?;
    }
    let loaded =
        Command::new("bash").args(["-euc", "source ./bash; complete -p carafe"]).current_dir(&folder).output()?;
    assert!(loaded.status.success(), "{loaded:?}");
    let pages: PathBuf = folder.path().join("pages");
    fs::create_dir(&pages)?;
    let written = carafe_e2e::run(&["manual", &pages.display().to_string()])?;
    assert_eq!(written.code, Some(0), "{}", written.err);
    let pages = files(&pages)?;
    for page in ["carafe.1", "carafe-serve.1", "carafe-models-pull.1", "carafe-health.1"] {
        assert!(pages.contains(page), "{pages:?}");
    }
    Ok(())
}

/// What pip makes of the wheel below a prefix: the program, the layer and a model, and in the
/// packages of a Python the wheel's own record and OpenVINO.
fn wheel(prefix: &Path, openvino: &Path) -> Result<PathBuf> {
    let packages = prefix.join("lib/python3.11/site-packages");
    let record = format!("carafe_openvino-{}.dist-info", env!("CARGO_PKG_VERSION"));
    for folder in ["bin", "lib/carafe", "share/carafe/models"] {
        fs::create_dir_all(prefix.join(folder))?;
    }
    fs::create_dir_all(packages.join(record))?;
    let binary = carafe_e2e::carafe(&["--version"])?.get_program().to_owned();
    fs::copy(binary, prefix.join("bin/carafe"))?;
    let layer = "libcarafe_openvino.so";
    fs::copy(root().join("crates/carafe-openvino/native/built").join(layer), prefix.join("lib/carafe").join(layer))?;
    symlink(root().join("models/tales"), prefix.join("share/carafe/models/tales"))?;
    symlink(openvino, packages.join("openvino"))?;
    Ok(packages)
}

/// The folder of OpenVINO's wheel in `.venv`.
fn openvino() -> Result<PathBuf> {
    let ask = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let packages = Command::new(root().join(".venv/bin/python")).args(["-c", ask]).output()?.stdout;
    Ok(Path::new(String::from_utf8(packages)?.trim()).join("openvino"))
}

/// A program of one line, which leaves its words beside itself.
fn script(path: &Path, line: &str) -> Result<()> {
    fs::write(path, format!("#!/bin/sh\necho \"$@\" >> \"$0.words\"\n{line}\n"))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

#[test]
fn a_wheel_s_program_finds_its_models_its_openvino_and_its_python() -> Result<()> {
    let (home, openvino) = (TempDir::new()?, openvino()?);
    let prefix = home.path().join("environment");
    let packages = wheel(&prefix, &openvino)?;
    let generate = ["generate", "--prompt", "The king", "--max-tokens", "4", "--json"];
    let text = installed(&prefix, home.path(), &generate)?;
    assert_eq!(text.json()?["usage"]["completion_tokens"], 4, "{}", text.err);

    // OpenVINO was there before, elsewhere; the environment's Python says where.
    fs::remove_file(packages.join("openvino"))?;
    let python = prefix.join("bin/python3.11");
    script(&python, &format!("echo {}", openvino.display()))?;
    let text = installed(&prefix, home.path(), &generate)?;
    assert_eq!(text.json()?["usage"]["completion_tokens"], 4, "{}", text.err);

    // The same Python converts models.
    let export = home.path().join("export");
    fs::create_dir(&export)?;
    fs::write(export.join("openvino_model.xml"), "")?;
    let added = installed(&prefix, home.path(), &["models", "add", &export.display().to_string()])?;
    let words = fs::read_to_string(prefix.join("bin/python3.11.words"))?;
    assert!(words.contains(&format!("-m carafe_tools add {}", export.display())), "{words}\n{}", added.err);
    Ok(())
}

#[test]
fn what_is_not_the_installation_s_own_stays() -> Result<()> {
    let prefix = TempDir::new()?;
    let other = prefix.path().join("bin/carafe");
    fs::create_dir(other.parent().context("a file in a folder")?)?;
    fs::write(&other, "another program")?;
    let refused = xtask(&["install", "--without-tools"], prefix.path())?;
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("is there already and no installation has put it there"), "{}", refused.err);
    assert_eq!(files(prefix.path())?, BTreeSet::from(["bin/carafe".to_owned()]));
    let nothing = xtask(&["uninstall"], prefix.path())?;
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.err.contains("nothing is installed in"), "{}", nothing.err);
    assert_eq!(fs::read_to_string(other)?, "another program");
    Ok(())
}

#[test]
fn a_record_that_leads_out_of_the_installation_is_refused() -> Result<()> {
    let place = TempDir::new()?;
    let (prefix, precious) = (place.path().join("prefix"), place.path().join("precious"));
    fs::create_dir_all(prefix.join("share/carafe"))?;
    fs::write(&precious, "")?;
    for line in ["file ../precious", "tree ..", "file /etc/hostname", "above /nonexistent", "tree ", "junk"] {
        fs::write(prefix.join("share/carafe/installed.txt"), format!("file bin/carafe\n{line}\n"))?;
        let refused = xtask(&["uninstall"], &prefix)?;
        assert_eq!(refused.code, Some(1), "{line}: {}", refused.err);
        assert!(refused.err.contains("which no installation writes"), "{}", refused.err);
    }
    assert!(precious.exists());
    Ok(())
}
