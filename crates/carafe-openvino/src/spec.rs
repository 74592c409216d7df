//! What a graph expects and gives, in terms of roles: the ground on which tensors are checked.
//!
//! A [`GraphSpec`] is checked once, when it is made, and trusted after that. Two kinds of graph exist:
//! - text, stateful: `input_ids [B,S]`, `position_ids [B,S]`, `attention_mask [B,P+S]`, `beam_idx [B]` and, unless the
//!   graph gives logits for every position, `logit_idx [N]`, all i32, to logits `[N,V]` or `[B,S,V]`, f32;
//! - image, stateless: pixels to scores, every dimension fixed.
//!
//! B is the rows of a compute, S its positions a row, P the positions that the context keeps from before, N the rows
//! of logits asked for, V the vocabulary.

use crate::error::Error;
use crate::shape::{Dim, Direction, Role, describe};
use crate::tensor::ElementType;

/// One input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name in the model.
    pub name: String,
    /// What it means.
    pub role: Role,
    /// The type of its elements.
    pub element: ElementType,
    /// Its dimensions, outermost first.
    pub shape: Vec<Dim>,
}

/// What one compute of a text graph may ask for, and what its indices index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// B at most.
    pub batch: u32,
    /// S at most.
    pub step: u32,
    /// N at most.
    pub logits: u32,
    /// B*(P+S) at most.
    pub positions: u32,
    /// V: token ids are below it.
    pub vocabulary_size: u32,
    /// Position ids are below it.
    pub context_length: u32,
}

/// A graph's inputs, outputs and bounds, free of contradictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphSpec {
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    bounds: Option<Bounds>,
}

impl GraphSpec {
    /// Checks a description: names, roles, types, shapes and bounds.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSpec`], saying what is wrong and what is expected.
    pub fn new(inputs: Vec<TensorSpec>, outputs: Vec<TensorSpec>, bounds: Option<Bounds>) -> Result<Self, Error> {
        let spec = Self { inputs, outputs, bounds };
        spec.check_names(Direction::Input)?;
        spec.check_names(Direction::Output)?;
        match &spec.bounds {
            Some(bounds) => spec.check_text(bounds)?,
            None => spec.check_image()?,
        }
        Ok(spec)
    }

    /// What a compute takes, in the order in which [`Checked`](crate::Checked) holds tensors.
    #[must_use]
    pub fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    /// What a compute gives.
    #[must_use]
    pub fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    /// The bounds of a text graph; absent for images.
    #[must_use]
    pub fn bounds(&self) -> Option<&Bounds> {
        self.bounds.as_ref()
    }

    pub(crate) fn side(&self, direction: Direction) -> &[TensorSpec] {
        match direction {
            Direction::Input => &self.inputs,
            Direction::Output => &self.outputs,
        }
    }

    fn check_names(&self, direction: Direction) -> Result<(), Error> {
        let side = self.side(direction);
        for (index, tensor) in side.iter().enumerate() {
            if tensor.name.is_empty() || tensor.name.contains('\0') {
                return invalid(format!("{direction} {index} has an empty name or one that holds a NUL"));
            }
            if side[..index].iter().any(|other| other.name == tensor.name || other.role == tensor.role) {
                return invalid(format!("{direction} `{}` repeats a name or a role", tensor.name));
            }
        }
        Ok(())
    }

    fn check_text(&self, bounds: &Bounds) -> Result<(), Error> {
        bounds.check()?;
        for role in [Role::InputIds, Role::PositionIds, Role::AttentionMask, Role::BeamIdx] {
            if !self.inputs.iter().any(|tensor| tensor.role == role) {
                return invalid(format!("a text graph needs an input with the role {role:?}"));
            }
        }
        for tensor in &self.inputs {
            let shape: &[Dim] = match tensor.role {
                Role::InputIds | Role::PositionIds => &[Dim::Batch, Dim::Step],
                Role::AttentionMask => &[Dim::Batch, Dim::Total],
                Role::BeamIdx => &[Dim::Batch],
                Role::LogitIdx => &[Dim::Logits],
                Role::Pixels | Role::Logits | Role::Scores => return misplaced(tensor, "a text graph's inputs"),
            };
            expect(tensor, ElementType::I32, shape)?;
        }
        let vocabulary = Dim::Fixed(bounds.vocabulary_size);
        let chosen = self.inputs.iter().any(|tensor| tensor.role == Role::LogitIdx);
        let shape: &[Dim] = if chosen { &[Dim::Logits, vocabulary] } else { &[Dim::Batch, Dim::Step, vocabulary] };
        match &self.outputs[..] {
            [tensor] if tensor.role == Role::Logits => expect(tensor, ElementType::F32, shape),
            _ => invalid("a text graph needs exactly one output, with the role Logits".to_owned()),
        }
    }

    fn check_image(&self) -> Result<(), Error> {
        let ([pixels], [scores]) = (&self.inputs[..], &self.outputs[..]) else {
            return invalid("a graph without bounds needs exactly one input and one output".to_owned());
        };
        if pixels.role != Role::Pixels {
            return misplaced(pixels, "the input of a graph without bounds, which takes Pixels");
        }
        if scores.role != Role::Scores {
            return misplaced(scores, "the output of a graph without bounds, which gives Scores");
        }
        [pixels, scores].into_iter().try_for_each(check_fixed)
    }
}

impl Bounds {
    /// Every index into a compute's positions must fit an i32.
    fn check(&self) -> Result<(), Error> {
        let Self { batch, step, logits, positions, vocabulary_size, context_length } = *self;
        let largest = u64::from(i32::MAX.unsigned_abs());
        let named = [
            ("batch", u64::from(batch)),
            ("step", u64::from(step)),
            ("batch * step", u64::from(batch) * u64::from(step)),
            ("logits", u64::from(logits)),
            ("positions", u64::from(positions)),
            ("vocabulary_size", u64::from(vocabulary_size)),
            ("context_length", u64::from(context_length)),
        ];
        match named.into_iter().find(|(_, value)| !(1..=largest).contains(value)) {
            Some((name, value)) => invalid(format!("the bound `{name}` is {value}, expected 1 to {largest}")),
            None => Ok(()),
        }
    }
}

fn expect(tensor: &TensorSpec, element: ElementType, shape: &[Dim]) -> Result<(), Error> {
    if tensor.element == element && tensor.shape == shape {
        return Ok(());
    }
    let TensorSpec { name, role, .. } = tensor;
    let (got, expected) = (describe(tensor.element, &tensor.shape), describe(element, shape));
    invalid(format!("`{name}` with the role {role:?} is {got}, expected {expected}"))
}

fn check_fixed(tensor: &TensorSpec) -> Result<(), Error> {
    let sizes: Option<Vec<u32>> =
        tensor.shape.iter().map(|dim| if let Dim::Fixed(size @ 1..) = *dim { Some(size) } else { None }).collect();
    match sizes.and_then(|sizes| tensor.element.bytes_of(&sizes)) {
        Some(1..=0x7fff_ffff) => Ok(()),
        _ => invalid(format!(
            "`{}` is {}, expected fixed sizes of at least 1 and at most 2 GiB in all",
            tensor.name,
            describe(tensor.element, &tensor.shape)
        )),
    }
}

fn misplaced<T>(tensor: &TensorSpec, place: &str) -> Result<T, Error> {
    invalid(format!("the role {:?} of `{}` is not one of {place}", tensor.role, tensor.name))
}

fn invalid<T>(reason: String) -> Result<T, Error> {
    Err(Error::InvalidSpec { reason })
}
