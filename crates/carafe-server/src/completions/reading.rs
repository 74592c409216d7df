//! Reads a request: judges its fields without effect by the table in `fields`, and leaves the
//! others to the derived code. That no field is given twice is the affair of `extract/strict`,
//! through which all of it is read.

use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::fields::Neutral::{self, Anything, Bool, Empty, Number, Text, TextFormat};
use super::fields::{EFFECTIVE, FIELDS, Field};
use super::request::CompletionRequest;

impl<'de> Deserialize<'de> for CompletionRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RequestVisitor)
    }
}

/// Reads a request: judges the fields without effect, and leaves the others to the derived code.
struct RequestVisitor;

impl<'de> Visitor<'de> for RequestVisitor {
    type Value = CompletionRequest;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CompletionRequest, A::Error> {
        let mut unsupported = None;
        let effective = Effective { map, unsupported: &mut unsupported };
        let request = CompletionRequest::deserialize(MapAccessDeserializer::new(effective))?;
        Ok(CompletionRequest { unsupported, ..request })
    }
}

/// A request's fields with an effect; those without are judged and left out.
struct Effective<'a, A> {
    map: A,
    /// The first whose value is refused.
    unsupported: &'a mut Option<&'static Field>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Effective<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(name) = self.map.next_key_seed(Name)? {
            match name {
                Known::Effective(name) => {
                    let name: StrDeserializer<'_, A::Error> = name.into_deserializer();
                    return seed.deserialize(name).map(Some);
                }
                Known::WithoutEffect(field) => self.judge(field)?,
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

impl<'de, A: MapAccess<'de>> Effective<'_, A> {
    fn judge(&mut self, field: &'static Field) -> Result<(), A::Error> {
        if !self.map.next_value_seed(Judge(field.accepted))? {
            self.unsupported.get_or_insert(field);
        }
        Ok(())
    }
}

/// A field that is known.
enum Known {
    Effective(&'static str),
    WithoutEffect(&'static Field),
}

/// Finds a field by its name.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Known;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Known, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Known;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Known, E> {
        let effective = EFFECTIVE.iter().copied().find(|known| *known == name).map(Known::Effective);
        let without = || FIELDS.iter().find(|field| field.name == name).map(Known::WithoutEffect);
        effective.or_else(without).ok_or_else(|| E::unknown_field(name, &EFFECTIVE))
    }
}

/// Reads a value and tells whether it is one of these; keeps nothing of it.
#[derive(Clone, Copy)]
struct Judge(&'static [Neutral]);

impl Judge {
    fn accepts(self, value: Neutral) -> bool {
        self.0.iter().any(|accepted| *accepted == Anything || *accepted == value)
    }
}

impl<'de> DeserializeSeed<'de> for Judge {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Judge {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
        Ok(self.accepts(Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<bool, E> {
        Ok(self.accepts(Number(value as f64)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<bool, E> {
        Ok(self.accepts(Number(value as f64)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<bool, E> {
        Ok(self.accepts(Number(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<bool, E> {
        Ok(self.0.iter().any(|accepted| *accepted == Anything || matches!(accepted, Text(text) if *text == value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        let mut is_empty = true;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            is_empty = false;
        }
        Ok(self.accepts(if is_empty { Empty } else { Anything }))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let (mut entries, mut is_text) = (0_usize, false);
        while let Some(key) = map.next_key::<String>()? {
            let value_is_text = map.next_value_seed(Judge(&[Text("text")]))?;
            is_text = key == "type" && value_is_text;
            entries += 1;
        }
        Ok(match entries {
            0 => self.accepts(Empty),
            1 if is_text => self.accepts(TextFormat),
            _ => self.accepts(Anything),
        })
    }
}
