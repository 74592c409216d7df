//! The rules that every tensor must keep before native code sees it.
//!
//! OpenVINO trusts its inputs: a `beam_idx` past the last row returns stale or foreign memory and aborts the process a
//! step later, a mask narrower than P+S gives an empty output and then an abort, a token id of -1 wraps around. So
//! [`check`] holds a compute's tensors against the graph's [`GraphSpec`] and the context's [`ContextState`]: names,
//! types, dimensions, byte lengths, limits, and the values of index inputs. It is pure and allocates one small vector.
//!
//! Nothing here may panic, whatever the tensors hold. Names are compared, never handed on.

use crate::error::Error;
use crate::shape::{Bound, Dim, Role};
use crate::spec::{Bounds, GraphSpec, TensorSpec};
use crate::tensor::TensorView;

/// What a context keeps between computes, as far as checking needs to know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContextState {
    /// B of the step before; absent before the first.
    pub rows: Option<u32>,
    /// P: the positions kept from all steps before.
    pub past: u32,
    /// A compute failed inside OpenVINO, so that what it keeps is unknown.
    pub dead: bool,
}

/// The sizes of one compute of a text graph; all 0 for an image graph, whose dimensions are fixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// B, rows.
    pub batch: u32,
    /// S, positions a row.
    pub step: u32,
    /// P+S, positions kept after this compute.
    pub total: u32,
    /// N, rows of logits.
    pub logits: u32,
}

impl Sizes {
    /// The size of a dimension in this compute.
    #[must_use]
    pub const fn of(&self, dim: Dim) -> u32 {
        match dim {
            Dim::Fixed(size) => size,
            Dim::Batch => self.batch,
            Dim::Step => self.step,
            Dim::Total => self.total,
            Dim::Logits => self.logits,
        }
    }
}

/// Tensors that keep every rule.
#[derive(Clone, Debug)]
pub struct Checked<'a> {
    /// The compute's sizes.
    pub sizes: Sizes,
    /// The tensors, in the order of [`GraphSpec::inputs`].
    pub tensors: Vec<TensorView<'a>>,
    /// The context's state once the compute has succeeded.
    pub next: ContextState,
}

/// Holds the tensors of one compute against every rule; the first broken one is the error.
///
/// # Errors
///
/// [`Error::DeadContext`], or an error that names the tensor, what was expected and what was found.
pub fn check<'a>(
    spec: &GraphSpec,
    state: &ContextState,
    inputs: &[(&str, TensorView<'a>)],
) -> Result<Checked<'a>, Error> {
    if state.dead {
        return Err(Error::DeadContext);
    }
    let tensors = in_order(spec, inputs)?;
    for (expected, tensor) in spec.inputs().iter().zip(&tensors) {
        check_form(expected, tensor)?;
    }
    let Some(bounds) = spec.bounds() else {
        let sizes = Sizes::default();
        check_dimensions(spec, &tensors, &sizes)?;
        return Ok(Checked { sizes, tensors, next: *state });
    };
    let sizes = sizes_within(bounds, spec, state, &tensors)?;
    check_dimensions(spec, &tensors, &sizes)?;
    for (expected, tensor) in spec.inputs().iter().zip(&tensors) {
        if let Some(limit) = limit_of(expected.role, bounds, state, &sizes) {
            check_values(&expected.name, tensor.data, limit)?;
        }
    }
    let next = ContextState { rows: Some(sizes.batch), past: sizes.total, dead: false };
    Ok(Checked { sizes, tensors, next })
}

/// Each input of the graph exactly once, put into the graph's order.
fn in_order<'a>(spec: &GraphSpec, inputs: &[(&str, TensorView<'a>)]) -> Result<Vec<TensorView<'a>>, Error> {
    let mut found = vec![None; spec.inputs().len()];
    for (name, tensor) in inputs {
        let Some(index) = spec.inputs().iter().position(|expected| expected.name == *name) else {
            return Err(Error::UnknownInput { tensor: shorten(name), known: names(spec.inputs()) });
        };
        if found[index].replace(*tensor).is_some() {
            return Err(Error::RepeatedInput { tensor: spec.inputs()[index].name.clone() });
        }
    }
    let pairs = spec.inputs().iter().zip(found);
    pairs
        .map(|(expected, tensor)| tensor.ok_or_else(|| Error::MissingInput { tensor: expected.name.clone() }))
        .collect()
}

