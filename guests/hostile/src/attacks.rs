//! The attacks, by name. Each returns what the host answered, one text for each try.

use crate::bindings::exports::carafe::guests::generation::Model;
use crate::bindings::wasi::nn::errors::Error;
use crate::bindings::wasi::nn::graph::{ExecutionTarget, GraphEncoding, load, load_by_name};
use crate::bindings::wasi::nn::tensor::{Tensor, TensorType};
use crate::inputs::{Input, Inputs, NAMES, Sequence, compute, context};

/// Values that no index may have, whatever it counts.
const WILD: [i32; 4] = [-1, i32::MIN, i32::MAX, 1 << 20];

/// Runs the attack of this name.
pub(crate) fn run(name: &str, model: &Model) -> Vec<String> {
    match name {
        "honest" => vec![compute(&context(model), &Inputs::first(model, 2).0)],
        "honest-later" => spoilt_later(model, &[]),
        "lengths" => lengths(model),
        "dimensions" => dimensions(model),
        "names" => names(model),
        "types" => types(model),
        "values" => values(model),
        "foreign-blocks" => foreign_blocks(model),
        "blocks-written-twice" => blocks_written_twice(model),
        "prefix-sums" => prefix_sums(model),
        "unwritten-past" => unwritten_past(model),
        "stale-blocks" => stale_blocks(model),
        "counts" => counts(model),
        "bounds" => bounds(model),
        "graphs" => graphs(model),
        "load" => loads(),
        "contexts" => contexts(model),
        "failed-compute" => failed_compute(model),
        "tensor-bytes" => tensor_bytes(),
        "tensors" => keep_for_ever(|| Tensor::new(&[1], TensorType::U8, &[0])),
        "errors" => keep_for_ever(|| load_by_name("no such graph").err()),
        "loop" => endless_loop(),
        "memory" => endless_memory(),
        "crash" | "crash-in-submit" | "crash-in-prepare" => crash(),
        _ => vec![format!("no attack `{name}`")],
    }
}

/// Computes with spoilt inputs, then with right ones on the same context: a refusal must leave it
/// usable.
fn spoilt(model: &Model, spoil: impl Fn(&mut Inputs)) -> Vec<String> {
    let context = context(model);
    let right = Inputs::first(model, 2);
    let mut wrong = right.clone();
    spoil(&mut wrong);
    vec![compute(&context, &wrong.0), compute(&context, &right.0)]
}

/// Computes with wrong inputs on a context in which blocks 0 and 1 are written, then decodes on
/// with right ones.
fn spoilt_later(model: &Model, wrong: &[Inputs]) -> Vec<String> {
    let context = context(model);
    let mut answers = vec![compute(&context, &Inputs::first(model, model.block_size as usize + 1).0)];
    answers.extend(wrong.iter().map(|wrong| compute(&context, &wrong.0)));
    answers.push(compute(&context, &Inputs::step(&[next(model, &[0, 1])]).0));
    answers
}

/// The sequence of [`spoilt_later`] with its next token.
fn next(model: &Model, blocks: &[i32]) -> Sequence {
    Sequence { past: model.block_size as i32 + 1, tokens: vec![7], blocks: blocks.to_vec() }
}

/// Every input with lengths that its dimensions do not make; a number is 4 bytes long.
fn lengths(model: &Model) -> Vec<String> {
    let lengths = [0, 3, 5, 9, 1 << 20];
    let tries = NAMES.iter().flat_map(|name| lengths.map(|length| (*name, length)));
    tries.flat_map(|(name, length)| spoilt(model, |inputs| inputs.named(name).data = vec![0; length])).collect()
}

fn dimensions(model: &Model) -> Vec<String> {
    let most = u32::MAX;
    let shapes: [&[u32]; 8] = [&[], &[0], &[1, 2], &[2, 1], &[1, 1, 2], &[most, most], &[1 << 30], &[1; 4096]];
    shapes
        .iter()
        .flat_map(|shape| spoilt(model, |inputs| inputs.named("input_ids").dimensions = shape.to_vec()))
        .collect()
}

fn names(model: &Model) -> Vec<String> {
    let names = ["", "0", "no such input", "input_ids\0", "past_lens", "key_cache.0", &"n".repeat(1 << 20)];
    let mut answers: Vec<String> = names
        .iter()
        .flat_map(|name| spoilt(model, |inputs| inputs.named("input_ids").name = (*name).to_owned()))
        .collect();
    let right = Inputs::first(model, 2).0;
    answers.push(compute(&context(model), &right[1..]));
    answers.push(compute(&context(model), &[]));
    answers.push(compute(&context(model), &right.iter().cycle().take(1000).cloned().collect::<Vec<Input>>()));
    answers
}

