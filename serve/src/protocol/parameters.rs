//! Parameters of requests and tensors.

use crate::failure::{Code, Failure, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Parameter {
    /// True or false.
    Bool(bool),
    /// A number that is not negative.
    Unsigned(u64),
    /// A negative number.
    Signed(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
}

/// Parameters by name.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Parameters(pub BTreeMap<String, Parameter>);

/// Parameters that would change what is computed or where bytes lie; passing over them would give wrong answers.
const UNSUPPORTED: [&str; 7] = [
    "sequence_id",
    "sequence_start",
    "sequence_end",
    "shared_memory_region",
    "shared_memory_byte_size",
    "shared_memory_offset",
    "triton_enable_empty_final_response",
];

/// Refuses parameters that ask for what is not implemented, unless they ask for nothing: numbers that are 0, `false`, empty text.
///
/// # Errors
/// [`Unimplemented`](Code::Unimplemented) naming the parameter.
pub fn unsupported(parameters: &Parameters) -> Result<()> {
    let asks = |value: &Parameter| match value {
        Parameter::Bool(asked) => *asked,
        Parameter::Unsigned(number) => *number != 0,
        Parameter::Text(text) => !text.is_empty(),
        Parameter::Signed(_) | Parameter::Float(_) => true,
    };
    let found = UNSUPPORTED.iter().find(|name| parameters.0.get(**name).is_some_and(asks));
    found.map_or(Ok(()), |name| Err(Failure::new(Code::Unimplemented, format!("the parameter `{name}` is not implemented"))))
}

impl Parameters {
    /// A flag.
    ///
    /// # Errors
    /// [`InvalidArgument`](Code::InvalidArgument) for a value that is none.
    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Parameter::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(Failure::invalid(format!("parameter `{name}`: expected true or false"))),
        }
    }

    /// A number that is not negative.
    ///
    /// # Errors
    /// [`InvalidArgument`](Code::InvalidArgument) for a value that is none.
    pub fn number(&self, name: &str) -> Result<Option<u64>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Parameter::Unsigned(number)) => Ok(Some(*number)),
            Some(Parameter::Text(text)) if text.parse::<u64>().is_ok() => Ok(text.parse().ok()),
            Some(_) => Err(Failure::invalid(format!("parameter `{name}`: expected a number from 0 on"))),
        }
    }

    /// How long a request may wait: the parameter `timeout`, in microseconds, where 0 is for ever.
    ///
    /// # Errors
    /// Those of [`number`](Self::number).
    pub fn timeout(&self) -> Result<Option<Duration>> {
        Ok(self.number("timeout")?.filter(|microseconds| *microseconds > 0).map(Duration::from_micros))
    }

    /// The level of a request: 1 goes first; 0, or none, is the usual one.
    ///
    /// # Errors
    /// Those of [`number`](Self::number).
    pub fn priority(&self) -> Result<Option<u32>> {
        let number = self.number("priority")?.filter(|level| *level > 0);
        Ok(number.map(|level| u32::try_from(level).unwrap_or(u32::MAX)))
    }
}
