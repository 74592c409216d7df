//! The rules that the tensors of an inference must keep before native code sees them: names, types,
//! dimensions and byte lengths.
//!
//! OpenVINO trusts its inputs. [`check`] holds what a caller sends against the graph's inputs, and
//! puts it into their order; what the values of a decoder's inputs must be is checked after that
//! ([`crate::decoder`]). Nothing here may panic, whatever the tensors hold. Names are compared,
//! never handed on.

use carafe_tensor::Dim;

use crate::error::Error;
use crate::kind::{GraphKind, TensorSpec};
use crate::tensor::TensorView;

/// Holds the tensors of an inference of a graph of this kind against every rule but those of
/// values; returns them in the order of the graph's inputs.
///
/// # Errors
///
/// The first violation: an error that names the tensor, what was expected and what was found.
pub fn check<'a>(kind: &GraphKind, inputs: &[(&str, TensorView<'a>)]) -> Result<Vec<TensorView<'a>>, Error> {
    check_inputs(&kind.sides().inputs, inputs)
}

pub(crate) fn check_inputs<'a>(
    expected: &[TensorSpec],
    inputs: &[(&str, TensorView<'a>)],
) -> Result<Vec<TensorView<'a>>, Error> {
    let tensors = in_order(expected, inputs)?;
    expected.iter().zip(&tensors).try_for_each(|(expected, tensor)| check_form(expected, tensor))?;
    expected.iter().zip(&tensors).try_for_each(|(expected, tensor)| check_fixed(expected, tensor))?;
    Ok(tensors)
}

/// Each input of the graph exactly once, put into the graph's order.
fn in_order<'a>(expected: &[TensorSpec], inputs: &[(&str, TensorView<'a>)]) -> Result<Vec<TensorView<'a>>, Error> {
    let mut found = vec![None; expected.len()];
    for (name, tensor) in inputs {
        let Some(index) = expected.iter().position(|expected| expected.name == *name) else {
            return Err(Error::UnknownInput { tensor: shorten(name), known: names(expected) });
        };
        if found[index].replace(*tensor).is_some() {
            return Err(Error::RepeatedInput { tensor: expected[index].name.clone() });
        }
    }
    let pairs = expected.iter().zip(found);
    pairs
        .map(|(expected, tensor)| tensor.ok_or_else(|| Error::MissingInput { tensor: expected.name.clone() }))
        .collect()
}

/// What can be said of a tensor alone: type, rank, no empty dimension, as many bytes as its
/// dimensions need.
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

/// Fixed dimensions are the graph's.
fn check_fixed(expected: &TensorSpec, tensor: &TensorView<'_>) -> Result<(), Error> {
    for (axis, (dim, &got)) in expected.shape.iter().zip(tensor.dims).enumerate() {
        if let Dim::Fixed(size) = *dim
            && size != got
        {
            let (tensor, letter) = (expected.name.clone(), "fixed".to_owned());
            return Err(Error::WrongDimension { tensor, axis, letter, expected: size, got });
        }
    }
    Ok(())
}

/// The names of tensors for a message.
fn names(tensors: &[TensorSpec]) -> String {
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
