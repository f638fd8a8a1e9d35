//! Parameters of requests and tensors.

use crate::failure::{Code, Failure, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
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

/// The longest text that names a sequence.
const MAX_SEQUENCE_ID: usize = 128;

/// What a client knows a sequence by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SequenceId {
    /// A number that is not 0.
    Number(u64),
    /// Text that is not empty.
    Text(String),
}

impl fmt::Display for SequenceId {
    /// No number and no text look alike.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SequenceId::Number(number) => write!(f, "{number}"),
            SequenceId::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// What a request says of a sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// The sequence; a request that names none is one by itself.
    pub id: Option<SequenceId>,
    /// Whether the request is the first of it.
    pub start: bool,
    /// Whether it is the last.
    pub end: bool,
}

/// Parameters that would change what is computed or where bytes lie; passing over them would give wrong answers.
const UNSUPPORTED: [&str; 4] =
    ["shared_memory_region", "shared_memory_byte_size", "shared_memory_offset", "triton_enable_empty_final_response"];

/// Parameters of a request that its tensors do not have.
const OF_REQUESTS: [&str; 3] = ["sequence_id", "sequence_start", "sequence_end"];

/// Refuses parameters of a request that ask for what is not implemented, unless they ask for nothing: numbers that are 0, `false`, empty text.
///
/// # Errors
/// [`Unimplemented`](Code::Unimplemented) naming the parameter.
pub fn unsupported(parameters: &Parameters) -> Result<()> {
    none_of(parameters, &UNSUPPORTED)
}

/// [`unsupported`], for those of a tensor.
///
/// # Errors
/// As `unsupported`.
pub fn unsupported_of_tensor(parameters: &Parameters) -> Result<()> {
    unsupported(parameters)?;
    none_of(parameters, &OF_REQUESTS)
}

fn none_of(parameters: &Parameters, names: &[&str]) -> Result<()> {
    let asks = |value: &Parameter| match value {
        Parameter::Bool(asked) => *asked,
        Parameter::Unsigned(number) => *number != 0,
        Parameter::Text(text) => !text.is_empty(),
        Parameter::Signed(_) | Parameter::Float(_) => true,
    };
    let found = names.iter().find(|name| parameters.0.get(**name).is_some_and(asks));
    found.map_or(Ok(()), |name| Err(Failure::new(Code::Unimplemented, format!("the parameter `{name}` is not implemented here"))))
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

    /// The sequence that a request belongs to: the parameters `sequence_id` (a number or text; 0 and empty text name none),
    /// `sequence_start` and `sequence_end`. None where nothing is asked.
    ///
    /// # Errors
    /// [`InvalidArgument`](Code::InvalidArgument) for values that are none of these, and for text that is too long.
    pub fn sequence(&self) -> Result<Option<Sequence>> {
        let id = match self.0.get("sequence_id") {
            None | Some(Parameter::Unsigned(0)) => None,
            Some(Parameter::Unsigned(number)) => Some(SequenceId::Number(*number)),
            Some(Parameter::Text(text)) if text.is_empty() => None,
            Some(Parameter::Text(text)) if text.len() <= MAX_SEQUENCE_ID => Some(SequenceId::Text(text.clone())),
            Some(Parameter::Text(text)) => {
                let found = text.len();
                let message = format!("parameter `sequence_id`: expected at most {MAX_SEQUENCE_ID} bytes of text, found {found}");
                return Err(Failure::invalid(message));
            }
            Some(_) => return Err(Failure::invalid("parameter `sequence_id`: expected a number from 0 on, or text")),
        };
        let flag = |name: &str| self.flag(name).map(|flag| flag.unwrap_or(false));
        let sequence = Sequence { id, start: flag("sequence_start")?, end: flag("sequence_end")? };
        Ok(Some(sequence).filter(|sequence| *sequence != Sequence::default()))
    }
}
