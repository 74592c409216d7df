//! Loading: what is compiled, what is refused, and what the plugin makes of a profile.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use crate::support::{VOCABULARY, decoder, files_in, root, runtime, tiny, tiny_with};
use carafe_openvino::{
    Activations, ClassifierSpec, ElementType, Error, ErrorKind, Graph, GraphFiles, GraphKind, Options, Profile,
    Runtime, Search, Tensor, TensorSpec,
};
use carafe_tensor::{Dim, Role};

fn fixture(name: &str) -> GraphFiles {
    files_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), name)
}

fn tensor(name: &str, role: Role, element: ElementType, sizes: &[u32]) -> TensorSpec {
    let shape = sizes.iter().map(|&size| Dim::Fixed(size)).collect();
    TensorSpec { name: name.to_owned(), role, element, shape }
}

fn classifier(input: &str, pixels: ElementType, channels: u32, output: &str) -> GraphKind {
    let input = tensor(input, Role::Pixels, pixels, &[1, 2, 2, channels]);
    let output = tensor(output, Role::Scores, ElementType::F32, &[1, 4]);
    GraphKind::Classifier(ClassifierSpec { input, output })
}

fn load(runtime: &Runtime, files: &GraphFiles, spec: GraphKind) -> Result<Graph, Error> {
    Graph::load(runtime, files, spec, &Options::default())
}

#[test]
fn a_model_wider_than_32_bits_is_refused_by_the_name_of_its_tensor() {
    let Some(runtime) = runtime() else { return };
    for (name, expected) in
        [("wide_input", "input `pixels` of the model is i64"), ("wide_output", "output `scores` of the model is i64")]
    {
        let refused =
            load(&runtime, &fixture(name), classifier("pixels", ElementType::U8, 3, "scores")).err().expect("refused");
        assert!(matches!(refused, Error::TooWide { .. }), "{refused}");
        assert!(refused.to_string().starts_with(expected), "{refused}");
    }
}

#[test]
fn a_model_that_differs_from_its_description_is_refused() {
    let Some(runtime) = runtime() else { return };
    let cases = [
        (classifier("image", ElementType::U8, 3, "scores"), "the model has no input `image`; it has `pixels`"),
        (classifier("pixels", ElementType::U8, 3, "labels"), "the model has no output `labels`; it has `scores`"),
        (
            classifier("pixels", ElementType::F32, 3, "scores"),
            "input `pixels` of the model is u8 [1,2,2,3], its description says f32 [1,2,2,3]",
        ),
        (
            classifier("pixels", ElementType::U8, 4, "scores"),
            "input `pixels` of the model is u8 [1,2,2,3], its description says u8 [1,2,2,4]",
        ),
    ];
    for (spec, expected) in cases {
        let refused = load(&runtime, &fixture("pixels"), spec).err().expect("refused");
        assert_eq!(refused.to_string(), expected);
    }
}

#[test]
fn a_text_model_with_another_vocabulary_is_refused() {
    let Some(runtime) = runtime() else { return };
    let files = files_in(&root().join("fixtures/models/tiny"), "model");
    let refused = load(&runtime, &files, decoder(VOCABULARY + 1)).err().expect("refused");
    let expected = "output `logits` of the model is f32 [?,512], its description says f32 [N,513]";
    assert_eq!(refused.to_string(), expected);
}

