//! The fields that requests can have. The log names the one at fault only if it is one of these:
//! any other name is the client's text.

use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, Visitor, value};
use serde::forward_to_deserialize_any;

/// The names of all fields; clones share them.
#[derive(Clone)]
pub(crate) struct KnownFields(Arc<[&'static str]>);

impl FromIterator<&'static str> for KnownFields {
    fn from_iter<T: IntoIterator<Item = &'static str>>(names: T) -> Self {
        Self(names.into_iter().collect())
    }
}

impl KnownFields {
    /// The field that a parameter's path (`stop[2]`, `stream_options.include_usage`) begins with,
    /// if there is one of that name.
    pub(crate) fn find(&self, path: &str) -> Option<&'static str> {
        let first = path.split(['.', '[']).next()?;
        self.0.iter().copied().find(|known| *known == first)
    }
}

/// The names of a type's fields, as serde knows them.
pub(crate) fn names_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // Nothing is read: the reader only says what it would ask for.
    let _ = T::deserialize(Fields(&mut fields));
    fields
}

struct Fields<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, value::Error> {
        Err(value::Error::custom("no struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, value::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
