//! JSON that goes to the sandbox as it came: messages, tools, arguments of a template. It is read
//! strictly, like everything else, and written anew: in the order in which it stood, and without
//! anything that is given twice.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use utoipa::ToSchema;

/// The text of an array of objects.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = Vec<Object>)]
pub(crate) struct JsonObjects(pub(crate) String);

/// The text of an object.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = Object)]
pub(crate) struct JsonObject(pub(crate) String);

impl<'de> Deserialize<'de> for JsonObjects {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(Kind::Objects, deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(Kind::Object, deserializer).map(Self)
    }
}

fn text<'de, D: Deserializer<'de>>(kind: Kind, deserializer: D) -> Result<String, D::Error> {
    let mut text = String::new();
    Writer { text: &mut text, kind }.deserialize(deserializer)?;
    Ok(text)
}

/// What a value must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Any,
    Object,
    /// An array of objects.
    Objects,
}

/// Reads a value and writes it to the end of a text.
struct Writer<'a> {
    text: &'a mut String,
    kind: Kind,
}

impl Writer<'_> {
    fn write<E: Error>(self, value: &impl Serialize, unexpected: Unexpected<'_>) -> Result<(), E> {
        if self.kind != Kind::Any {
            return Err(E::invalid_type(unexpected, &self));
        }
        // A plain value is always JSON.
        self.text.push_str(&serde_json::to_string(value).map_err(E::custom)?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Writer<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Writer<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.kind {
            Kind::Any => "a value",
            Kind::Object => "an object",
            Kind::Objects => "an array of objects",
        })
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.write(&(), Unexpected::Unit)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.write(&value, Unexpected::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.write(&value, Unexpected::Signed(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.write(&value, Unexpected::Unsigned(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.write(&value, Unexpected::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.write(&value, Unexpected::Str(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let kind = match self.kind {
            Kind::Any => Kind::Any,
            Kind::Objects => Kind::Object,
            Kind::Object => return Err(A::Error::invalid_type(Unexpected::Seq, &self)),
        };
        self.text.push('[');
        let start = self.text.len();
        while seq.next_element_seed(Item { text: &mut *self.text, start, kind })?.is_some() {}
        self.text.push(']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.kind == Kind::Objects {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        }
        self.text.push('{');
        let start = self.text.len();
        while let Some(key) = map.next_key::<String>()? {
            separate(self.text, start);
            self.text.push_str(&serde_json::to_string(&key).map_err(A::Error::custom)?);
            self.text.push(':');
            map.next_value_seed(Writer { text: &mut *self.text, kind: Kind::Any })?;
        }
        self.text.push('}');
        Ok(())
    }
}

/// An item of an array whose items begin at `start`.
struct Item<'a> {
    text: &'a mut String,
    start: usize,
    kind: Kind,
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        separate(self.text, self.start);
        Writer { text: self.text, kind: self.kind }.deserialize(deserializer)
    }
}

/// Writes a comma, unless nothing stands behind `start`.
fn separate(text: &mut String, start: usize) {
    if text.len() > start {
        text.push(',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::json;

    #[test]
    fn what_goes_on_has_the_order_and_the_values_that_came() {
        let sent = r#" [ {"b": [1, -2, 1.0, 1e300, true, null], "a": "\u00e4 \"\n", "c": {}} , {} ] "#;
        let JsonObjects(text) = json(sent.as_bytes()).expect("objects");
        assert_eq!(text, r#"[{"b":[1,-2,1.0,1e300,true,null],"a":"ä \"\n","c":{}},{}]"#);
        let JsonObject(text) = json(br#"{"z": [[], [[]]], "y": 18446744073709551615}"#).expect("an object");
        assert_eq!(text, r#"{"z":[[],[[]]],"y":18446744073709551615}"#);
    }

    #[test]
    fn what_is_no_object_where_one_must_be_or_given_twice_is_refused_with_its_place() {
        let refusal = |sent: &str| json::<JsonObjects>(sent.as_bytes()).expect_err("a refusal");
        for (sent, param) in [
            (r#"[{}, 5]"#, Some("[1]")),
            (r#"{}"#, None),
            (r#"[[]]"#, Some("[0]")),
            (r#"[{"a": [{"b": 1, "b": 2}]}]"#, Some("[0].a[0].b")),
        ] {
            assert_eq!(refusal(sent).param(), param, "{sent}");
        }
        assert!(json::<JsonObject>(b"[]").is_err() && json::<JsonObject>(b"5").is_err());
    }
}
