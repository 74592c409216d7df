//! Files as the Python package `gguf` writes them, and what is wrong with others.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use carafe_gguf::{Error, Gguf, TensorFault, TensorType, Value};
use proptest::prelude::*;

#[path = "../../../fuzz/src/gguf.rs"]
mod fuzz;

/// A file with every type of metadata and several of tensors, made by `tools/golden/gguf_file.py`.
fn golden() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/types.gguf")).expect("the golden file")
}

fn read(bytes: &[u8]) -> Result<Gguf, Error> {
    Gguf::read(bytes, bytes.len() as u64)
}

/// A file that is put together byte by byte.
#[derive(Clone, Default)]
struct Builder {
    metadata: Vec<Vec<u8>>,
    tensors: Vec<Vec<u8>>,
    data: usize,
}

impl Builder {
    fn metadata(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.metadata.push([&text(key), &kind.to_le_bytes()[..], value].concat());
        self
    }

    fn tensor(mut self, name: &str, dims: &[u64], kind: u32, offset: u64) -> Self {
        let dims: Vec<u8> = (dims.len() as u32)
            .to_le_bytes()
            .into_iter()
            .chain(dims.iter().flat_map(|dim| dim.to_le_bytes()))
            .collect();
        self.tensors.push([&text(name), &dims[..], &kind.to_le_bytes(), &offset.to_le_bytes()].concat());
        self
    }

    fn data(mut self, bytes: usize) -> Self {
        self.data = bytes;
        self
    }

    fn build(self) -> Vec<u8> {
        let counts = [self.tensors.len(), self.metadata.len()].map(|count| (count as u64).to_le_bytes()).concat();
        let mut file = [b"GGUF", &3_u32.to_le_bytes()[..], &counts].concat();
        file.extend(self.metadata.concat().into_iter().chain(self.tensors.concat()));
        file.resize(file.len().next_multiple_of(32) + self.data, 0);
        file
    }

