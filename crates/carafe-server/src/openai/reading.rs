//! Reads a request: judges its fields without effect by the table in `fields`, and leaves the
//! others to the derived code. That no field is given twice is the affair of `extract/strict`,
//! through which all of it is read.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};

use super::fields::Neutral::{self, Anything, Bool, Empty, Number, Text, TextFormat, TextModality};
use super::fields::{Api, Field, without_effect};
use crate::error::ApiError;
use crate::known_fields::names_of;

/// A body whose fields are those that have an effect.
pub(crate) trait Body: DeserializeOwned {
    /// Whose fields without effect it may have besides.
    const API: Api;
}

/// A body as it was sent.
#[derive(Debug)]
pub(crate) struct Checked<T> {
    body: T,
    /// The first field without effect whose value is refused.
    unsupported: Option<&'static Field>,
}

impl<T> Checked<T> {
    /// The body, unless it asks for something that is not done here.
    pub(crate) fn supported(self) -> Result<T, ApiError> {
        match self.unsupported {
            Some(field) => Err(ApiError::unsupported(field.name, field.refusal())),
            None => Ok(self.body),
        }
    }
}

impl<'de, T: Body> Deserialize<'de> for Checked<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(BodyVisitor(PhantomData))
    }
}

struct BodyVisitor<T>(PhantomData<T>);

impl<'de, T: Body> Visitor<'de> for BodyVisitor<T> {
    type Value = Checked<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Checked<T>, A::Error> {
        let mut unsupported = None;
        let name = Name { api: T::API, effective: names_of::<T>() };
        let effective = Effective { map, name, unsupported: &mut unsupported };
        let body = T::deserialize(MapAccessDeserializer::new(effective))?;
        Ok(Checked { body, unsupported })
    }
}

/// A request's fields with an effect; those without are judged and left out.
struct Effective<'a, A> {
    map: A,
    name: Name,
    /// The first whose value is refused.
    unsupported: &'a mut Option<&'static Field>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Effective<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(name) = self.map.next_key_seed(self.name)? {
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
#[derive(Clone, Copy)]
struct Name {
    api: Api,
    effective: &'static [&'static str],
}

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
        let effective = self.effective.iter().copied().find(|known| *known == name).map(Known::Effective);
        let without = || without_effect(self.api).find(|field| field.name == name).map(Known::WithoutEffect);
        effective.or_else(without).ok_or_else(|| E::unknown_field(name, self.effective))
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
        let (mut items, mut is_text) = (0_usize, false);
        while let Some(item_is_text) = seq.next_element_seed(Judge(&[Text("text")]))? {
            is_text = item_is_text;
            items += 1;
        }
        Ok(match items {
            0 => self.accepts(Empty),
            1 if is_text => self.accepts(TextModality),
            _ => self.accepts(Anything),
        })
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
