//! What the tests with a real OpenVINO share: the library, the tiny text model, and steps of a
//! decoder.
#![expect(clippy::expect_used, clippy::print_stderr, reason = "a test fails by panicking, and says why it is skipped")]

use std::env;
use std::path::{Path, PathBuf};

use carafe_openvino::decoder::{DecoderBounds, DecoderInputs};
use carafe_openvino::{
    Context, DecoderSpec, Error, Graph, GraphFiles, GraphKind, Options, Profile, Runtime, Search, Tensor, TensorView,
};

/// The tiny model's vocabulary.
pub(crate) const VOCABULARY: u32 = 512;
/// The tiny model's context.
pub(crate) const CONTEXT: u32 = 64;

/// Blocks of each context of the tiny model.
pub(crate) const BLOCKS: u32 = 6;

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
        // `native/sanitize.sh` names one of its own.
        layers: vec![
            env::var_os("CARAFE_TEST_LAYER")
                .map_or_else(|| root().join("crates/carafe-openvino/native/built"), PathBuf::from),
        ],
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

/// The tiny model under a profile; its contexts have [`BLOCKS`] blocks.
pub(crate) fn tiny(profile: Profile) -> Option<Graph> {
    tiny_with(&Options { profile, ..Options::default() })
}

/// The same, however it is compiled.
pub(crate) fn tiny_with(options: &Options) -> Option<Graph> {
    let files = files_in(&root().join("fixtures/models/tiny"), "model");
    let graph = Graph::load(&runtime()?, &files, decoder(VOCABULARY), options).expect("the tiny model loads");
    Some(graph.with_num_blocks(BLOCKS))
}

/// What a decoder of this vocabulary may be asked for.
pub(crate) fn decoder(vocabulary_size: u32) -> GraphKind {
    GraphKind::Decoder(spec(vocabulary_size))
}

fn spec(vocabulary_size: u32) -> DecoderSpec {
    DecoderSpec {
        vocabulary_size,
        context_length: CONTEXT,
        max_num_seqs: 4,
        max_num_batched_tokens: 64,
        max_num_logits: 40,
    }
}

/// The same, for checks without a graph.
pub(crate) fn bounds(block_size: u32) -> DecoderBounds {
    DecoderBounds { spec: spec(VOCABULARY), block_size }
}

/// The two files of a model.
pub(crate) fn files_in(folder: &Path, name: &str) -> GraphFiles {
    GraphFiles { xml: folder.join(format!("{name}.xml")), bin: folder.join(format!("{name}.bin")) }
}

/// One sequence's part of a step.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) past: i32,
    pub(crate) tokens: Vec<i32>,
    pub(crate) blocks: Vec<i32>,
}

/// The inputs of a step as numbers, in the order of [`NAMES`].
#[derive(Clone, Debug)]
pub(crate) struct Inputs(pub(crate) [Vec<i32>; 8]);

pub(crate) const NAMES: [&str; 8] = [
    "input_ids",
    "position_ids",
    "past_lens",
    "subsequence_begins",
    "block_indices",
    "block_indices_begins",
    "max_context_len",
    "logit_idx",
];

/// Places in [`Inputs`].
pub(crate) const IDS: usize = 0;
pub(crate) const POSITIONS: usize = 1;
pub(crate) const PAST: usize = 2;
pub(crate) const BEGINS: usize = 3;
pub(crate) const BLOCK_INDICES: usize = 4;
pub(crate) const BLOCK_BEGINS: usize = 5;
pub(crate) const LONGEST: usize = 6;
pub(crate) const LOGITS: usize = 7;

impl Inputs {
    /// A step over these sequences that wants the logits of each one's last token.
    pub(crate) fn of(parts: &[Part]) -> Self {
        let mut inputs: [Vec<i32>; 8] = Default::default();
        (inputs[BEGINS], inputs[BLOCK_BEGINS], inputs[LONGEST]) = (vec![0], vec![0], vec![0]);
        let length = |values: &[i32]| i32::try_from(values.len()).expect("short");
        for part in parts {
            let total = part.past + length(&part.tokens);
            inputs[LONGEST][0] = inputs[LONGEST][0].max(total);
            inputs[IDS].extend(&part.tokens);
            inputs[POSITIONS].extend(part.past..total);
            inputs[PAST].push(part.past);
            let end = length(&inputs[IDS]);
            inputs[BEGINS].push(end);
            inputs[BLOCK_INDICES].extend(&part.blocks);
            let end_of_blocks = length(&inputs[BLOCK_INDICES]);
            inputs[BLOCK_BEGINS].push(end_of_blocks);
            inputs[LOGITS].push(end - 1);
        }
        Self(inputs)
    }

    /// Calls with the inputs as bytes.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&DecoderInputs<'_>) -> T) -> T {
        let bytes = self.0.each_ref().map(|values| values.iter().map(|v| v.to_le_bytes()).collect::<Vec<_>>());
        call(&DecoderInputs {
            input_ids: &bytes[IDS],
            position_ids: &bytes[POSITIONS],
            past_lens: &bytes[PAST],
            subsequence_begins: &bytes[BEGINS],
            block_indices: &bytes[BLOCK_INDICES],
            block_indices_begins: &bytes[BLOCK_BEGINS],
            max_context_len: bytes[LONGEST].first().copied().unwrap_or_default(),
            logit_idx: &bytes[LOGITS],
        })
    }

    /// The inputs as tensors.
    pub(crate) fn tensors(&self) -> Vec<(&'static str, Tensor)> {
        let tensor = |(name, values): (&&'static str, &Vec<i32>)| {
            let length = [u32::try_from(values.len()).expect("short")];
            // One number has no dimensions.
            let dims = if *name == NAMES[LONGEST] { &[][..] } else { &length };
            (*name, Tensor::from_i32(dims, values))
        };
        NAMES.iter().zip(&self.0).map(tensor).collect()
    }

    /// Computes, and gives the logits, a vector for each row asked for.
    pub(crate) fn run(&self, context: &mut Context) -> Result<Vec<Vec<f32>>, Error> {
        let tensors = self.tensors();
        let mut rows = Vec::new();
        context.compute_with(&views(&tensors), |name, logits| {
            assert_eq!(name, "logits");
            let values: Vec<f32> = logits.f32_values().collect();
            rows = values.chunks(logits.dims[1] as usize).map(<[f32]>::to_vec).collect();
        })?;
        Ok(rows)
    }
}

/// Tensors, borrowed.
pub(crate) fn views<'a>(tensors: &'a [(&'static str, Tensor)]) -> Vec<(&'a str, TensorView<'a>)> {
    tensors.iter().map(|(name, tensor)| (*name, tensor.view())).collect()
}

/// The largest difference between two rows of logits.
pub(crate) fn difference(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max)
}
