//! The folders of a repository: `NAME/model.onnx`, or `NAME/VERSION/model.onnx` with whole numbers from 1 on.

use crate::failure::{Failure, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The file of a model.
const MODEL_FILE: &str = "model.onnx";

/// The file of its configuration, beside the folders of versions.
const CONFIG_FILE: &str = "model.toml";

/// The file of a tokenizer, beside the model or its configuration.
const TOKENIZER_FILE: &str = "tokenizer.json";

/// The longest name of a model.
const MAX_NAME: usize = 128;

/// A version of a model on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number, from 1 on.
    pub number: u32,
    /// The ONNX file.
    pub file: PathBuf,
    /// When the file was last written, and its length: what a change is seen by.
    pub stamp: Stamp,
}

/// When a file was last written, and its length.
type Stamp = Option<(SystemTime, u64)>;

/// The folder of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The model's name.
    pub name: String,
    /// The text of the configuration; empty where there is none.
    pub config: String,
    /// The newest version. One version of a model is served at a time.
    pub version: Version,
    /// The file of the tokenizer, where there is one, and what a change of it is seen by.
    pub tokenizer: Option<(PathBuf, Stamp)>,
}

/// Whether a text may name a model: letters, digits, `_`, `-` and `.`, and no `.` first, so that it is no path.
pub fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ['_', '-', '.'].contains(&c);
    !name.is_empty() && name.len() <= MAX_NAME && !name.starts_with('.') && name.chars().all(allowed)
}

/// The models of a repository by name; for folders that look like a model and are none, what is wrong. Other files and folders are passed over.
///
/// # Errors
/// [`Unavailable`](crate::Code::Unavailable) when the folder cannot be listed.
pub fn scan(repository: &Path) -> Result<BTreeMap<String, Result<Folder>>> {
    let unreadable = |e| {
        let message = format!("cannot list the model repository {}: {e}", repository.display());
        Failure::new(crate::Code::Unavailable, message)
    };
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(repository).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| is_name(name)) else { continue };
        if let Some(folder) = path.is_dir().then(|| read(name, &path)).and_then(Result::transpose) {
            found.insert(name.to_string(), folder);
        }
    }
    Ok(found)
}

/// The model in a folder; none where there is no model file.
fn read(name: &str, folder: &Path) -> Result<Option<Folder>> {
    let invalid = |what: String| Failure::invalid(format!("model `{name}`: {what}"));
    let mut versions: Vec<(u32, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| invalid(e.to_string()))? {
        let path = entry.map_err(|e| invalid(e.to_string()))?.path();
        let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
        let file = path.join(MODEL_FILE);
        if let Some(number) = number.filter(|number| *number > 0 && file.is_file()) {
            versions.push((number, file));
        }
    }
    let plain = folder.join(MODEL_FILE);
    if plain.is_file() {
        versions.push((1, plain));
    }
    versions.sort();
    if let Some((number, _)) = versions.windows(2).find(|pair| pair[0].0 == pair[1].0).map(|pair| &pair[0]) {
        return Err(invalid(format!("version {number} stands there twice")));
    }
    let Some((number, file)) = versions.pop() else { return Ok(None) };
    let config = match fs::read_to_string(folder.join(CONFIG_FILE)) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(invalid(format!("cannot read {CONFIG_FILE}: {e}"))),
    };
    let stamp = |file: &Path| fs::metadata(file).ok().and_then(|data| Some((data.modified().ok()?, data.len())));
    let beside = [file.with_file_name(TOKENIZER_FILE), folder.join(TOKENIZER_FILE)];
    let tokenizer = beside.into_iter().find(|path| path.is_file()).map(|path| {
        let stamp = stamp(&path);
        (path, stamp)
    });
    let version = Version { number, stamp: stamp(&file), file };
    Ok(Some(Folder { name: name.to_string(), config, version, tokenizer }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_paths() {
        assert!(["a", "bert-tiny_2.1"].into_iter().all(is_name));
        let long = "a".repeat(129);
        assert!(!["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "ä", "a\0", &long].into_iter().any(is_name));
    }
}
