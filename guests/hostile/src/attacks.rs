//! The attacks, by name. Each returns what the host answered, one text for each try.

use crate::bindings::exports::carafe::guests::generation::Model;
use crate::bindings::wasi::nn::errors::Error;
use crate::bindings::wasi::nn::graph::{ExecutionTarget, GraphEncoding, load, load_by_name};
use crate::bindings::wasi::nn::tensor::{Tensor, TensorType};
use crate::inputs::{Input, Inputs, compute, context};

/// Values that no index may have, whatever it counts.
const WILD: [i32; 4] = [-1, i32::MIN, i32::MAX, 1 << 20];

/// Runs the attack of this name.
pub(crate) fn run(name: &str, model: &Model) -> Vec<String> {
    let inputs = |rows, past| Inputs::step(&model.tensors, rows, past);
    match name {
        "honest" => vec![compute(&context(model), &inputs(1, 0).all())],
        "lengths" => lengths(model),
        "dimensions" => dimensions(model),
        "names" => names(model),
        "types" => types(model),
        "input-ids" => values(model, |inputs| &mut inputs.input_ids, &[model.vocabulary_size as i32]),
        "position-ids" => values(model, |inputs| &mut inputs.position_ids, &[model.context_length as i32]),
        "beam-idx" => values(model, |inputs| &mut inputs.beam_idx, &[1]),
        "beam-idx-later" => beam_idx_later(model),
        "logit-idx" => values(model, |inputs| &mut inputs.logit_idx, &[1]),
        "attention-mask" => values(model, |inputs| &mut inputs.attention_mask, &[2]),
        "mask-width" => mask_width(model),
        "bounds" => bounds(model),
        "graphs" => graphs(model),
        "load" => loads(),
        "contexts" => contexts(model),
        "caches" => caches(model),
        "failed-compute" => failed_compute(model),
        "tensor-bytes" => tensor_bytes(),
        "tensors" => keep_for_ever(|| Tensor::new(&[1], TensorType::U8, &[0])),
        "errors" => keep_for_ever(|| load_by_name("no such graph").err()),
        "loop" => endless_loop(),
        "memory" => endless_memory(),
        "crash" | "crash-in-submit" => crash(),
        _ => vec![format!("no attack `{name}`")],
    }
}

/// Computes with spoilt inputs, then with right ones on the same context: a refusal must leave it usable.
fn spoilt(model: &Model, spoil: impl Fn(&mut Inputs)) -> Vec<String> {
    let context = context(model);
    let right = Inputs::step(&model.tensors, 1, 0);
    let mut wrong = right.clone();
    spoil(&mut wrong);
    vec![compute(&context, &wrong.all()), compute(&context, &right.all())]
}

fn lengths(model: &Model) -> Vec<String> {
    let lengths = [0, 3, 5, 8, 1 << 20];
    lengths.iter().flat_map(|length| spoilt(model, |inputs| inputs.input_ids.data = vec![0; *length])).collect()
}

fn dimensions(model: &Model) -> Vec<String> {
    let most = u32::MAX;
    let shapes: [&[u32]; 8] = [&[], &[0, 1], &[1, 0], &[1], &[1, 1, 1], &[most, most], &[1 << 30, 4], &[1; 4096]];
    shapes.iter().flat_map(|shape| spoilt(model, |inputs| inputs.input_ids.dimensions = shape.to_vec())).collect()
}

fn names(model: &Model) -> Vec<String> {
    let mask = &model.tensors.attention_mask;
    let names = ["", "0", "no such input", "input_ids\0", mask, &"n".repeat(1 << 20)].map(str::to_owned);
    let mut answers: Vec<String> =
        names.iter().flat_map(|name| spoilt(model, |inputs| inputs.input_ids.name.clone_from(name))).collect();
    let right = Inputs::step(&model.tensors, 1, 0).all();
    answers.push(compute(&context(model), &right[1..]));
    answers.push(compute(&context(model), &[]));
    answers.push(compute(&context(model), &right.iter().cycle().take(1000).cloned().collect::<Vec<Input>>()));
    answers
}