fn types(model: &Model) -> Vec<String> {
    use TensorType::{Bf16, Fp16, Fp32, Fp64, I64, U8};
    let types = [(I64, 16), (Fp64, 16), (Fp32, 8), (Fp16, 4), (Bf16, 4), (U8, 2)];
    let spoil = |ty: TensorType, size: usize| {
        spoilt(model, move |inputs| {
            inputs.named("input_ids").ty = ty;
            inputs.named("input_ids").data = vec![0; size];
        })
    };
    types.into_iter().flat_map(|(ty, size)| spoil(ty, size)).collect()
}

/// Tries values that an index must not have: the first after its range, and wild ones.
fn values(model: &Model) -> Vec<String> {
    let first_bad = [
        ("input_ids", model.vocabulary_size as i32),
        ("position_ids", model.context_length as i32),
        ("past_lens", model.context_length as i32),
        ("block_indices", model.num_blocks as i32),
        ("logit_idx", 2),
        ("max_context_len", 3),
    ];
    let tries =
        first_bad.iter().flat_map(|(name, bad)| [*bad].into_iter().chain(WILD).map(move |value| (*name, value)));
    tries
        .flat_map(|(name, value)| {
            spoilt(model, move |inputs| {
                let count = inputs.named(name).data.len() / 4;
                inputs.named(name).set(&vec![value; count]);
            })
        })
        .collect()
}

/// Blocks beyond the cache, and ones that this sequence never wrote.
fn foreign_blocks(model: &Model) -> Vec<String> {
    let beyond = model.num_blocks as i32;
    let blocks = [[0, beyond], [beyond, 1], [0, -1], [i32::MIN, 1], [0, i32::MAX], [2, 1], [3, 3]];
    spoilt_later(model, &blocks.map(|blocks| Inputs::step(&[next(model, &blocks)])))
}

/// A block that two sequences write, that one writes and another reads, that one sequence names
/// twice.
fn blocks_written_twice(model: &Model) -> Vec<String> {
    let one = |blocks: &[i32]| Sequence { past: 0, tokens: vec![5; blocks.len()], blocks: blocks.to_vec() };
    let short = |block: i32| Sequence { past: 0, tokens: vec![5], blocks: vec![block] };
    let long = Sequence { past: 0, tokens: vec![5; model.block_size as usize + 1], blocks: vec![2, 2] };
    let wrong = [
        Inputs::step(&[short(2), short(2)]),
        Inputs::step(&[next(model, &[0, 1]), short(1)]),
        Inputs::step(&[next(model, &[0, 1]), short(0)]),
        Inputs::step(&[next(model, &[0, 0])]),
        Inputs::step(&[long]),
        Inputs::step(&[one(&[2]), next(model, &[0, 1]), next(model, &[0, 1])]),
    ];
    spoilt_later(model, &wrong)
}

/// Prefix sums that do not begin at 0, fall, stand still, or do not end at the total.
fn prefix_sums(model: &Model) -> Vec<String> {
    let right = || {
        let short = Sequence { past: 0, tokens: vec![5, 6], blocks: vec![2] };
        Inputs::step(&[next(model, &[0, 1]), short])
    };
    let tokens: [&[i32]; 7] =
        [&[1, 2, 3], &[0, 4, 3], &[0, -1, 3], &[0, 3, 3], &[0, 1, 2], &[0, 1, i32::MAX], &[i32::MIN, 1, 3]];
    let blocks: [&[i32]; 6] = [&[1, 2, 3], &[0, 3, 3], &[0, 4, 3], &[0, 2, 4], &[0, i32::MIN, 3], &[0, 1, 3]];
    let wrong: Vec<Inputs> = tokens
        .iter()
        .map(|begins| right().with("subsequence_begins", begins))
        .chain(blocks.iter().map(|begins| right().with("block_indices_begins", begins)))
        .collect();
    spoilt_later(model, &wrong)
}

/// A past that reaches beyond what was written.
fn unwritten_past(model: &Model) -> Vec<String> {
    let size = model.block_size as i32;
    let pasts = [size + 2, 2 * size - 1];
    let beyond = Sequence { past: 2 * size, tokens: vec![7], blocks: vec![0, 1, 2] };
    let wrong = pasts.map(|past| Inputs::step(&[Sequence { past, ..next(model, &[0, 1]) }]));
    spoilt_later(model, &[&wrong[..], &[Inputs::step(&[beyond])]].concat())
}

/// Blocks that an earlier context has written, read in a fresh one.
fn stale_blocks(model: &Model) -> Vec<String> {
    let secret = context(model);
    let written = compute(&secret, &Inputs::first(model, model.block_size as usize + 1).0);
    drop(secret);
    let fresh = context(model);
    let wrong = compute(&fresh, &Inputs::step(&[next(model, &[0, 1])]).0);
    vec![written, wrong, compute(&fresh, &Inputs::first(model, 2).0)]
}

