//! A library that cannot be loaded; alone in its file, since a process loads OpenVINO once.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;

use carafe_openvino::{Error, ErrorKind, Runtime, Search};

#[test]
fn a_file_that_is_no_library_is_refused_in_the_words_of_the_loader() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = folder.path().join("libopenvino.so.2641");
    fs::write(&library, "not a library").expect("written");
    let refused = Runtime::load(&Search { explicit: Some(library), ..Search::default() }).expect_err("refused");
    assert!(matches!(refused, Error::LibraryRefused { .. }), "{refused}");
    assert!(refused.to_string().contains("libopenvino.so.2641"), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::Runtime);
}

#[test]
fn a_named_folder_without_a_library_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let search = Search {
        explicit: Some(folder.path().to_owned()),
        folders: vec![folder.path().join("unused")],
        ..Search::default()
    };
    let missing = Runtime::load(&search).expect_err("missing").to_string();
    assert!(missing.contains(&format!("`{}`: no such library in this folder", folder.path().display())), "{missing}");
    assert!(!missing.contains("unused"), "a named folder is the only one looked in: {missing}");
    assert!(missing.contains("\nhint: run `cargo xtask setup`, or set `CARAFE_OPENVINO`"), "{missing}");
}
