//! Models by name: which directory wins, and what is said of names and directories that are not
//! there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use carafe_models::{Catalogue, Error, ModelDirectory};
use tempfile::TempDir;

const TEXT: &str = include_str!("manifests/text.toml");

/// Makes a model folder `small` whose description says where it is.
fn place(description: &str) -> TempDir {
    let place = TempDir::new().expect("a temporary folder");
    add(place.path(), "small", &TEXT.replace("for tests", description));
    place
}

fn add(place: &Path, name: &str, manifest: &str) {
    let folder = place.join(name);
    fs::create_dir(&folder).expect("a new folder");
    fs::write(folder.join("model.toml"), manifest).expect("a new file");
}

fn named(path: &Path) -> ModelDirectory {
    ModelDirectory::named(path.to_owned(), "`--models`")
}

fn open(directories: &[&Path]) -> Catalogue {
    let directories: Vec<_> = directories.iter().map(|path| named(path)).collect();
    Catalogue::open(&directories).expect("the directories are there")
}

/// What is said of a directory that was named and cannot be used.
fn refused(path: &Path) -> String {
    Catalogue::open(&[named(path)]).expect_err("it cannot be used").to_string()
}

#[test]
fn the_first_directory_that_has_a_name_wins_and_the_other_model_is_hidden() {
    let (first, second) = (place("first"), place("second"));
    let usual = ModelDirectory::usual("/nonexistent".into());
    let catalogue = Catalogue::open(&[usual, named(first.path()), named(second.path())]).expect("opens");
    assert_eq!(catalogue.find("small").expect("it is there").manifest().description, "first");
    assert_eq!(catalogue.list().len(), 1);
    let hidden: Vec<_> = catalogue.hidden().iter().map(|hidden| (&*hidden.path, &*hidden.by)).collect();
    assert_eq!(open(&[first.path(), &first.path().join("small")]).hidden(), [], "one folder by two ways");
    assert_eq!(hidden, [(&*second.path().join("small"), &*first.path().join("small"))]);
    assert_eq!(catalogue.warnings(), [""; 0]);
}

#[test]
fn an_unknown_name_is_told_what_there_is_and_where() {
    let place = place("here");
    let error = open(&[place.path()]).find("large").expect_err("there is no such model");
    let text = error.to_string();
    assert!(matches!(error, Error::UnknownModel { .. }) && text.contains("small"), "{text}");
    assert!(text.contains(&place.path().display().to_string()), "{text}");
}

#[test]
fn a_folder_must_bear_its_models_name() {
    let place = place("here");
    add(place.path(), "other", TEXT);
    let error = open(&[place.path()]).find("other").expect_err("the names differ");
    assert!(error.to_string().contains("`name` is `small`"), "{error}");
}

#[test]
fn a_broken_model_is_listed_beside_the_sound_ones() {
    let place = place("here");
    add(place.path(), "broken", "format = 1");
    symlink("/nonexistent/model", place.path().join("gone")).expect("a new link");
    fs::create_dir(place.path().join("notes")).expect("a new folder");
    fs::write(place.path().join("README.md"), "no model").expect("a new file");
    let list = open(&[place.path()]).list();
    let sound: Vec<_> =
        list.iter().map(|(path, folder)| (path.file_name().unwrap_or_default(), folder.is_ok())).collect();
    assert_eq!(sound, [("broken".as_ref(), false), ("gone".as_ref(), false), ("small".as_ref(), true)]);
}

#[test]
fn a_directory_that_was_named_must_be_there_and_be_a_folder() {
    let place = place("here");
    let missing = refused(&place.path().join("missing"));
    assert!(missing.contains("`--models` names `") && missing.contains("missing`, which does not exist;"), "{missing}");
    let file = refused(&place.path().join("small/model.toml"));
    assert!(file.contains("model.toml`, which is not a folder; expected a folder of model folders, or a"), "{file}");
}

#[test]
fn a_model_folder_is_a_directory_of_one_model_and_must_be_in_order() {
    let place = place("here");
    let folder = place.path().join("small");
    for path in [folder.clone(), folder.join("."), place.path().join("small/../small")] {
        assert_eq!(open(&[&path]).find("small").expect("it is there").manifest().description, "here", "{path:?}");
    }
    add(place.path(), "copy", TEXT);
    let copy = refused(&place.path().join("copy"));
    assert!(copy.contains("`name` is `small`"), "{copy}");
    symlink(&folder, place.path().join("link")).expect("a new link");
    assert!(refused(&place.path().join("link")).contains("`name` is `small`"), "a link is called as it is");
}

#[test]
fn links_to_directories_and_to_models_are_followed() {
    let (models, elsewhere) = (place("here"), TempDir::new().expect("a temporary folder"));
    symlink(models.path().join("small"), elsewhere.path().join("small")).expect("a new link");
    let link = elsewhere.path().join("models");
    symlink(models.path(), &link).expect("a new link");
    for path in [elsewhere.path(), &link] {
        assert!(open(&[path]).find("small").is_ok(), "{path:?}");
    }
}

#[test]
fn a_named_directory_without_models_is_warned_of() {
    let empty = TempDir::new().expect("a temporary folder");
    let catalogue = open(&[empty.path()]);
    assert!(catalogue.warnings()[0].contains("which holds no model folder"), "{:?}", catalogue.warnings());
    let usual = Catalogue::open(&[ModelDirectory::usual(empty.path().into())]).expect("opens");
    assert_eq!(usual.warnings(), [""; 0]);
}
