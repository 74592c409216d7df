//! The table of tensors: what each is, and where its data lies.

use std::io::Read;

use serde::Serialize;

use crate::error::{Error, TensorFault};
use crate::limits::MAX_DIMENSIONS;
use crate::reader::Reader;

/// A tensor whose data lies within the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TensorInfo {
    /// Its name, of which there is one in the file.
    pub name: String,
    /// Its dimensions, the innermost first; their product is from 1 to 2^63.
    pub dims: Vec<u64>,
    /// How its elements are kept.
    #[serde(rename = "type")]
    pub kind: TensorType,
    /// Its first byte, counted from the file's beginning; a multiple of the alignment further than
    /// where data begins.
    pub start: u64,
    /// Its bytes.
    pub size: u64,
}

/// How elements are kept: numbers one by one, or blocks of them with scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(missing_docs, non_camel_case_types, reason = "they are ggml's names")]
pub enum TensorType {
    F32,
    F16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    IQ2_XXS,
    IQ2_XS,
    IQ3_XXS,
    IQ1_S,
    IQ4_NL,
    IQ3_S,
    IQ2_S,
    IQ4_XS,
    I8,
    I16,
    I32,
    I64,
    F64,
    IQ1_M,
    BF16,
    TQ1_0,
    TQ2_0,
    MXFP4,
}

impl TensorType {
    /// The numbers of all types in files, the elements of a block of each and its bytes; the table
    /// of ggml's `GGML_QUANT_SIZES`, but for types that are never in files.
    const ALL: [(u32, Self, u64, u64); 30] = [
        (0, Self::F32, 1, 4),
        (1, Self::F16, 1, 2),
        (2, Self::Q4_0, 32, 18),
        (3, Self::Q4_1, 32, 20),
        (6, Self::Q5_0, 32, 22),
        (7, Self::Q5_1, 32, 24),
        (8, Self::Q8_0, 32, 34),
        (10, Self::Q2_K, 256, 84),
        (11, Self::Q3_K, 256, 110),
        (12, Self::Q4_K, 256, 144),
        (13, Self::Q5_K, 256, 176),
        (14, Self::Q6_K, 256, 210),
        (16, Self::IQ2_XXS, 256, 66),
        (17, Self::IQ2_XS, 256, 74),
        (18, Self::IQ3_XXS, 256, 98),
        (19, Self::IQ1_S, 256, 50),
        (20, Self::IQ4_NL, 32, 18),
        (21, Self::IQ3_S, 256, 110),
        (22, Self::IQ2_S, 256, 82),
        (23, Self::IQ4_XS, 256, 136),
        (24, Self::I8, 1, 1),
        (25, Self::I16, 1, 2),
        (26, Self::I32, 1, 4),
        (27, Self::I64, 1, 8),
        (28, Self::F64, 1, 8),
        (29, Self::IQ1_M, 256, 56),
        (30, Self::BF16, 1, 2),
        (34, Self::TQ1_0, 256, 54),
        (35, Self::TQ2_0, 256, 66),
        (39, Self::MXFP4, 32, 17),
    ];

    fn of_number(number: u32) -> Option<Self> {
        Self::ALL.iter().find(|(of, ..)| *of == number).map(|(_, kind, ..)| *kind)
    }

    /// Elements of a block, and its bytes.
    #[must_use]
    pub fn block(self) -> (u64, u64) {
        // Every type is in the table.
        Self::ALL.iter().find(|(_, kind, ..)| *kind == self).map_or((1, 1), |(.., elements, bytes)| (*elements, *bytes))
    }
}

impl TensorInfo {
    /// Reads an entry of the table. Where its data lies is still counted from where all data
    /// begins.
    pub(crate) fn read<R: Read>(reader: &mut Reader<R>) -> Result<Self, Error> {
        let name = reader.text("the name of a tensor")?;
        let count = reader.u32("the dimensions of a tensor")?;
        if count > MAX_DIMENSIONS {
            return Err(fault(&name, TensorFault::Dimensions { found: count }));
        }
        let dims = (0..count).map(|_| reader.u64("a dimension of a tensor")).collect::<Result<Vec<_>, _>>()?;
        let number = reader.u32("the type of a tensor")?;
        let start = reader.u64("the offset of a tensor")?;
        let kind = TensorType::of_number(number).ok_or_else(|| fault(&name, TensorFault::Type { found: number }))?;
        let size = size(&dims, kind).map_err(|what| fault(&name, what))?;
        Ok(Self { name, dims, kind, start, size })
    }

    /// Its elements.
    #[must_use]
    pub fn num_elements(&self) -> u64 {
        self.dims.iter().product()
    }

    /// Counts its place from the file's beginning, where data begins at `data`.
    pub(crate) fn place(&mut self, data: u64, alignment: u64, length: u64) -> Result<(), Error> {
        let offset = self.start;
        if !offset.is_multiple_of(alignment) {
            return Err(fault(&self.name, TensorFault::Alignment { offset, alignment }));
        }
        let (start, size) = (data.saturating_add(offset), self.size);
        if start.checked_add(size).is_none_or(|end| end > length) {
            return Err(fault(&self.name, TensorFault::Beyond { start, size, length }));
        }
        self.start = start;
        Ok(())
    }
}

/// Bytes of a tensor.
fn size(dims: &[u64], kind: TensorType) -> Result<u64, TensorFault> {
    let impossible = || TensorFault::Elements { dims: dims.to_vec() };
    let elements = dims.iter().try_fold(1_u64, |elements, &dim| elements.checked_mul(dim)).ok_or_else(impossible)?;
    let (block, bytes) = kind.block();
    let row = dims.first().copied().unwrap_or(1);
    if elements == 0 || i64::try_from(elements).is_err() {
        return Err(impossible());
    }
    if !row.is_multiple_of(block) {
        return Err(TensorFault::Row { row, block });
    }
    (elements / block).checked_mul(bytes).ok_or_else(impossible)
}

/// Refuses tensors that lie over one another.
pub(crate) fn check_apart(tensors: &[TensorInfo]) -> Result<(), Error> {
    let mut in_order: Vec<&TensorInfo> = tensors.iter().collect();
    in_order.sort_by_key(|tensor| tensor.start);
    let overlap = in_order.array_windows().find(|[first, second]| first.start + first.size > second.start);
    match overlap {
        Some([first, second]) => Err(fault(&second.name, TensorFault::Overlap { other: first.name.clone() })),
        None => Ok(()),
    }
}

fn fault(name: &str, fault: TensorFault) -> Error {
    Error::Tensor { name: name.to_owned(), fault }
}
