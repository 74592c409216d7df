//! The kinds of graph that exist, and what each of them takes and gives.
//!
//! - A classifier keeps nothing between inferences: pixels to scores, every dimension fixed.
//! - A decoder continues texts. Its file is a stateful graph ([`STATEFUL_INPUTS`]), which is paged
//!   when it is loaded ([`DECODER_INPUTS`]); a context of it has a KV cache in blocks.
//!
//! A kind is checked once, when a graph is loaded, and trusted after that.

use carafe_tensor::{DECODER_INPUTS, Dim, ElementType, Port, Role, STATEFUL_INPUTS, describe};

use crate::error::Error;
use crate::shape::Direction;

/// One input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name in the graph.
    pub name: String,
    /// What it means.
    pub role: Role,
    /// The type of its elements.
    pub element: ElementType,
    /// Its dimensions, outermost first.
    pub shape: Vec<Dim>,
}

/// What a graph does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GraphKind {
    /// Pixels to scores.
    Classifier(ClassifierSpec),
    /// Tokens to logits, with a KV cache in blocks.
    Decoder(DecoderSpec),
}

/// A classifier's tensors; all dimensions are fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassifierSpec {
    /// What it takes, with the role [`Role::Pixels`].
    pub input: TensorSpec,
    /// What it gives, with the role [`Role::Scores`].
    pub output: TensorSpec,
}

/// What a decoder's indices index, and what one inference may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderSpec {
    /// V: token ids are below it.
    pub vocabulary_size: u32,
    /// Tokens of a sequence at most, past and new.
    pub context_length: u32,
    /// B at most.
    pub max_num_seqs: u32,
    /// T at most.
    pub max_num_batched_tokens: u32,
    /// N at most.
    pub max_num_logits: u32,
}

/// Both sides of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sides {
    pub(crate) inputs: Vec<TensorSpec>,
    pub(crate) output: TensorSpec,
}

impl Sides {
    pub(crate) fn side(&self, direction: Direction) -> &[TensorSpec] {
        match direction {
            Direction::Input => &self.inputs,
            Direction::Output => std::slice::from_ref(&self.output),
        }
    }
}

impl GraphKind {
    /// What the graph's file takes and gives.
    pub(crate) fn file_sides(&self) -> Sides {
        match self {
            Self::Classifier(spec) => spec.sides(),
            Self::Decoder(spec) => spec.sides(&STATEFUL_INPUTS),
        }
    }

    /// What an inference takes and gives.
    pub(crate) fn sides(&self) -> Sides {
        match self {
            Self::Classifier(spec) => spec.sides(),
            Self::Decoder(spec) => spec.sides(&DECODER_INPUTS),
        }
    }

    /// Refuses a description that contradicts itself.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSpec`], saying what is wrong and what is expected.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Classifier(spec) => spec.check(),
            Self::Decoder(spec) => spec.check(),
        }
    }
}

impl ClassifierSpec {
    fn sides(&self) -> Sides {
        Sides { inputs: vec![self.input.clone()], output: self.output.clone() }
    }

    fn check(&self) -> Result<(), Error> {
        for (tensor, role) in [(&self.input, Role::Pixels), (&self.output, Role::Scores)] {
            if tensor.name.is_empty() || tensor.name.contains('\0') {
                return invalid(format!("the name of the classifier's {role} is empty or holds a NUL"));
            }
            if tensor.role != role {
                return invalid(format!("`{}` has the role {}, expected {role}", tensor.name, tensor.role));
            }
            check_fixed(tensor)?;
        }
        Ok(())
    }
}

impl DecoderSpec {
    fn sides(&self, inputs: &[Port]) -> Sides {
        let shape = vec![Dim::Logits, Dim::Fixed(self.vocabulary_size)];
        let (role, element) = (Role::Logits, ElementType::F32);
        let output = TensorSpec { name: role.name().to_owned(), role, element, shape };
        Sides { inputs: inputs.iter().map(TensorSpec::from).collect(), output }
    }

    /// Every index and count must fit an i32, and so must the one after the last.
    fn check(&self) -> Result<(), Error> {
        let largest = i32::MAX.unsigned_abs() - 1;
        let named = [
            ("vocabulary_size", self.vocabulary_size),
            ("context_length", self.context_length),
            ("max_num_seqs", self.max_num_seqs),
            ("max_num_batched_tokens", self.max_num_batched_tokens),
            ("max_num_logits", self.max_num_logits),
        ];
        match named.into_iter().find(|(_, value)| !(1..=largest).contains(value)) {
            Some((name, value)) => invalid(format!("the decoder's `{name}` is {value}, expected 1 to {largest}")),
            None => Ok(()),
        }
    }
}

impl From<&Port> for TensorSpec {
    fn from(port: &Port) -> Self {
        let Port { role, element, dims } = *port;
        Self { name: role.name().to_owned(), role, element, shape: dims.to_vec() }
    }
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

fn invalid<T>(reason: String) -> Result<T, Error> {
    Err(Error::InvalidSpec { reason })
}
