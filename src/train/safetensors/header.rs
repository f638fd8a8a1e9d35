//! The header: one JSON object, whose members are objects.

use super::format::{METADATA, word};
use crate::error::{Error, Result};
use crate::tensor::{DType, Shape, TensorType};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value as Json;
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

/// A tensor as the header declares it.
#[derive(Debug)]
pub(super) struct Entry {
    pub name: String,
    pub ty: TensorType,
    /// The first byte of the data, and the first past it.
    pub begin: usize,
    pub end: usize,
}

/// What a header says.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub metadata: Vec<(String, String)>,
    pub entries: Vec<Entry>,
}

/// The members of a JSON object in their order, each name once. A map would keep the last of several of one name in silence.
struct Members<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
    type Value = Members<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<T>, A::Error> {
        let (mut members, mut known) = (Vec::new(), HashSet::new());
        while let Some((name, value)) = map.next_entry::<String, T>()? {
            if !known.insert(name.clone()) {
                return Err(serde::de::Error::custom(format!("`{name}` stands there twice")));
            }
            members.push((name, value));
        }
        Ok(Members(members))
    }
}

impl Header {
    /// Reads a header. Its offsets are not yet held against the data.
    pub(super) fn parse(text: &[u8]) -> Result<Header> {
        if text.first() != Some(&b'{') {
            return Err(Error::invalid_model("the header is malformed: it begins with no brace"));
        }
        // The parser bounds how deep values nest.
        let wrong = |error: serde_json::Error| Error::invalid_model(format!("the header is malformed: {error}"));
        let Members(members) = serde_json::from_slice::<Members<Members<Json>>>(text).map_err(wrong)?;
        let mut header = Header::default();
        for (name, Members(fields)) in members {
            match name == METADATA {
                true => header.metadata = texts(fields)?,
                false => header.entries.push(entry(name, &fields)?),
            }
        }
        Ok(header)
    }
}

fn texts(fields: Vec<(String, Json)>) -> Result<Vec<(String, String)>> {
    let text = |(name, value)| match value {
        Json::String(text) => Ok((name, text)),
        _ => Err(Error::invalid_model(format!("metadata `{name}` is no text"))),
    };
    fields.into_iter().map(text).collect()
}

/// One tensor.
fn entry(name: String, fields: &[(String, Json)]) -> Result<Entry> {
    let wrong = |what: &str| Error::invalid_model(format!("tensor `{name}` {what}"));
    let (mut dtype, mut shape, mut offsets) = (None, None, None);
    for (field, value) in fields {
        match field.as_str() {
            "dtype" => dtype = value.as_str(),
            "shape" => shape = numbers(value),
            "data_offsets" => offsets = numbers(value),
            other => return Err(wrong(&format!("has an unknown field `{other}`"))),
        }
    }
    let dtype = dtype.ok_or_else(|| wrong("has no dtype"))?;
    let dtype = DType::ALL.into_iter().find(|known| word(*known) == dtype).ok_or_else(|| {
        let known: Vec<&str> = DType::ALL.into_iter().map(word).collect();
        Error::unsupported(format!("tensor `{name}` is of dtype `{dtype}`; expected one of {}", known.join(", ")))
    })?;
    let shape = shape.ok_or_else(|| wrong("has no shape of extents"))?;
    let offsets = offsets.ok_or_else(|| wrong("has no data offsets"))?;
    let [begin, end] = offsets[..] else { return Err(wrong("needs two data offsets")) };
    let ty = TensorType::new(dtype, Shape::new(shape));
    let bytes = ty.elements().checked_mul(dtype.size());
    match end.checked_sub(begin) {
        Some(length) if Some(length) == bytes => Ok(Entry { name, ty, begin, end }),
        Some(length) => Err(wrong(&format!("of type {ty} has {length} bytes"))),
        None => Err(wrong(&format!("ends at byte {end}, before it begins at {begin}"))),
    }
}

/// A list of sizes.
fn numbers(value: &Json) -> Option<Vec<usize>> {
    value.as_array()?.iter().map(|number| number.as_u64().and_then(|number| usize::try_from(number).ok())).collect()
}
