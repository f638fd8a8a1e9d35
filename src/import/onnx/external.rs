//! Tensor contents that lie in files beside the model.

use super::proto::StringStringEntryProto;
use crate::error::{Error, ErrorKind, Result};
use memmap2::Mmap;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

/// A file mapped into memory; an empty one has no mapping.
#[derive(Debug)]
pub(super) struct Mapped(Option<Mmap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// Maps a regular file.
pub(super) fn map(path: &Path) -> Result<Mapped> {
    let failed = |e: std::io::Error| Error::new(ErrorKind::Io, format!("cannot read `{}`", path.display())).caused_by(e);
    // Asked before opening: to open a pipe would block.
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(Error::new(ErrorKind::Io, format!("cannot read `{}`: expected a regular file", path.display())));
    }
    if metadata.len() == 0 {
        return Ok(Mapped(None));
    }
    let file = File::open(path).map_err(failed)?;
    // SAFETY: the mapping is only read, and copied into tensors before the import returns; as with every mapped file,
    // nobody may shorten it in that time.
    let mapping = unsafe { Mmap::map(&file) }.map_err(failed)?;
    Ok(Mapped(Some(mapping)))
}

/// The folder of a model, from which external data are read.
#[derive(Debug)]
pub(super) struct Folder {
    path: Option<PathBuf>,
    mapped: HashMap<String, Mapped>,
}

impl Folder {
    /// No file is touched until a tensor asks for it.
    pub(super) fn new(path: Option<&Path>) -> Self {
        Folder { path: path.map(Path::to_path_buf), mapped: HashMap::new() }
    }

    /// The `expected` bytes that the entries of a `TensorProto.external_data` describe.
    pub(super) fn read(&mut self, entries: &[StringStringEntryProto], expected: usize) -> Result<&[u8]> {
        let entry = |key: &str| entries.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let number = |key: &str| {
            entry(key)
                .map(|text| {
                    text.trim()
                        .parse::<usize>()
                        .map_err(|_| Error::invalid_model(format!("external data: {key} is `{text}`: expected a number of bytes")))
                })
                .transpose()
        };
        let location = entry("location").ok_or_else(|| Error::invalid_model("external data without a location"))?;
        let offset = number("offset")?.unwrap_or(0);
        let length = number("length")?.unwrap_or(expected);
        if length != expected {
            return Err(Error::invalid_model(format!(
                "external data in `{location}`: expected a length of {expected} bytes, found {length}"
            )));
        }
        if !self.mapped.contains_key(location) {
            let file = map(&self.locate(location)?)?;
            self.mapped.insert(location.to_string(), file);
        }
        let file = self.mapped.get(location).map(AsRef::as_ref).unwrap_or_default();
        offset.checked_add(length).and_then(|end| file.get(offset..end)).ok_or_else(|| {
            Error::invalid_model(format!(
                "external data in `{location}`: {length} bytes at offset {offset} are past the end of the file, which has {}",
                file.len()
            ))
        })
    }

    /// The path of a location, which must lie inside the folder.
    fn locate(&self, location: &str) -> Result<PathBuf> {
        let folder = self.path.as_ref().ok_or_else(|| {
            Error::invalid_argument(format!(
                "the model keeps data in `{location}`, but was given without a folder: load it from its file, or pass the folder"
            ))
        })?;
        let outside = || Error::invalid_model(format!("external data in `{location}`: expected a path inside the model's folder"));
        if location.is_empty() || !Path::new(location).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
            return Err(outside());
        }
        let failed = |e: std::io::Error| {
            Error::new(ErrorKind::Io, format!("external data: cannot find `{location}` in the model's folder")).caused_by(e)
        };
        let root = folder.canonicalize().map_err(failed)?;
        let path = root.join(location).canonicalize().map_err(failed)?;
        // A symbolic link may still lead out.
        if path.starts_with(&root) { Ok(path) } else { Err(outside()) }
    }
}
