//! Models by name: which place wins, and what an unknown name is told.

use std::fs;
use std::path::Path;

use carafe_models::{Catalogue, Error};
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

#[test]
fn the_first_place_that_has_a_name_wins() {
    let (first, second) = (place("first"), place("second"));
    let catalogue = Catalogue::new(vec!["/nonexistent".into(), first.path().into(), second.path().into()]);
    assert_eq!(catalogue.find("small").expect("it is there").manifest().description, "first");
    assert_eq!(catalogue.list().len(), 1);
}

#[test]
fn an_unknown_name_is_told_what_there_is_and_where() {
    let place = place("here");
    let error = Catalogue::new(vec![place.path().into()]).find("large").expect_err("there is no such model");
    let text = error.to_string();
    assert!(matches!(error, Error::UnknownModel { .. }) && text.contains("small"), "{text}");
    assert!(text.contains(&place.path().display().to_string()), "{text}");
}

#[test]
fn a_folder_must_bear_its_models_name() {
    let place = place("here");
    add(place.path(), "other", TEXT);
    let error = Catalogue::new(vec![place.path().into()]).find("other").expect_err("the names differ");
    assert!(error.to_string().contains("`name` is `small`"), "{error}");
}

#[test]
fn a_broken_model_is_listed_beside_the_sound_ones() {
    let place = place("here");
    add(place.path(), "broken", "format = 1");
    let list = Catalogue::new(vec![place.path().into()]).list();
    let sound: Vec<bool> = list.iter().map(|(_, folder)| folder.is_ok()).collect();
    assert_eq!(sound, [false, true]);
}
