//! What is held out: a file, or a part of the examples.

use serde::de::{self, Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use std::path::PathBuf;

/// What evaluations are made on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum HeldOut {
    /// A file of its own.
    File(PathBuf),
    /// This part of the examples.
    Part(f64),
}

impl<'de> Deserialize<'de> for HeldOut {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = HeldOut;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a file, or the part of the examples that is held out, between 0 and 1")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<HeldOut, E> {
                Ok(HeldOut::File(text.into()))
            }

            fn visit_f64<E: Error>(self, part: f64) -> Result<HeldOut, E> {
                match part > 0.0 && part < 1.0 {
                    true => Ok(HeldOut::Part(part)),
                    false => Err(E::invalid_value(de::Unexpected::Float(part), &self)),
                }
            }
        }
        deserializer.deserialize_any(Read)
    }
}
