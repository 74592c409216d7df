//! What the tests with a real OpenVINO share: the library, the tiny text model, and steps of a text graph.
#![expect(clippy::expect_used, clippy::print_stderr, reason = "a test fails by panicking, and says why it is skipped")]

use std::env;
use std::path::{Path, PathBuf};

use carafe_openvino::{
    Bounds, Context, Dim, ElementType, Error, Graph, GraphFiles, GraphSpec, Options, Profile, Role, Runtime, Search,
    Tensor, TensorSpec, TensorView,
};

/// The tiny model's vocabulary.
pub(crate) const VOCABULARY: u32 = 512;
/// The tiny model's context.
pub(crate) const CONTEXT: u32 = 64;

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    crates.and_then(Path::parent).expect("the crate lies two folders below the root")
}

/// OpenVINO, or `None` with the reason printed where it is not installed; in CI it must be.
pub(crate) fn runtime() -> Option<Runtime> {
    let search = Search {
        explicit: env::var_os("CARAFE_OPENVINO").map(PathBuf::from),
        folders: vec![root().join(".venv")],
        layers: vec![root().join("crates/carafe-openvino/native/built")],
    };
    match Runtime::load(&search) {
        Ok(runtime) => Some(runtime),
        Err(missing @ Error::LibraryNotFound { .. }) if env::var_os("CI").is_none() => {
            eprintln!("skipped: {missing}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// The tiny model under a profile.
pub(crate) fn tiny(profile: Profile) -> Option<Graph> {
    let files = files_in(&root().join("fixtures/models/tiny"), "model");
    let options = Options { profile, ..Options::default() };
    Some(Graph::load(&runtime()?, &files, text_spec(VOCABULARY), &options).expect("the tiny model loads"))
}

/// The two files of a model.
pub(crate) fn files_in(folder: &Path, name: &str) -> GraphFiles {
    GraphFiles { xml: folder.join(format!("{name}.xml")), bin: folder.join(format!("{name}.bin")) }
}

/// The description of a text graph with this vocabulary.
pub(crate) fn text_spec(vocabulary_size: u32) -> GraphSpec {
    let input = |name: &str, role, shape: &[Dim]| TensorSpec {
        name: name.to_owned(),
        role,
        element: ElementType::I32,
        shape: shape.to_vec(),
    };
    let inputs = vec![
        input("input_ids", Role::InputIds, &[Dim::Batch, Dim::Step]),
        input("position_ids", Role::PositionIds, &[Dim::Batch, Dim::Step]),
        input("attention_mask", Role::AttentionMask, &[Dim::Batch, Dim::Total]),
        input("beam_idx", Role::BeamIdx, &[Dim::Batch]),
        input("logit_idx", Role::LogitIdx, &[Dim::Logits]),
    ];
    let logits = TensorSpec {
        name: "logits".to_owned(),
        role: Role::Logits,
        element: ElementType::F32,
        shape: vec![Dim::Logits, Dim::Fixed(vocabulary_size)],
    };
    let bounds = Bounds { batch: 4, step: 32, logits: 32, positions: 512, vocabulary_size, context_length: CONTEXT };
    GraphSpec::new(inputs, vec![logits], Some(bounds)).expect("the description is right")
}

/// The tensors of one compute.
#[derive(Clone, Debug)]
pub(crate) struct Step(pub(crate) Vec<(&'static str, Tensor)>);

impl Step {
    /// One row of tokens at `position`, seeing all of `past` but what `hidden` says, with every token's logits.
    pub(crate) fn row(tokens: &[i32], position: u32, past: u32, hidden: &[u32]) -> Self {
        let length = u32::try_from(tokens.len()).expect("a short row");
        let mask: Vec<i32> = (0..past + length).map(|kept| i32::from(!hidden.contains(&kept))).collect();
        Self(vec![
            ("input_ids", ints(&[1, length], tokens)),
            ("position_ids", ints(&[1, length], &count(position, length))),
            ("attention_mask", ints(&[1, past + length], &mask)),
            ("beam_idx", ints(&[1], &[0])),
            ("logit_idx", ints(&[length], &count(0, length))),
        ])
    }

    /// The masked position that every context starts with.
    pub(crate) fn dummy() -> Self {
        Self::row(&[0], 0, 0, &[0])
    }

    /// The same with one tensor replaced.
    pub(crate) fn with(mut self, name: &str, tensor: Tensor) -> Self {
        for (known, old) in &mut self.0 {
            if *known == name {
                *old = tensor.clone();
            }
        }
        self
    }

    /// The tensors, borrowed.
    pub(crate) fn views(&self) -> Vec<(&str, TensorView<'_>)> {
        self.0.iter().map(|(name, tensor)| (*name, tensor.view())).collect()
    }

    /// Computes, and gives the logits, a vector for each row asked for.
    pub(crate) fn run(&self, context: &mut Context) -> Result<Vec<Vec<f32>>, Error> {
        let mut rows = Vec::new();
        context.compute_with(&self.views(), |name, logits| {
            assert_eq!(name, "logits");
            let values: Vec<f32> = logits.f32_values().collect();
            rows = values.chunks(logits.dims[1] as usize).map(<[f32]>::to_vec).collect();
        })?;
        Ok(rows)
    }
}

/// An i32 tensor.
pub(crate) fn ints(dims: &[u32], values: &[i32]) -> Tensor {
    Tensor::from_i32(dims, values)
}

/// `length` numbers from `first` on.
pub(crate) fn count(first: u32, length: u32) -> Vec<i32> {
    (first..first + length).map(|value| i32::try_from(value).expect("a small number")).collect()
}

/// The largest difference between two rows of logits.
pub(crate) fn difference(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max)
}
