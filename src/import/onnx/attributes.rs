//! Typed access to the attributes of a node.

use super::dtype::dtype;
use super::proto::{AttributeProto, GraphProto, TensorProto, attribute_type as kind};
use crate::error::{Error, Result};
use crate::tensor::DType;
use std::collections::HashMap;

/// The attributes of a node, with references to those of the calling node resolved. Attributes nobody asks for are
/// ignored.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes<'m> {
    by_name: HashMap<&'m str, &'m AttributeProto>,
}

impl<'m> Attributes<'m> {
    /// The attributes of a node; inside a function, `outer` are those of the node that calls it.
    pub(super) fn of(list: &'m [AttributeProto], outer: &Attributes<'m>) -> Result<Self> {
        let mut by_name = HashMap::new();
        for attribute in list {
            let value = match attribute.ref_attr_name.as_str() {
                "" => attribute,
                name => match outer.by_name.get(name) {
                    Some(value) => value,
                    None => continue,
                },
            };
            if by_name.insert(attribute.name.as_str(), value).is_some() {
                return Err(Error::invalid_model(format!("attribute `{}` stands twice", attribute.name)));
            }
        }
        Ok(Attributes { by_name })
    }

    /// Adds those of `defaults` that are missing here.
    pub(super) fn or(mut self, defaults: &'m [AttributeProto]) -> Self {
        for attribute in defaults {
            self.by_name.entry(&attribute.name).or_insert(attribute);
        }
        self
    }

    /// The attribute, if it is there and of the expected type. Files of IR version 1 carry no type.
    fn get(&self, name: &str, expected: i32) -> Result<Option<&'m AttributeProto>> {
        match self.by_name.get(name) {
            Some(a) if a.r#type == expected || a.r#type == kind::UNDEFINED => Ok(Some(a)),
            Some(a) => Err(Error::invalid_model(format!(
                "attribute `{name}`: expected {}, found {}",
                describe(expected),
                describe(a.r#type)
            ))),
            None => Ok(None),
        }
    }

    /// True when the attribute is there, whatever its type.
    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(super) fn int(&self, name: &str) -> Result<Option<i64>> {
        // A writer of proto3 leaves out what is zero.
        Ok(self.get(name, kind::INT)?.map(|a| a.i.unwrap_or(0)))
    }

    pub(super) fn float(&self, name: &str) -> Result<Option<f32>> {
        Ok(self.get(name, kind::FLOAT)?.map(|a| a.f.unwrap_or(0.0)))
    }

    pub(super) fn string(&self, name: &str) -> Result<Option<&'m str>> {
        self.get(name, kind::STRING)?.map(|a| text(name, a.s.as_deref().unwrap_or_default())).transpose()
    }

    pub(super) fn ints(&self, name: &str) -> Result<Option<&'m [i64]>> {
        Ok(self.get(name, kind::INTS)?.map(|a| a.ints.as_slice()))
    }

    pub(super) fn floats(&self, name: &str) -> Result<Option<&'m [f32]>> {
        Ok(self.get(name, kind::FLOATS)?.map(|a| a.floats.as_slice()))
    }

    pub(super) fn strings(&self, name: &str) -> Result<Option<Vec<&'m str>>> {
        self.get(name, kind::STRINGS)?.map(|a| a.strings.iter().map(|s| text(name, s)).collect()).transpose()
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<&'m TensorProto>> {
        Ok(self.get(name, kind::TENSOR)?.and_then(|a| a.t.as_ref()))
    }

    /// An attribute that holds a `TensorProto.DataType`.
    pub(super) fn dtype(&self, name: &str) -> Result<Option<DType>> {
        let within = |e: Error| Error::new(e.kind(), format!("attribute `{name}`: {}", e.message()));
        self.int(name)?.map(|i| dtype(i32::try_from(i).unwrap_or(-1)).map_err(within)).transpose()
    }

    pub(super) fn graph(&self, name: &str) -> Result<Option<&'m GraphProto>> {
        Ok(self.get(name, kind::GRAPH)?.and_then(|a| a.g.as_ref()))
    }
}

fn text<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|_| Error::invalid_model(format!("attribute `{name}`: expected UTF-8 text")))
}

fn describe(expected: i32) -> String {
    match expected {
        kind::FLOAT => "a float".into(),
        kind::INT => "an integer".into(),
        kind::STRING => "a string".into(),
        kind::TENSOR => "a tensor".into(),
        kind::GRAPH => "a graph".into(),
        kind::FLOATS => "floats".into(),
        kind::INTS => "integers".into(),
        kind::STRINGS => "strings".into(),
        other => format!("attribute type {other}"),
    }
}
