//! A library that cannot be loaded; alone in its file, since a process loads OpenVINO once.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// A layer that says of itself that it was built for another version.
fn foreign_layer(folder: &Path, library: &Path) {
    let header = include_str!("../native/carafe_openvino.h");
    let words = header.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let names: BTreeSet<&str> =
        words.filter(|word| word.starts_with("carafe_") && *word != "carafe_openvino").collect();
    let mut source = format!(
        "#include <string.h>\n#include <stdint.h>\n\
         extern \"C\" uint32_t carafe_abi() {{ return 1; }}\n\
         extern \"C\" char *carafe_versions(char **built, char **running, char **library) {{\n\
         *built = strdup(\"2025.1.0\"); *running = strdup(\"2026.4.1-1\"); *library = strdup(\"{}\"); return nullptr; }}\n",
        library.display()
    );
    for name in names.into_iter().filter(|name| !["carafe_abi", "carafe_versions"].contains(name)) {
        source.push_str(&format!("extern \"C\" void *{name}() {{ return nullptr; }}\n"));
    }
    let path = folder.join("layer.cpp");
    fs::write(&path, source).expect("written");
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let mut built = Command::new(compiler);
    built.args(["-shared", "-fPIC", "-o"]).arg(folder.join("libcarafe_openvino.so")).arg(path);
    assert!(built.status().expect("a C++ compiler").success());
}

#[test]
fn a_layer_that_was_built_for_another_version_is_refused_with_both() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let search = Search {
        explicit: std::env::var_os("CARAFE_OPENVINO").map(PathBuf::from),
        folders: vec![root.join(".venv")],
        ..Search::default()
    };
    let Ok(library) = search.find() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    foreign_layer(folder.path(), &library);
    let refused = Runtime::load(&Search { layers: vec![folder.path().to_owned()], ..search }).expect_err("refused");
    assert!(matches!(refused, Error::LayerRefused { .. }), "{refused}");
    let words = "it was built for 2025.1.0, and this is 2026.4.1-1\nhint: run `cargo xtask setup`";
    assert!(refused.to_string().contains(words), "{refused}");
}
