//! Holds a model that OpenVINO has read against its description, before it is compiled.
//!
//! First the width: an input or output of more than 32 bits is refused by name, whatever the
//! description says of it. Then each side must have exactly the described tensors, of the described
//! types and shapes; a letter (B, S, P+S, N) must be a dimension that the model leaves open. A
//! decoder is compared twice: as its file has it, and when it is paged, but for the ports that are
//! then the host's.

use carafe_tensor::{Dim, Owner, describe, input_owner};

use crate::error::Error;
use crate::kind::{Sides, TensorSpec};
use crate::native::{Graph, Model, Port};
use crate::shape::Direction;

/// Element types of more than 32 bits, in OpenVINO's names.
const WIDE: [&str; 3] = ["f64", "i64", "u64"];

/// What a graph takes and gives, with the numbers that its ports have in the compiled model.
pub(crate) struct Interface {
    pub(crate) sides: Sides,
    /// In the order of [`Sides::inputs`].
    pub(crate) inputs: Vec<usize>,
    pub(crate) output: usize,
}

impl Interface {
    /// Looks the ports of a compiled model up.
    pub(crate) fn new(sides: Sides, compiled: &Graph) -> Result<Self, Error> {
        let number = |direction: Direction, tensor: &TensorSpec| {
            let found = compiled.port(direction, &tensor.name);
            found.map_err(Error::native(format!("find {direction} `{}`", tensor.name)))
        };
        let inputs = sides.inputs.iter().map(|tensor| number(Direction::Input, tensor)).collect::<Result<_, _>>()?;
        let output = number(Direction::Output, &sides.output)?;
        Ok(Self { sides, inputs, output })
    }
}

/// A dimension as the model has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Fixed(u64),
    Open,
}

impl From<Option<u64>> for Size {
    fn from(size: Option<u64>) -> Self {
        size.map_or(Self::Open, Self::Fixed)
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(size) => write!(formatter, "{size}"),
            Self::Open => formatter.write_str("?"),
        }
    }
}

/// Compares both sides of a model with its description.
pub(crate) fn compare(model: &Model, expected: &Sides) -> Result<(), Error> {
    compare_ports([read(model, Direction::Input)?, read(model, Direction::Output)?], expected)
}

/// Compares what a guest sends to a paged model, and gets from it, with its description.
pub(crate) fn compare_paged(model: &Model, expected: &Sides) -> Result<(), Error> {
    let is_guests = |port: &Port| input_owner(&port.name) != Some(Owner::Host);
    let inputs = read(model, Direction::Input)?.into_iter().filter(is_guests).collect();
    compare_ports([inputs, read(model, Direction::Output)?], expected)
}

fn compare_ports(ports: [Vec<Port>; 2], expected: &Sides) -> Result<(), Error> {
    let sides = [Direction::Input, Direction::Output];
    for (direction, ports) in sides.into_iter().zip(&ports) {
        ports.iter().try_for_each(|port| refuse_wide(direction, port))?;
    }
    for (direction, ports) in sides.into_iter().zip(&ports) {
        compare_side(direction, ports, expected.side(direction))?;
    }
    Ok(())
}

fn read(model: &Model, direction: Direction) -> Result<Vec<Port>, Error> {
    model.ports(direction).map_err(Error::native(format!("read the model's {direction}s")))
}

fn describe_port(port: &Port) -> String {
    match &port.dims {
        Some(dims) => describe(&port.element, &dims.iter().copied().map(Size::from).collect::<Vec<_>>()),
        None => format!("{} of any rank", port.element),
    }
}

fn fits(port: &Port, tensor: &TensorSpec) -> bool {
    let expected = tensor.shape.iter().map(|dim| match dim {
        Dim::Fixed(size) => Size::Fixed(u64::from(*size)),
        _ => Size::Open,
    });
    port.element == tensor.element.name()
        && port.dims.as_ref().is_some_and(|dims| expected.eq(dims.iter().copied().map(Size::from)))
}

fn refuse_wide(direction: Direction, port: &Port) -> Result<(), Error> {
    if WIDE.contains(&&*port.element) {
        return Err(Error::TooWide { direction, tensor: port.name.clone(), element: port.element.clone() });
    }
    Ok(())
}

fn compare_side(direction: Direction, ports: &[Port], tensors: &[TensorSpec]) -> Result<(), Error> {
    for tensor in tensors {
        let Some(port) = ports.iter().find(|port| port.name == tensor.name) else {
            let known: Vec<String> = ports.iter().map(|port| format!("`{}`", port.name)).collect();
            return Err(Error::ModelLacks { direction, tensor: tensor.name.clone(), known: known.join(", ") });
        };
        if !fits(port, tensor) {
            return Err(Error::ModelDiffers {
                direction,
                tensor: tensor.name.clone(),
                expected: describe(tensor.element, &tensor.shape),
                got: describe_port(port),
            });
        }
    }
    match ports.iter().find(|port| tensors.iter().all(|tensor| tensor.name != port.name)) {
        Some(port) => Err(Error::ModelHasMore { direction, tensor: port.name.clone() }),
        None => Ok(()),
    }
}
