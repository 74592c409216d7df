//! The fuzz target's corpus, replayed: what libFuzzer has found stays found.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;

use crate::support::root;

#[path = "../../../../fuzz/src/decoder_inputs.rs"]
mod decoder_inputs;

#[test]
fn no_step_of_the_corpus_passes_that_reads_or_writes_what_it_must_not() {
    let corpus = fs::read_dir(root().join("fuzz/corpus/decoder_inputs")).expect("the corpus is there");
    let files: Vec<_> = corpus.map(|file| file.expect("a file").path()).collect();
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        decoder_inputs::run(&fs::read(file).expect("read"));
    }
}
