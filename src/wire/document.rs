//! JSON documents in which every field is given once. Which of two would count depends on who reads them, so a gateway that read the
//! other one would have let something else pass.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};

use crate::domain::issue::Issue;

/// More findings than this help nobody.
const MAX_REPEATED: usize = 50;
/// So much is shown of a name.
const SHOWN: usize = 64;

/// Reads a document, or says what is wrong with it.
///
/// Errors: it is not JSON, or fields are given more than once; each of them is named.
pub fn read(bytes: &[u8]) -> Result<Json, Vec<Issue>> {
    let mut repeated = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = Place { at: &At::Root, repeated: &mut repeated }.deserialize(&mut deserializer);
    let document = read.and_then(|document| deserializer.end().map(|()| document));
    let document = document.map_err(|error| vec![Issue::new("", format!("is not valid JSON: {error}"))])?;
    if repeated.is_empty() { Ok(document) } else { Err(repeated) }
}

/// Where a value stands. It is written only for what is wrong: a large document has many places.
enum At<'a> {
    Root,
    Field(&'a At<'a>, &'a str),
    Item(&'a At<'a>, usize),
}

impl At<'_> {
    fn path(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Field(Self::Root, name) => name.chars().take(SHOWN).collect(),
            Self::Field(object, name) => format!("{}.{}", object.path(), name.chars().take(SHOWN).collect::<String>()),
            Self::Item(array, number) => format!("{}[{number}]", array.path()),
        }
    }
}

/// A value to be read, and what was found to be given more than once.
struct Place<'a> {
    at: &'a At<'a>,
    repeated: &'a mut Vec<Issue>,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        loop {
            let at = At::Item(self.at, values.len());
            let Some(value) = items.next_element_seed(Place { at: &at, repeated: self.repeated })? else { break };
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json, A::Error> {
        let mut values = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let at = At::Field(self.at, &name);
            if values.contains_key(&name) && self.repeated.len() < MAX_REPEATED {
                self.repeated.push(Issue::new(at.path(), "is given more than once"));
            }
            let value = fields.next_value_seed(Place { at: &at, repeated: self.repeated })?;
            values.insert(name, value);
        }
        Ok(values.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_is_json_is_read_as_everywhere() {
        let text = r#"{"a":[1,-2,2.5,1e3,true,null,"x\u00e9",{}],"b":{"c":[[]]},"d":18446744073709551615}"#;
        let usual: Json = serde_json::from_str(text).expect("JSON");
        assert_eq!(read(text.as_bytes()), Ok(usual));
    }

    #[test]
    fn every_field_that_is_given_twice_is_named_with_its_path() {
        let issues = read(br#"{"org":"a","org":"b","items":[{},{"x":{"y":1,"y":2}}],"org":"c"}"#).expect_err("three");
        let paths: Vec<&str> = issues.iter().map(|issue| issue.path.as_str()).collect();
        assert_eq!(paths, ["org", "items[1].x.y", "org"]);
        assert!(issues.iter().all(|issue| issue.message == "is given more than once"), "{issues:?}");
        assert_eq!(read(br#"{"a":{"x":1},"b":{"x":1}}"#), Ok(json!({"a": {"x": 1}, "b": {"x": 1}})));
    }

    #[test]
    fn however_much_is_given_twice_little_is_said_of_it() {
        let name = "x".repeat(100_000);
        let text = format!(r#"{{"{name}":{{{}"a":0}}}}"#, r#""a":0,"#.repeat(90_000));
        let issues = read(text.as_bytes()).expect_err("very many");
        assert_eq!(issues.len(), MAX_REPEATED);
        assert!(issues.iter().all(|issue| issue.path.len() < 100));
    }

    #[test]
    fn what_is_not_json_is_said_to_be_none() {
        for bad in ["", "{", "{} {}", "{'a':1}", "[1,]", "nul", "\u{feff}{}"] {
            let issues = read(bad.as_bytes()).expect_err(bad);
            assert!(issues[0].message.starts_with("is not valid JSON"), "{issues:?}");
        }
    }
}
