//! Tensors as they cross this crate's border: dimensions, element type and little-endian bytes.
//!
//! A [`TensorView`] borrows all three and promises nothing about them: its maker may be
//! hostile, and [`check`](crate::check()) is what compares the bytes with the dimensions. A
//! [`Tensor`] owns them. Only element types of at most 32 bits that a graph of a known task uses
//! exist here.

pub use carafe_tensor::ElementType;

/// A borrowed tensor whose bytes nobody has compared with its dimensions yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorView<'a> {
    /// The size of each dimension, outermost first.
    pub dims: &'a [u32],
    /// The type of the elements.
    pub element: ElementType,
    /// The elements, row by row, little-endian, at any alignment.
    pub data: &'a [u8],
}

impl TensorView<'_> {
    /// The elements as `f32`; empty where they are of another type.
    pub fn f32_values(&self) -> impl ExactSizeIterator<Item = f32> + '_ {
        let data = if self.element == ElementType::F32 { self.data } else { &[] };
        data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }

    /// A copy that owns its parts.
    #[must_use]
    pub fn to_tensor(&self) -> Tensor {
        Tensor { dims: self.dims.to_vec(), element: self.element, data: self.data.to_vec() }
    }
}

/// A tensor that owns its dimensions and bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The size of each dimension, outermost first.
    pub dims: Vec<u32>,
    /// The type of the elements.
    pub element: ElementType,
    /// The elements, row by row, little-endian.
    pub data: Vec<u8>,
}

impl Tensor {
    /// A tensor of 32-bit integers.
    #[must_use]
    pub fn from_i32(dims: &[u32], values: &[i32]) -> Self {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dims: dims.to_vec(), element: ElementType::I32, data }
    }

    /// This tensor, borrowed.
    #[must_use]
    pub fn view(&self) -> TensorView<'_> {
        TensorView { dims: &self.dims, element: self.element, data: &self.data }
    }
}