fn types(model: &Model) -> Vec<String> {
    use TensorType::{Bf16, Fp16, Fp32, Fp64, I64, U8};
    let types = [(I64, 8), (Fp64, 8), (Fp32, 4), (Fp16, 2), (Bf16, 2), (U8, 1)];
    let spoil = |ty: TensorType, size: usize| {
        spoilt(model, move |inputs| {
            inputs.input_ids.ty = ty;
            inputs.input_ids.data = vec![0; size];
        })
    };
    types.into_iter().flat_map(|(ty, size)| spoil(ty, size)).collect()
}

/// Tries values that an input must not have: the first after its range, and wild ones.
fn values(model: &Model, input: impl Fn(&mut Inputs) -> &mut Input, first_bad: &[i32]) -> Vec<String> {
    let bad = first_bad.iter().chain(&WILD);
    bad.flat_map(|value| spoilt(model, |inputs| input(inputs).data = value.to_le_bytes().to_vec())).collect()
}

/// Rows that the step before did not have: OpenVINO itself would read memory past the cache.
fn beam_idx_later(model: &Model) -> Vec<String> {
    let context = context(model);
    let mut answers = vec![compute(&context, &Inputs::step(&model.tensors, 2, 0).all())];
    for row in [2, 3, -1, i32::MAX] {
        let mut wrong = Inputs::step(&model.tensors, 1, 1);
        wrong.beam_idx.data = row.to_le_bytes().to_vec();
        answers.push(compute(&context, &wrong.all()));
    }
    answers.push(compute(&context, &Inputs::step(&model.tensors, 1, 1).all()));
    answers
}

fn mask_width(model: &Model) -> Vec<String> {
    let context = context(model);
    let mut answers = vec![compute(&context, &Inputs::step(&model.tensors, 1, 0).all())];
    for past in [0, 2, 100] {
        answers.push(compute(&context, &Inputs::step(&model.tensors, 1, past).all()));
    }
    answers.push(compute(&context, &Inputs::step(&model.tensors, 1, 1).all()));
    answers
}

/// More rows, positions and logits than the manifest allows.
fn bounds(model: &Model) -> Vec<String> {
    let wide = Inputs::step(&model.tensors, model.max_batch + 1, 0);
    let long = |length| Inputs::wide_step(&model.tensors, 1, length, 0);
    let mut many = Inputs::step(&model.tensors, 1, 0);
    many.logit_idx = Input::new(&model.tensors.logit_idx, &[1 << 20], &vec![0; 1 << 20]);
    [wide, long(model.max_step + 1), long(1 << 20), many]
        .iter()
        .map(|inputs| compute(&context(model), &inputs.all()))
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

/// Opens contexts and keeps them until the host refuses.
fn contexts(model: &Model) -> Vec<String> {
    let Ok(graph) = load_by_name(&model.graph) else { return Vec::new() };
    let mut kept = Vec::new();
    for _ in 0..100_000 {
        match graph.init_execution_context() {
            Ok(context) => kept.push(context),
            Err(error) => return vec![answer(Err(error))],
        }
    }
    vec!["served without end".to_owned()]
}

/// Fills the caches of two contexts: each is within the manifest's bounds, both together are not.
fn caches(model: &Model) -> Vec<String> {
    let contexts = [context(model), context(model)];
    // Two steps of so many rows fill one context as far as all together may be filled.
    let rows = model.max_positions / (2 * model.max_step);
    let fill = |past| Inputs::wide_step(&model.tensors, rows, model.max_step, past);
    let mut answers = vec![compute(&contexts[0], &fill(0).all()), compute(&contexts[0], &fill(model.max_step).all())];
    answers.push(compute(&contexts[1], &fill(0).all()));
    let [first, second] = contexts;
    drop(first);
    answers.push(compute(&second, &fill(0).all()));
    answers
}

/// Goes on with a context whose compute has failed inside OpenVINO. For a graph that wants a multiple of 8 positions.
fn failed_compute(model: &Model) -> Vec<String> {
    let step = |length| Inputs::wide_step(&model.tensors, 1, length, 0).all();
    let failed = context(model);
    vec![compute(&failed, &step(7)), compute(&failed, &step(8)), compute(&context(model), &step(8))]
}

/// Makes tensors of 1 MiB and keeps them; the one that the host does not keep has no data, and its use is refused.
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
