//! Holds a model that OpenVINO has read against its description, before it is compiled.
//!
//! First the width: an input or output of more than 32 bits is refused by name, whatever the description says of it.
//! Then each side must have exactly the described tensors, of the described types and shapes; a letter (B, S, P+S, N)
//! must be a dimension that the model leaves open.

use openvino::{ElementType as NativeElement, Model, Node};

use crate::error::Error;
use crate::spec::{Dim, Direction, GraphSpec, TensorSpec, describe};
use crate::tensor::ElementType;

/// An input or output as the model has it.
struct Port {
    name: String,
    element: NativeElement,
    /// `None` where even the number of dimensions is open.
    dims: Option<Vec<Size>>,
}

/// A dimension as the model has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Fixed(i64),
    Open,
}

impl std::fmt::Display for Size {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(size) => write!(formatter, "{size}"),
            Self::Open => formatter.write_str("?"),
        }
    }
}

/// Compares both sides of the model with its description.
pub(crate) fn compare(model: &Model, spec: &GraphSpec) -> Result<(), Error> {
    let sides = [Direction::Input, Direction::Output];
    let ports = [read(model, Direction::Input)?, read(model, Direction::Output)?];
    for (direction, ports) in sides.into_iter().zip(&ports) {
        ports.iter().try_for_each(|port| refuse_wide(direction, port))?;
    }
    for (direction, ports) in sides.into_iter().zip(&ports) {
        compare_side(direction, ports, spec.side(direction))?;
    }
    Ok(())
}

fn read(model: &Model, direction: Direction) -> Result<Vec<Port>, Error> {
    let failed = || Error::native(format!("read the model's {direction}s"));
    let count = match direction {
        Direction::Input => model.get_inputs_len(),
        Direction::Output => model.get_outputs_len(),
    };
    let nodes = (0..count.map_err(failed())?).map(|index| match direction {
        Direction::Input => model.get_input_by_index(index),
        Direction::Output => model.get_output_by_index(index),
    });
    nodes.map(|node| node.and_then(|node| Port::read(&node)).map_err(failed())).collect()
}

impl Port {
    fn read(node: &Node) -> Result<Self, openvino::InferenceError> {
        let shape = node.get_partial_shape()?;
        let rank = shape.get_rank();
        let dims = (rank.get_min() == rank.get_max()).then(|| {
            let sizes = shape.get_dimensions().iter();
            sizes.map(|dim| if dim.is_dynamic() { Size::Open } else { Size::Fixed(dim.get_min()) }).collect()
        });
        Ok(Self { name: node.get_name()?, element: node.get_element_type()?, dims })
    }

    fn describe(&self) -> String {
        let element = element_name(self.element);
        match &self.dims {
            Some(dims) => describe(element, dims),
            None => format!("{element} of any rank"),
        }
    }

    fn fits(&self, tensor: &TensorSpec) -> bool {
        let expected = tensor.shape.iter().map(|dim| match dim {
            Dim::Fixed(size) => Size::Fixed(i64::from(*size)),
            Dim::Batch | Dim::Step | Dim::Total | Dim::Logits => Size::Open,
        });
        self.element == native_element(tensor.element)
            && self.dims.as_ref().is_some_and(|dims| expected.eq(dims.iter().copied()))
    }
}

fn refuse_wide(direction: Direction, port: &Port) -> Result<(), Error> {
    match port.element {
        NativeElement::F64 | NativeElement::I64 | NativeElement::U64 => {
            Err(Error::TooWide { direction, tensor: port.name.clone(), element: element_name(port.element) })
        }
        _ => Ok(()),
    }
}

fn compare_side(direction: Direction, ports: &[Port], tensors: &[TensorSpec]) -> Result<(), Error> {
    for tensor in tensors {
        let Some(port) = ports.iter().find(|port| port.name == tensor.name) else {
            let known: Vec<String> = ports.iter().map(|port| format!("`{}`", port.name)).collect();
            return Err(Error::ModelLacks { direction, tensor: tensor.name.clone(), known: known.join(", ") });
        };
        if !port.fits(tensor) {
            return Err(Error::ModelDiffers {
                direction,
                tensor: tensor.name.clone(),
                expected: describe(tensor.element, &tensor.shape),
                got: port.describe(),
            });
        }
    }
    match ports.iter().find(|port| tensors.iter().all(|tensor| tensor.name != port.name)) {
        Some(port) => Err(Error::ModelHasMore { direction, tensor: port.name.clone() }),
        None => Ok(()),
    }
}

/// Our element types are OpenVINO's own.
pub(crate) fn native_element(element: ElementType) -> NativeElement {
    match element {
        ElementType::U8 => NativeElement::U8,
        ElementType::I32 => NativeElement::I32,
        ElementType::F32 => NativeElement::F32,
    }
}

/// An element type in the words of manifests: `i64`.
pub(crate) fn element_name(element: NativeElement) -> String {
    element.to_string().to_lowercase()
}