/// What can be said of a tensor alone: type, rank, no empty dimension, as many bytes as its dimensions need.
fn check_form(expected: &TensorSpec, tensor: &TensorView<'_>) -> Result<(), Error> {
    let name = || expected.name.clone();
    if tensor.element != expected.element {
        return Err(Error::WrongElement {
            tensor: name(),
            expected: expected.element,
            got: tensor.element.to_string(),
        });
    }
    if tensor.dims.len() != expected.shape.len() {
        return Err(Error::WrongRank { tensor: name(), expected: expected.shape.len(), got: tensor.dims.len() });
    }
    if let Some(axis) = tensor.dims.iter().position(|&size| size == 0) {
        return Err(Error::ZeroDimension { tensor: name(), axis });
    }
    let needed = tensor.element.bytes_of(tensor.dims).ok_or_else(|| Error::SizeOverflow { tensor: name() })?;
    let got = tensor.data.len() as u64;
    if got == needed { Ok(()) } else { Err(Error::WrongLength { tensor: name(), expected: needed, got }) }
}

/// The compute's sizes, read off `input_ids` and `logit_idx`, each within its bound.
fn sizes_within(
    bounds: &Bounds,
    spec: &GraphSpec,
    state: &ContextState,
    tensors: &[TensorView<'_>],
) -> Result<Sizes, Error> {
    let dim = |role: Role, axis: usize| {
        let index = spec.inputs().iter().position(|expected| expected.role == role)?;
        tensors.get(index)?.dims.get(axis).copied().map(u64::from)
    };
    let batch = within(Bound::Batch, dim(Role::InputIds, 0).unwrap_or(0), bounds.batch)?;
    let step = within(Bound::Step, dim(Role::InputIds, 1).unwrap_or(0), bounds.step)?;
    let every = u64::from(batch) * u64::from(step);
    let logits = within(Bound::Logits, dim(Role::LogitIdx, 0).unwrap_or(every), bounds.logits)?;
    let total = u64::from(state.past) + u64::from(step);
    within(Bound::Positions, u64::from(batch).saturating_mul(total), bounds.positions)?;
    let total = within(Bound::Positions, total, bounds.positions)?;
    Ok(Sizes { batch, step, total, logits })
}

fn within(bound: Bound, got: u64, limit: u32) -> Result<u32, Error> {
    match u32::try_from(got) {
        Ok(size) if size <= limit => Ok(size),
        _ => Err(Error::TooLarge { bound, limit: u64::from(limit), got }),
    }
}

/// Every dimension is the graph's own, or the same letter's size in every input.
fn check_dimensions(spec: &GraphSpec, tensors: &[TensorView<'_>], sizes: &Sizes) -> Result<(), Error> {
    for (tensor, view) in spec.inputs().iter().zip(tensors) {
        for (axis, (dim, &got)) in tensor.shape.iter().zip(view.dims).enumerate() {
            let expected = sizes.of(*dim);
            if got != expected {
                let letter = match dim {
                    Dim::Fixed(_) => "fixed".to_owned(),
                    letter => letter.to_string(),
                };
                return Err(Error::WrongDimension { tensor: tensor.name.clone(), axis, letter, expected, got });
            }
        }
    }
    Ok(())
}

/// What an index input's values must be below; `None` for a tensor of numbers.
fn limit_of(role: Role, bounds: &Bounds, state: &ContextState, sizes: &Sizes) -> Option<u32> {
    match role {
        Role::InputIds => Some(bounds.vocabulary_size),
        Role::PositionIds => Some(bounds.context_length),
        Role::AttentionMask => Some(2),
        Role::BeamIdx => Some(state.rows.unwrap_or(sizes.batch)),
        Role::LogitIdx => Some(sizes.batch.saturating_mul(sizes.step)),
        Role::Pixels | Role::Logits | Role::Scores => None,
    }
}

/// One pass without branches over little-endian i32, at any alignment: a negative value is a huge unsigned one.
fn check_values(name: &str, data: &[u8], limit: u32) -> Result<(), Error> {
    let (values, _) = data.as_chunks::<4>();
    let outside = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes) >= limit;
    if !values.iter().fold(false, |any, value| any | outside(value)) {
        return Ok(());
    }
    let index = values.iter().position(outside).unwrap_or_default();
    let got = values.get(index).copied().map(i32::from_le_bytes).unwrap_or_default();
    Err(Error::ValueOutOfRange { tensor: name.to_owned(), index, largest: limit.saturating_sub(1), got })
}

/// The names of tensors for a message.
pub(crate) fn names(tensors: &[TensorSpec]) -> String {
    let quoted: Vec<String> = tensors.iter().map(|tensor| format!("`{}`", tensor.name)).collect();
    quoted.join(", ")
}

/// A foreign name for a message: printable, and never long.
fn shorten(name: &str) -> String {
    const LONGEST: usize = 64;
    let mut shown: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}
