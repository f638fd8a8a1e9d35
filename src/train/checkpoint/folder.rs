//! A folder of checkpoints, of which the last few are kept.

use super::file::{Saved, load, save};
use super::whole::UNFINISHED;
use crate::error::{Error, ErrorKind, Result};
use crate::train::step::Checkpoint;
use std::fs;
use std::path::{Path, PathBuf};

const PREFIX: &str = "step-";
const EXTENSION: &str = "safetensors";

/// Where one run of training saves its checkpoints, as `step-NUMBER.safetensors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFolder {
    /// The folder, made with the first checkpoint.
    pub folder: PathBuf,
    /// How many checkpoints stay, the last ones: 1 or more.
    pub keep: usize,
}

impl CheckpointFolder {
    /// A folder that keeps so many checkpoints.
    pub fn new(folder: impl Into<PathBuf>, keep: usize) -> Self {
        CheckpointFolder { folder: folder.into(), keep }
    }

    /// Saves a checkpoint as [`train::save`](save) does, and removes those before it that are too many, only once it is whole. Checkpoints of
    /// later steps stay: they are of a run that was left.
    ///
    /// # Errors
    /// As `save`; [`InvalidArgument`](crate::ErrorKind::InvalidArgument) where none would stay.
    pub fn save(&self, checkpoint: &Checkpoint, metadata: &[(String, String)]) -> Result<PathBuf> {
        if self.keep == 0 {
            return Err(Error::invalid_argument("a folder of checkpoints keeps 1 or more"));
        }
        fs::create_dir_all(&self.folder).map_err(|error| self.failed(&error))?;
        let path = self.folder.join(format!("{PREFIX}{:012}.{EXTENSION}", checkpoint.steps));
        save(&path, checkpoint, metadata)?;
        let earlier = self.list()?.into_iter().filter(|(step, _)| *step < checkpoint.steps).skip(self.keep - 1);
        for old in earlier.map(|(_, path)| path).chain(self.unfinished()?) {
            fs::remove_file(&old).unwrap_or_else(|error| log::warn!("{} cannot be removed: {error}", old.display()));
        }
        Ok(path)
    }

    /// The last checkpoint that is whole, and where it lies; `None` where there is none. One that cannot be read is skipped with a warning.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) when the folder cannot be listed; why the last one cannot be read, if none of several can.
    pub fn latest(&self) -> Result<Option<(PathBuf, Saved)>> {
        let mut first = None;
        for (_, path) in self.list()? {
            match load(&path) {
                Ok(saved) => return Ok(Some((path, saved))),
                Err(error) => {
                    log::warn!("a checkpoint is skipped: {error}");
                    first.get_or_insert(error);
                }
            }
        }
        first.map_or(Ok(None), Err)
    }

    /// Checkpoints by their steps, the last first.
    fn list(&self) -> Result<Vec<(u64, PathBuf)>> {
        let mut found: Vec<(u64, PathBuf)> = self.files()?.into_iter().filter_map(|path| Some((step_of(&path)?, path))).collect();
        found.sort_by(|a, b| b.cmp(a));
        Ok(found)
    }

    /// What is left of saves that never ended.
    fn unfinished(&self) -> Result<impl Iterator<Item = PathBuf>> {
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with(PREFIX) && name.contains(EXTENSION) && path.extension().is_some_and(|end| end == UNFINISHED)
        };
        Ok(self.files()?.into_iter().filter(is_ours))
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.failed(&error)),
        };
        entries.map(|entry| entry.map(|entry| entry.path()).map_err(|error| self.failed(&error))).collect()
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        Error::new(ErrorKind::Io, format!("{}: {error}", self.folder.display()))
    }
}

/// The step of a checkpoint's file.
fn step_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let number = name.strip_prefix(PREFIX)?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())?
}
