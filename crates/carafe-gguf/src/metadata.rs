//! Metadata: named values of thirteen types.

use std::io::Read;

use serde::Serialize;

use crate::error::Error;
use crate::reader::Reader;

/// A value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "they are the types that they are named after")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Text(String),
    Array(Array),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// Values of one type. The largest are vocabularies, with a text, a number and a kind for each
/// token.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "they are the types that they are named after")]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    Bool(Vec<bool>),
    Text(Vec<String>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F64(Vec<f64>),
}

const ARRAY: u32 = 9;

impl Value {
    /// Reads the type and the value of the metadata `key`.
    pub(crate) fn read<R: Read>(reader: &mut Reader<R>, key: &str) -> Result<Self, Error> {
        let kind = reader.u32("the type of a value")?;
        if kind == ARRAY {
            return Array::read(reader, key).map(Self::Array);
        }
        Ok(match kind {
            0 => Self::U8(reader.u8("a value")?),
            1 => Self::I8(i8::from_le_bytes(reader.bytes("a value")?)),
            2 => Self::U16(u16::from_le_bytes(reader.bytes("a value")?)),
            3 => Self::I16(i16::from_le_bytes(reader.bytes("a value")?)),
            4 => Self::U32(reader.u32("a value")?),
            5 => Self::I32(i32::from_le_bytes(reader.bytes("a value")?)),
            6 => Self::F32(f32::from_le_bytes(reader.bytes("a value")?)),
            7 => Self::Bool(truth(reader, key)?),
            8 => Self::Text(reader.text("a text")?),
            10 => Self::U64(reader.u64("a value")?),
            11 => Self::I64(i64::from_le_bytes(reader.bytes("a value")?)),
            12 => Self::F64(f64::from_le_bytes(reader.bytes("a value")?)),
            found => return Err(Error::ValueType { key: key.to_owned(), found }),
        })
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number, if it is a whole one of at least 0.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::U64(value) => Some(value),
            Self::I8(value) => value.try_into().ok(),
            Self::I16(value) => value.try_into().ok(),
            Self::I32(value) => value.try_into().ok(),
            Self::I64(value) => value.try_into().ok(),
            Self::F32(_) | Self::F64(_) | Self::Bool(_) | Self::Text(_) | Self::Array(_) => None,
        }
    }

    /// The array, if it is one.
    #[must_use]
    pub fn as_array(&self) -> Option<&Array> {
        if let Self::Array(array) = self { Some(array) } else { None }
    }
}

impl Array {
    fn read<R: Read>(reader: &mut Reader<R>, key: &str) -> Result<Self, Error> {
        let kind = reader.u32("the type of an array")?;
        let count = reader.u64("the length of an array")?;
        let size = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            // A text has its length, at least.
            8 | 10..=12 => 8,
            found => return Err(Error::ValueType { key: key.to_owned(), found }),
        };
        reader.check_room("an array", count.saturating_mul(size))?;
        let values = &mut Values { reader, count };
        Ok(match kind {
            0 => Self::U8(values.numbers(u8::from_le_bytes)?),
            1 => Self::I8(values.numbers(i8::from_le_bytes)?),
            2 => Self::U16(values.numbers(u16::from_le_bytes)?),
            3 => Self::I16(values.numbers(i16::from_le_bytes)?),
            4 => Self::U32(values.numbers(u32::from_le_bytes)?),
            5 => Self::I32(values.numbers(i32::from_le_bytes)?),
            6 => Self::F32(values.numbers(f32::from_le_bytes)?),
            7 => Self::Bool(values.collect(|reader| truth(reader, key))?),
            8 => Self::Text(values.collect(|reader| reader.text("a text of an array"))?),
            10 => Self::U64(values.numbers(u64::from_le_bytes)?),
            11 => Self::I64(values.numbers(i64::from_le_bytes)?),
            _ => Self::F64(values.numbers(f64::from_le_bytes)?),
        })
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::I8(values) => values.len(),
            Self::U16(values) => values.len(),
            Self::I16(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::Text(values) => values.len(),
            Self::U64(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The values of an array that is read. As many as there are have room in the file.
struct Values<'a, R> {
    reader: &'a mut Reader<R>,
    count: u64,
}

impl<R: Read> Values<'_, R> {
    fn numbers<const N: usize, T>(&mut self, number: fn([u8; N]) -> T) -> Result<Vec<T>, Error> {
        self.collect(|reader| reader.bytes("a value of an array").map(number))
    }

    fn collect<T>(&mut self, mut value: impl FnMut(&mut Reader<R>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        (0..self.count).map(|_| value(self.reader)).collect()
    }
}

fn truth<R: Read>(reader: &mut Reader<R>, key: &str) -> Result<bool, Error> {
    match reader.u8("a truth value")? {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(Error::Bool { key: key.to_owned(), found }),
    }
}
