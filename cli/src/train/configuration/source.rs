//! The text of a configuration, and what is wrong with it, said by line and key.

use crate::failure::{Failure, Result};
use crate::train::names::{listed, nearest};
use serde::de::DeserializeOwned;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// A file of TOML.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Reads a file.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|e| Failure::file("read", path, e))?;
        Ok(Source { path: path.to_path_buf(), text })
    }

    /// The folder that paths in it are relative to.
    pub(crate) fn folder(&self) -> PathBuf {
        self.path.parent().map(Path::to_path_buf).unwrap_or_default()
    }

    /// The name of the file without its ending.
    pub(crate) fn name(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What it says.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        let parser = toml::Deserializer::parse(&self.text).map_err(|e| self.at(e.span(), "", e.message()))?;
        serde_path_to_error::deserialize(parser).map_err(|e| {
            let path = match e.path().to_string() {
                path if path == "." => String::new(),
                path => path,
            };
            let inner: toml::de::Error = e.into_inner();
            let (key, message) = in_words(&path, inner.message());
            self.at(self.place(&key).or(inner.span()), &key, &message)
        })
    }

    /// A failure that is the fault of a key, which is written as `table.key`.
    pub(crate) fn wrong(&self, key: &str, message: impl AsRef<str>) -> Failure {
        self.at(self.place(key), key, message.as_ref())
    }

    /// The same from an error, which keeps what it says.
    pub(crate) fn because(&self, key: &str) -> impl Fn(gristmill::Error) -> Failure {
        let (place, key) = (self.place(key), key.to_string());
        move |error| self.at(place.clone(), &key, &error.to_string())
    }

    /// Whether a key is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.place(key).is_some()
    }

    /// Refuses the keys of a table that are of no use beside one that says what kind it is of. `common` and `own` are those that are.
    pub(crate) fn allow(&self, table: &str, kind: &str, common: &[&str], own: &[&str]) -> Result<()> {
        let parsed = DeTable::parse(&self.text).map_err(|e| self.at(e.span(), "", e.message()))?;
        let Some(DeValue::Table(keys)) = parsed.get_ref().get(table).map(|value| value.get_ref()) else { return Ok(()) };
        for key in keys.keys().map(|key| key.get_ref().as_ref()) {
            if !common.contains(&key) && !own.contains(&key) {
                let takes = if own.is_empty() { "no key of its own".into() } else { listed(own) };
                return Err(self.wrong(&format!("{table}.{key}"), format!("of no use to {kind}, which takes {takes}")));
            }
        }
        Ok(())
    }

    /// Where a key stands, or as much of it as is there, but for the first part.
    fn place(&self, key: &str) -> Option<Range<usize>> {
        let parsed = DeTable::parse(&self.text).ok()?;
        let mut table = parsed.get_ref();
        let mut found = None;
        for part in key.split('.') {
            let (name, value) = table.iter().find(|(name, _)| name.get_ref() == part)?;
            found = Some(name.span());
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        found
    }

    fn at(&self, place: Option<Range<usize>>, key: &str, message: &str) -> Failure {
        let line = place.and_then(|place| self.text.get(..place.start)).map(|before| before.matches('\n').count() + 1);
        let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
        let key = if key.is_empty() { String::new() } else { format!("`{key}`: ") };
        Failure::message(format!("{}{line}: {key}{}", self.path.display(), message.trim_end().replace('\n', "; ")))
    }
}

/// The key that an error of serde is about, and what it says of it in words for people.
fn in_words(path: &str, message: &str) -> (String, String) {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let under = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    match names[..] {
        [name, ref known @ ..] if message.starts_with("unknown field") => {
            let key = if path == name || path.ends_with(&format!(".{name}")) { path.to_string() } else { under(name) };
            (key, format!("there is no such key{}; expected {}", meant(name, known), listed(known)))
        }
        [name, ref known @ ..] if message.starts_with("unknown variant") => {
            (path.to_string(), format!("found `{name}`{}; expected {}", meant(name, known), listed(known)))
        }
        [name] if message.starts_with("missing field") => (under(name), "the key is missing".into()),
        _ => {
            let found =
                ["invalid type: ", "invalid value: ", "invalid length "].iter().find_map(|start| message.strip_prefix(start));
            let words = found.map_or_else(|| message.to_string(), |rest| format!("found {}", expected_in_words(rest)));
            (path.to_string(), words)
        }
    }
}

/// Types of Rust as people call them.
fn expected_in_words(text: &str) -> String {
    let (found, expected) = text.rsplit_once(", expected ").unwrap_or((text, ""));
    let expected = match expected {
        "f64" => "a number",
        "u64" | "u32" | "usize" | "u16" | "u8" => "a whole number of at least 0",
        "i64" => "a whole number",
        "a sequence" => "a list in brackets",
        "a boolean" => "true or false",
        "a string" | "a path string" => "a text in quotation marks",
        other if other.starts_with("struct ") => "a table",
        "a map" => "a table",
        other => other,
    };
    format!("{found}; expected {expected}")
}

fn meant(name: &str, known: &[&str]) -> String {
    nearest(name, known.iter().copied()).map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default()
}
