//! A file as a whole: its header, and how its parts hang together.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use serde::Serialize;

use crate::error::Error;
use crate::limits::MAX_TENSORS;
use crate::metadata::Value;
use crate::reader::Reader;
use crate::tensor::{TensorInfo, check_apart};

/// The name, its length, the type and the value of the shortest metadata.
const SHORTEST_METADATA: u64 = 8 + 4 + 1;
/// The name's length, the dimensions, the type and the offset of the shortest entry.
const SHORTEST_TENSOR: u64 = 8 + 4 + 4 + 8;

const ALIGNMENT: &str = "general.alignment";

/// What a file holds, but for the tensors' data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gguf {
    /// 2 or 3, which differ in nothing that is read here.
    pub version: u32,
    /// Data begins, and each tensor begins, at a multiple of this.
    pub alignment: u64,
    /// Where data begins, in bytes from the file's beginning.
    pub data_start: u64,
    /// Values by their names.
    pub metadata: BTreeMap<String, Value>,
    /// In the file's order.
    pub tensors: Vec<TensorInfo>,
}

impl Gguf {
    /// Reads a file of `length` bytes up to where its data begins.
    ///
    /// # Errors
    /// [`Error`] says what does not add up, and where.
    pub fn read(file: impl Read, length: u64) -> Result<Self, Error> {
        let reader = &mut Reader::new(file, length);
        let version = version(reader)?;
        let (num_tensors, num_metadata) = (reader.u64("the number of tensors")?, reader.u64("the number of metadata")?);
        if num_tensors > MAX_TENSORS {
            return Err(Error::TooManyTensors { found: num_tensors });
        }
        reader.check_room("the metadata", num_metadata.saturating_mul(SHORTEST_METADATA))?;
        let metadata = metadata(reader, num_metadata)?;
        let alignment = alignment(&metadata)?;
        reader.check_room("the table of tensors", num_tensors.saturating_mul(SHORTEST_TENSOR))?;
        let mut tensors = tensors(reader, num_tensors)?;
        // The header is shorter than a bound far below 2^63, and the alignment no more than that.
        let data_start = reader.position().next_multiple_of(alignment);
        for tensor in &mut tensors {
            tensor.place(data_start, alignment, reader.length())?;
        }
        check_apart(&tensors)?;
        Ok(Self { version, alignment, data_start, metadata, tensors })
    }

    /// The text of this name, if there is one.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.metadata.get(key)?.as_text()
    }
}

fn version<R: Read>(reader: &mut Reader<R>) -> Result<u32, Error> {
    let magic = reader.bytes("the file's mark")?;
    if magic != *b"GGUF" {
        return Err(Error::Magic { found: magic });
    }
    let version = reader.u32("the version")?;
    let big_endian = [1, 2, 3].contains(&version.swap_bytes());
    if [2, 3].contains(&version) { Ok(version) } else { Err(Error::Version { version, big_endian }) }
}

fn metadata<R: Read>(reader: &mut Reader<R>, count: u64) -> Result<BTreeMap<String, Value>, Error> {
    let mut metadata = BTreeMap::new();
    for _ in 0..count {
        let key = reader.text("the name of metadata")?;
        let value = Value::read(reader, &key)?;
        if metadata.contains_key(&key) {
            return Err(Error::Twice { name: key });
        }
        metadata.insert(key, value);
    }
    Ok(metadata)
}

/// The alignment that the metadata gives, or the usual one.
fn alignment(metadata: &BTreeMap<String, Value>) -> Result<u64, Error> {
    const USUAL: u64 = 32;
    let Some(value) = metadata.get(ALIGNMENT) else { return Ok(USUAL) };
    let number = value.as_u64().filter(|number| number.is_power_of_two() && (1..=1 << 20).contains(number));
    number.ok_or_else(|| Error::Metadata {
        key: ALIGNMENT,
        found: format!("{value:?}"),
        expected: "a power of two of at most 2^20",
    })
}

fn tensors<R: Read>(reader: &mut Reader<R>, count: u64) -> Result<Vec<TensorInfo>, Error> {
    let tensors = (0..count).map(|_| TensorInfo::read(reader)).collect::<Result<Vec<_>, _>>()?;
    let mut names = BTreeSet::new();
    match tensors.iter().find(|tensor| !names.insert(&tensor.name)) {
        Some(tensor) => Err(Error::Twice { name: tensor.name.clone() }),
        None => Ok(tensors),
    }
}