    fn error(self) -> String {
        read(&self.build()).expect_err("it is refused").to_string()
    }
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

#[test]
fn a_file_is_read_as_the_python_package_has_written_it() {
    let file = read(&golden()).expect("a file in order");
    assert_eq!((file.version, file.alignment, file.text("general.architecture")), (3, 64, Some("llama")));
    let values: Vec<(&str, String)> =
        file.metadata.iter().map(|(key, value)| (key.as_str(), format!("{value:?}"))).collect();
    let expected = [
        ("a.bool", "Bool(true)"),
        ("a.float32", "F32(0.1)"),
        ("a.float64", "F64(0.1)"),
        ("a.int16", "I16(-300)"),
        ("a.int32", "I32(-70000)"),
        ("a.int64", "I64(-5000000000)"),
        ("a.int8", "I8(-3)"),
        ("a.text", "Text(\"tschüß 👋\")"),
        ("a.uint16", "U16(300)"),
        ("a.uint32", "U32(70000)"),
        ("a.uint64", "U64(5000000000)"),
        ("a.uint8", "U8(3)"),
        ("general.alignment", "U32(64)"),
        ("general.architecture", "Text(\"llama\")"),
        ("some.bools", "Array(Bool([true, false]))"),
        ("some.floats", "Array(F32([0.5, -1.0]))"),
        ("some.numbers", "Array(I32([1, -2, 3]))"),
        ("some.texts", "Array(Text([\"a\", \"\", \"ß\"]))"),
    ];
    assert_eq!(values, expected.map(|(key, value)| (key, value.to_owned())));
    let tensors: Vec<_> =
        file.tensors.iter().map(|tensor| (&*tensor.name, &tensor.dims[..], tensor.kind, tensor.size)).collect();
    let expected: [(&str, &[u64], TensorType, u64); 4] = [
        ("whole.weight", &[3, 2], TensorType::F32, 24),
        ("half.weight", &[5], TensorType::F16, 10),
        ("eight.weight", &[64, 2], TensorType::Q8_0, 136),
        ("four.weight", &[32, 1, 3], TensorType::Q4_1, 60),
    ];
    assert_eq!(tensors, expected);
    let bytes = golden();
    let whole = &file.tensors[0];
    let data = &bytes[whole.start as usize..][..whole.size as usize];
    let numbers: Vec<f32> = data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    assert_eq!(numbers, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

#[test]
fn every_beginning_of_a_file_that_ends_too_early_is_refused() {
    let whole = golden();
    let data_end = read(&whole).expect("in order").tensors.iter().map(|tensor| tensor.start + tensor.size).max();
    for end in 0..data_end.expect("tensors") as usize {
        assert!(read(&whole[..end]).is_err(), "{end} bytes");
        // A file that is shorter than its length says.
        assert!(end >= 700 || Gguf::read(&whole[..end], whole.len() as u64).is_err(), "{end} bytes");
    }
}

#[test]
fn other_formats_and_versions_are_told_apart() {
    let message = |head: &[u8]| read(&[head, &[0; 64]].concat()).expect_err("it is refused").to_string();
    assert_eq!(message(b"PK\x03\x04"), "this is no GGUF file: it begins with [80, 75, 3, 4], and `GGUF` was expected");
    assert_eq!(message(b"GGUF\x01\x00\x00\x00"), "GGUF version 1 is not known; versions 2 and 3 are");
    let big_endian = "GGUF version 50331648 is not known (the file is big-endian); versions 2 and 3 are";
    assert_eq!(message(b"GGUF\x00\x00\x00\x03"), big_endian);
}

#[test]
fn what_does_not_add_up_is_refused_by_its_name_and_place() {
    let file = Builder::default;
    let cases = [
        (
            file().metadata("k", 13, &[]),
            "`k` has a value of type 13; expected a type from 0 to 12, and in an array no array",
        ),
        (
            file().metadata("k", 9, &[9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            "`k` has a value of type 9; expected a type from 0 to 12, and in an array no array",
        ),
        (file().metadata("k", 7, &[2]), "`k` is 2; a truth value is 0 or 1"),
        (file().metadata("k", 8, &[2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe]), "a text at byte 45 is not UTF-8"),
        (file().metadata("k", 0, &[1]).metadata("k", 0, &[1]), "`k` is there twice"),
        (
            file().metadata("k", 8, &u64::MAX.to_le_bytes()),
            "a text at byte 45 takes 18446744073709551615 bytes or more, and 19 are left in the file",
        ),
        (
            file().metadata("general.alignment", 4, &24_u32.to_le_bytes()),
            "`general.alignment` is U32(24); expected a power of two of at most 2^20",
        ),
        (file().tensor("t", &[1; 5], 0, 0), "tensor `t`: it has 5 dimensions; at most 4 are possible"),
        (file().tensor("t", &[32], 4, 0), "tensor `t`: its type 4 is not known"),
        (
            file().tensor("t", &[33], 8, 0).data(64),
            "tensor `t`: its rows have 33 elements, and its type keeps them in blocks of 32",
        ),
        (
            file().tensor("t", &[1 << 40, 1 << 40], 0, 0),
            "tensor `t`: its dimensions [1099511627776, 1099511627776] make no number of elements from 1 to 2^63",
        ),
        (
            file().tensor("t", &[4, 0], 0, 0),
            "tensor `t`: its dimensions [4, 0] make no number of elements from 1 to 2^63",
        ),
        (file().tensor("t", &[4], 0, 8).data(64), "tensor `t`: its offset 8 is no multiple of the alignment, 32"),
        (
            file().tensor("t", &[4], 0, 64).data(64),
            "tensor `t`: its 16 bytes from byte 128 on end beyond the file, which has 128",
        ),
        (
            file().tensor("t", &[4], 0, u64::MAX - 31).data(64),
            "tensor `t`: its 16 bytes from byte 18446744073709551615 on end beyond the file, which has 128",
        ),
        (file().tensor("t", &[16], 0, 0).tensor("u", &[4], 0, 32).data(64), "tensor `u`: it lies over tensor `t`"),
        (file().tensor("t", &[4], 0, 0).tensor("t", &[4], 0, 32).data(64), "`t` is there twice"),
    ];
    for (file, expected) in cases {
        assert_eq!(file.error(), expected);
    }
}

#[test]
fn counts_are_not_believed_before_there_is_room_for_what_they_count() {
    let with_counts = |tensors: u64, metadata: u64| {
        let head = [b"GGUF", &3_u32.to_le_bytes()[..], &tensors.to_le_bytes(), &metadata.to_le_bytes()].concat();
        read(&[head, vec![0; 100]].concat()).expect_err("it is refused")
    };
    assert!(matches!(with_counts(u64::MAX, 0), Error::TooManyTensors { found: u64::MAX }));
    assert!(matches!(
        with_counts(100, 0),
        Error::Truncated { what: "the table of tensors", needed: 2400, left: 100, .. }
    ));
    assert!(matches!(with_counts(0, u64::MAX), Error::Truncated { what: "the metadata", left: 100, .. }));
    let array = [&9_u32.to_le_bytes()[..], &[4, 0, 0, 0], &(1_u64 << 61).to_le_bytes()].concat();
    let file = Builder::default().metadata("k", 9, &array[4..]).build();
    assert!(matches!(read(&file), Err(Error::Truncated { what: "an array", .. })));
    let endless = Gguf::read(std::io::repeat(b'G'), 1 << 40);
    assert!(matches!(endless, Err(Error::Magic { .. })));
    let sparse =
        [b"GGUF", &3_u32.to_le_bytes()[..], &[0; 8], &[1, 0, 0, 0, 0, 0, 0, 0], &(1_u64 << 39).to_le_bytes()].concat();
    let refused = Gguf::read(std::io::Read::chain(&sparse[..], std::io::repeat(0)), 1 << 40);
    assert!(matches!(refused, Err(Error::HeaderTooLong { what: "the name of metadata", position: 32 })));
}

#[test]
fn values_are_taken_for_what_they_are() {
    assert_eq!((Value::U8(7).as_u64(), Value::I64(7).as_u64(), Value::I32(-7).as_u64()), (Some(7), Some(7), None));
    assert_eq!((Value::F32(7.0).as_u64(), Value::Text("7".to_owned()).as_text()), (None, Some("7")));
    assert!(matches!(
        read(&Builder::default().tensor("t", &[4], 99, 0).build()),
        Err(Error::Tensor { fault: TensorFault::Type { found: 99 }, .. })
    ));
}

#[test]
fn no_file_of_the_corpus_is_read_whose_tensors_do_not_lie_within_it() {
    let corpus =
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/gguf")).expect("the corpus");
    let files: Vec<_> = corpus.map(|file| file.expect("a file").path()).collect();
    assert!(!files.is_empty());
    files.iter().for_each(|file| fuzz::run(&fs::read(file).expect("read")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_file_with_changed_bytes_is_refused_or_keeps_every_promise(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), end in any::<prop::sample::Index>()
    ) {
        let mut bytes = golden();
        for (place, byte) in changes {
            *place.get_mut(&mut bytes) = byte;
        }
        fuzz::run(&bytes);
        fuzz::run(&bytes[..end.index(bytes.len())]);
    }
}