/// Counts that do not match one another, and logits that nobody wants.
fn counts(model: &Model) -> Vec<String> {
    let right = || Inputs::step(&[next(model, &[0, 1])]);
    let past = model.block_size as i32 + 1;
    let wrong = [
        right().with("position_ids", &[past, past]),
        right().with("past_lens", &[past, 0]),
        right().with("past_lens", &[]),
        right().with("subsequence_begins", &[0, 1, 1]),
        right().with("block_indices", &[0]),
        right().with("block_indices", &[0, 1, 2]),
        right().with("block_indices_begins", &[0]),
        right().with("max_context_len", &[past]),
        right().with("logit_idx", &[]),
    ];
    spoilt_later(model, &wrong)
}

/// More sequences, tokens and logits than an inference may have.
fn bounds(model: &Model) -> Vec<String> {
    let short = |block: u32| Sequence { past: 0, tokens: vec![5], blocks: vec![block as i32] };
    let wide: Vec<Sequence> = (0..=model.max_num_seqs).map(short).collect();
    let long = |count: u32| Inputs::first(model, count as usize);
    let many = Inputs::first(model, 2).with("logit_idx", &vec![0; model.max_num_logits as usize + 1]);
    [Inputs::step(&wide), long(model.max_num_batched_tokens + 1), long(1 << 20), many]
        .iter()
        .map(|inputs| compute(&context(model), &inputs.0))
        .collect()
}

fn graphs(model: &Model) -> Vec<String> {
    let other = format!("{}\0", model.graph);
    let names = ["", "no such graph", "../../models/tales", "/etc/passwd", &other, &"g".repeat(1 << 20)];
    names.iter().map(|name| answer(load_by_name(name).map(drop))).collect()
}

fn loads() -> Vec<String> {
    let bytes = || vec![b"<net name=\"x\" version=\"11\"/>".to_vec(), vec![0; 1 << 16]];
    let targets = [ExecutionTarget::Cpu, ExecutionTarget::Gpu, ExecutionTarget::Tpu];
    let encodings = [GraphEncoding::Openvino, GraphEncoding::Onnx, GraphEncoding::Autodetect];
    let tries = targets.iter().flat_map(|target| encodings.iter().map(move |encoding| (*encoding, *target)));
    tries.map(|(encoding, target)| answer(load(&bytes(), encoding, target).map(drop))).collect()
}

/// Opens contexts and keeps them until the host refuses; a dropped one makes room for another.
fn contexts(model: &Model) -> Vec<String> {
    let Ok(graph) = load_by_name(&model.graph) else { return Vec::new() };
    let mut kept = Vec::new();
    for _ in 0..100_000 {
        match graph.init_execution_context() {
            Ok(context) => kept.push(context),
            Err(error) => {
                let refused = answer(Err(error));
                kept.pop();
                return vec![refused, answer(graph.init_execution_context().map(drop))];
            }
        }
    }
    vec!["served without end".to_owned()]
}

/// Goes on with a context whose compute has failed inside OpenVINO. For a graph that fails over
/// token 7.
fn failed_compute(model: &Model) -> Vec<String> {
    let step = |token: i32| Inputs::step(&[Sequence { past: 0, tokens: vec![token], blocks: vec![0] }]).0;
    let failed = context(model);
    let mut answers = vec![compute(&failed, &step(7)), compute(&failed, &step(1))];
    drop(failed);
    answers.push(compute(&context(model), &step(1)));
    answers
}

/// Makes tensors of 1 MiB and keeps them; the one that the host does not keep has no data, and its
/// use is refused.
fn tensor_bytes() -> Vec<String> {
    let data = vec![7; 1 << 20];
    let mut kept = Vec::new();
    for _ in 0..100_000 {
        let tensor = Tensor::new(&[1 << 20], TensorType::U8, &data);
        if tensor.data().is_empty() {
            return vec![format!("kept {} MiB", kept.len())];
        }
        kept.push(tensor);
    }
    vec!["served without end".to_owned()]
}

fn keep_for_ever<T>(make: impl Fn() -> T) -> Vec<String> {
    let kept: Vec<T> = (0..1_000_000).map(|_| make()).collect();
    vec![format!("served {} without end", kept.len())]
}

fn endless_loop() -> Vec<String> {
    let mut count = 0_u64;
    loop {
        count = std::hint::black_box(count.wrapping_add(1));
    }
}

fn endless_memory() -> Vec<String> {
    let mut kept = Vec::new();
    loop {
        kept.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&kept);
    }
}

/// Ends the guest as a bug would.
pub(crate) fn crash() -> ! {
    std::process::abort()
}

fn answer(result: Result<(), Error>) -> String {
    match result {
        Ok(()) => "served".to_owned(),
        Err(error) => format!("{:?}: {}", error.code(), error.data()),
    }
}