#[test]
fn an_image_graph_computes() {
    let Some(runtime) = runtime() else { return };
    let graph = load(&runtime, &fixture("pixels"), classifier("pixels", ElementType::U8, 3, "scores")).expect("loads");
    graph.warm_up().expect("warms up");
    let mut context = graph.context().expect("a context");
    // The weights count from 0 to 47 over (12, 4), so that a single 1 picks a row of four.
    for (hot, expected) in [(0, [0.0, 1.0, 2.0, 3.0]), (11, [44.0, 45.0, 46.0, 47.0])] {
        let mut data = vec![0; 12];
        data[hot] = 1;
        let pixels = Tensor { dims: vec![1, 2, 2, 3], element: ElementType::U8, data };
        let outputs = context.compute(&[("pixels", pixels.view())]).expect("computes");
        let [(name, scores)] = &outputs[..] else { panic!("one output") };
        assert_eq!((name.as_str(), &scores.dims[..]), ("scores", &[1, 4][..]));
        assert_eq!(scores.view().f32_values().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn each_profile_resolves_to_what_its_name_says() {
    let graphs = [Profile::Fast, Profile::Latency, Profile::Exact].map(tiny);
    let [Some(fast), Some(latency), Some(exact)] = graphs else { return };
    let exact = exact.properties();
    for (key, value) in [
        ("INFERENCE_PRECISION_HINT", "f32"),
        ("DYNAMIC_QUANTIZATION_GROUP_SIZE", "0"),
        ("KV_CACHE_PRECISION", "f32"),
        ("NUM_STREAMS", "1"),
        ("EXECUTION_DEVICES", "CPU"),
    ] {
        assert_eq!(exact.get(key).map(String::as_str), Some(value), "{key}");
    }
    let fast = fast.properties();
    for (key, value) in [("NUM_STREAMS", "1"), ("PERFORMANCE_HINT", "LATENCY"), ("EXECUTION_DEVICES", "CPU")] {
        assert_eq!(fast.get(key).map(String::as_str), Some(value), "{key}");
    }
    let auto = tiny(Profile::Auto).expect("OpenVINO is here");
    let resolved = auto.options().resolved_profile();
    assert!([Profile::Fast, Profile::Latency].contains(&resolved) && auto.options().profile_reason().is_some());
    assert_eq!(auto.properties(), if resolved == Profile::Fast { fast } else { latency.properties() });
    for key in ["INFERENCE_PRECISION_HINT", "KV_CACHE_PRECISION"] {
        assert!(fast.contains_key(key), "{key}");
        assert_eq!(fast.get(key), latency.properties().get(key), "`latency` differs from `fast` in {key}");
    }
    let group = latency.properties().get("DYNAMIC_QUANTIZATION_GROUP_SIZE");
    assert_eq!(group.map(String::as_str), Some("0"));
}

#[test]
fn activations_are_those_that_somebody_chose_or_else_that_the_model_asks_for() {
    let asked = Some(Activations::F32);
    let by_default = Options::default().for_model(asked);
    let Some(graph) = tiny_with(&by_default) else { return };
    let property = |key: &str| graph.properties().get(key).cloned().unwrap_or_default();
    assert_eq!((property("INFERENCE_PRECISION_HINT"), property("KV_CACHE_PRECISION")), ("f32".into(), "f16".into()));
    // Activations alone are kept; products are those of the profile.
    let plain = tiny(by_default.resolved_profile()).expect("OpenVINO is here");
    let group = "DYNAMIC_QUANTIZATION_GROUP_SIZE";
    assert_eq!(graph.properties().get(group), plain.properties().get(group));
    let named = Options { profile: Profile::Fast, ..Options::default() };
    assert_eq!(named.for_model(asked), named);
    let chosen = Options { activations: Some(Activations::Auto), ..Options::default() };
    assert_eq!(chosen.for_model(asked), chosen);
}

#[test]
fn the_number_of_threads_is_kept() {
    let Some(runtime) = runtime() else { return };
    for threads in [1, 2] {
        let options = Options { threads: NonZeroU32::new(threads), ..Options::default() };
        let spec = classifier("pixels", ElementType::U8, 3, "scores");
        let graph = Graph::load(&runtime, &fixture("pixels"), spec, &options).expect("loads");
        assert_eq!(graph.properties().get("INFERENCE_NUM_THREADS"), Some(&threads.to_string()));
    }
}

#[test]
fn computes_side_by_side_have_a_stream_and_a_thread_each() {
    let Some(runtime) = runtime() else { return };
    for profile in [Profile::Fast, Profile::Exact] {
        // However many threads one compute may have elsewhere.
        let (threads, side_by_side) = (NonZeroU32::new(2), Some(NonZeroU32::MIN));
        let options = Options { profile, threads, side_by_side, ..Options::default() };
        let spec = classifier("pixels", ElementType::U8, 3, "scores");
        let graph = Graph::load(&runtime, &fixture("pixels"), spec, &options).expect("loads");
        for property in ["NUM_STREAMS", "INFERENCE_NUM_THREADS"] {
            assert_eq!(graph.properties().get(property).map(String::as_str), Some("1"), "{property} in {profile}");
        }
    }
}

#[test]
fn threads_are_pinned_where_it_is_asked_for_and_only_there() {
    let Some(runtime) = runtime() else { return };
    for side_by_side in [None, Some(NonZeroU32::MIN)] {
        for (pins_threads, expected) in [(true, "YES"), (false, "NO")] {
            let options = Options { pins_threads, side_by_side, ..Options::default() };
            let spec = classifier("pixels", ElementType::U8, 3, "scores");
            let graph = Graph::load(&runtime, &fixture("pixels"), spec, &options).expect("loads");
            assert_eq!(graph.properties().get("ENABLE_CPU_PINNING").map(String::as_str), Some(expected));
        }
    }
    assert!(!Options::default().pins_threads);
}

#[test]
fn more_threads_than_the_plugin_grants_are_an_error() {
    let Some(runtime) = runtime() else { return };
    for threads in [1 << 16, u32::MAX] {
        let options = Options { threads: NonZeroU32::new(threads), ..Options::default() };
        let spec = classifier("pixels", ElementType::U8, 3, "scores");
        let refused = Graph::load(&runtime, &fixture("pixels"), spec, &options).err().expect("refused");
        assert!(matches!(refused, Error::TooManyThreads { asked, .. } if asked == threads), "{refused}");
        assert!(refused.to_string().contains("`--threads` must be 1 to "), "{refused}");
    }
}

#[test]
fn the_tiny_model_warms_up_under_every_profile() {
    for profile in [Profile::Fast, Profile::Latency, Profile::Exact] {
        let Some(graph) = tiny(profile) else { return };
        graph.warm_up().expect("warms up");
    }
}

#[test]
fn a_missing_file_is_named() {
    let Some(runtime) = runtime() else { return };
    let files = GraphFiles { bin: PathBuf::from("no/such.bin"), ..fixture("pixels") };
    let refused = load(&runtime, &files, classifier("pixels", ElementType::U8, 3, "scores")).err().expect("refused");
    assert_eq!(refused.to_string(), "no readable file at `no/such.bin` (its path must be UTF-8)");
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}

#[test]
fn a_file_that_is_no_model_fails_with_the_words_of_openvino() {
    let Some(runtime) = runtime() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let files = files_in(folder.path(), "model");
    fs::write(&files.xml, "not a model").expect("written");
    fs::write(&files.bin, "").expect("written");
    let failed = load(&runtime, &files, classifier("pixels", ElementType::U8, 3, "scores")).err().expect("refused");
    assert!(failed.to_string().starts_with("OpenVINO failed to read `"), "{failed}");
    assert!(std::error::Error::source(&failed).is_some());
}

#[test]
fn a_process_loads_one_library_only() {
    let Some(runtime) = runtime() else { return };
    let again = Search { explicit: Some(runtime.library_path().to_owned()), ..Search::default() };
    let again = Runtime::load(&again).expect("the same library again");
    assert_eq!(again.library_path(), runtime.library_path());

    let folder = tempfile::tempdir().expect("a folder");
    let other = folder.path().join(runtime.library_path().file_name().expect("a file"));
    fs::write(&other, "").expect("written");
    let refused = Runtime::load(&Search { explicit: Some(other), ..Search::default() }).expect_err("refused");
    assert!(matches!(refused, Error::OtherLibraryLoaded { .. }), "{refused}");
    assert!(refused.to_string().contains(&runtime.library_path().display().to_string()), "{refused}");
}
