//! Bytes as a GGUF file: one that is read keeps what `carafe-gguf` promises.
//!
//! The fuzz target `gguf` runs this over bytes that libFuzzer makes, and a test of `carafe-gguf`
//! over the corpus.

use carafe_gguf::Gguf;

/// Reads the file that these bytes are.
///
/// # Panics
/// If a file is read whose tensors do not lie within it, aligned and apart.
pub(super) fn run(data: &[u8]) {
    let length = data.len() as u64;
    let Ok(file) = Gguf::read(data, length) else { return };
    let mut ends = Vec::new();
    for tensor in &file.tensors {
        let offset = tensor.start.checked_sub(file.data_start).expect("data comes after the header");
        assert!(offset.is_multiple_of(file.alignment), "{tensor:?}");
        let (elements, bytes) = tensor.kind.block();
        assert_eq!(tensor.num_elements() / elements * bytes, tensor.size, "{tensor:?}");
        ends.push((tensor.start, tensor.start + tensor.size));
    }
    ends.sort_unstable();
    assert!(ends.is_sorted_by(|first, second| first.1 <= second.0), "{ends:?}");
    assert!(ends.last().is_none_or(|(_, end)| *end <= length), "{ends:?}");
}
