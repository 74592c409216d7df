//! A strict reader around any other: it gives errors as [`Refusal`]s, with their path, and refuses
//! a key that an object has twice.
//!
//! Three things that `serde_json` does by itself are too lax, or too much Rust's, for what
//! strangers send. It hands a map the last of two values silently. It takes an array for an
//! object whose fields are in order. And its errors are texts in which the facts cannot be told
//! from what was sent. So every value is read as what it is (`deserialize_any`), and it is the
//! visitor, through [`Watch`], that finds it wrong; its refusal waits in [`Strict::refused`] while
//! the inner reader passes on an error of its own type.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::refusal::{Refusal, Segment};

/// Reads a value strictly.
pub(super) fn read<'de, T: Deserialize<'de>>(inner: impl Deserializer<'de>) -> Result<T, Refusal> {
    let refused = Cell::new(None);
    T::deserialize(Strict { inner, refused: &refused })
}

/// Most keys of an object: those of the largest that has an effect, `logit_bias`, are 1024. To
/// remember a key takes many times its bytes.
const MAX_KEYS: usize = 4096;

/// The keys that an object has had so far.
#[derive(Default)]
pub(super) struct Keys(BTreeSet<String>);

impl Keys {
    /// Refuses a key that was there already, and one too many.
    pub(super) fn add(&mut self, key: &str) -> Result<(), Refusal> {
        if self.0.len() == MAX_KEYS {
            return Err(Refusal::custom(format!("expected an object of at most {MAX_KEYS} fields")));
        }
        if self.0.insert(key.to_owned()) { Ok(()) } else { Err(Refusal::twice(key)) }
    }
}

type Refused = Cell<Option<Refusal>>;

/// From the inner reader's error to the refusal that caused it; what no visitor refused is a fault
/// of syntax.
fn raise<T, E: fmt::Display>(refused: &Refused, result: Result<T, E>) -> Result<T, Refusal> {
    result.map_err(|error| refused.take().unwrap_or_else(|| Refusal::syntax(error)))
}

/// From a refusal to an error that the inner reader passes on.
fn lower<T, E: Error>(refused: &Refused, result: Result<T, Refusal>) -> Result<T, E> {
    result.map_err(|refusal| {
        refused.set(Some(refusal));
        E::custom("refused")
    })
}

struct Strict<'a, D> {
    inner: D,
    refused: &'a Refused,
}

impl<'a, D> Strict<'a, D> {
    fn watched<V>(&self, visitor: V, kind: Kind) -> Watch<'a, V> {
        Watch { visitor, kind, refused: self.refused }
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<'_, D> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let watched = self.watched(visitor, Kind::Any);
        raise(self.refused, self.inner.deserialize_any(watched))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let watched = self.watched(visitor, Kind::Any);
        raise(self.refused, self.inner.deserialize_option(watched))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let watched = self.watched(visitor, Kind::Object);
        raise(self.refused, self.inner.deserialize_any(watched))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_enum(String::deserialize(self)?.into_deserializer())
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct identifier ignored_any
    }
}

/// What a value must be before its visitor sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Any,
    /// Derived readers would take an array as well.
    Object,
}

/// A visitor whose refusals are kept, and whose arrays and objects are read strictly too.
struct Watch<'a, V> {
    visitor: V,
    kind: Kind,
    refused: &'a Refused,
}

/// Hands a plain value to the visitor.
macro_rules! plain {
    ($($method:ident($value:ty))*) => {
        $(fn $method<E: Error>(self, value: $value) -> Result<V::Value, E> {
            lower(self.refused, self.visitor.$method(value))
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watch<'_, V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(formatter)
    }

    plain! { visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_f64(f64) visit_str(&str) visit_borrowed_str(&'de str)
    visit_string(String) }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        lower(self.refused, self.visitor.visit_unit())
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        lower(self.refused, self.visitor.visit_none())
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        lower(self.refused, self.visitor.visit_some(Strict { inner, refused: self.refused }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        if self.kind == Kind::Object {
            return lower(self.refused, Err(Refusal::invalid_type(Unexpected::Seq, &"a map")));
        }
        lower(self.refused, self.visitor.visit_seq(Items { inner, index: 0, refused: self.refused }))
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let fields = Fields { inner, keys: Keys::default(), key: String::new(), refused: self.refused };
        lower(self.refused, self.visitor.visit_map(fields))
    }
}

/// The items of an array.
struct Items<'a, A> {
    inner: A,
    index: usize,
    refused: &'a Refused,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Items<'_, A> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        let index = self.index;
        self.index += 1;
        let item = self.inner.next_element_seed(Seed { seed, refused: self.refused });
        raise(self.refused, item).map_err(|refusal| refusal.inside(Segment::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// The fields of an object.
struct Fields<'a, A> {
    inner: A,
    keys: Keys,
    /// The key whose value comes next.
    key: String,
    refused: &'a Refused,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<'_, A> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        let Some(key) = raise(self.refused, self.inner.next_key::<String>())? else { return Ok(None) };
        self.keys.add(&key)?;
        let value = seed.deserialize(StrDeserializer::<Refusal>::new(&key))?;
        self.key = key;
        Ok(Some(value))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        let value = self.inner.next_value_seed(Seed { seed, refused: self.refused });
        raise(self.refused, value).map_err(|refusal| refusal.inside(Segment::Key(std::mem::take(&mut self.key))))
    }
}

/// A value inside another.
struct Seed<'a, T> {
    seed: T,
    refused: &'a Refused,
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Seed<'_, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<T::Value, D::Error> {
        lower(self.refused, self.seed.deserialize(Strict { inner, refused: self.refused }))
    }
}
