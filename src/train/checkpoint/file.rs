//! A checkpoint as a safetensors file.

use super::checksum::checksum;
use super::whole::write_whole;
use crate::error::{Error, Result};
use crate::train::safetensors::Safetensors;
use crate::train::step::Checkpoint;
use std::path::Path;

/// The text that says what such a file is.
const FORMAT: (&str, &str) = ("format", "gristmill checkpoint 1");
/// The text that counts updates.
const STEPS: &str = "steps";

/// The text that tells damage.
const CHECKSUM: &str = "checksum";

/// A checkpoint that was read, with the texts that were saved with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// What the step held.
    pub checkpoint: Checkpoint,
    /// Names and texts.
    pub metadata: Vec<(String, String)>,
}

impl Saved {
    /// The text of a name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.metadata.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }

    /// The number of a name.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) naming what is not there, or is no such number.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T> {
        let text = self.text(name).ok_or_else(|| Error::invalid_input(format!("the checkpoint does not say its `{name}`")))?;
        text.parse().map_err(|_| Error::invalid_input(format!("the checkpoint's `{name}` is `{text}`; expected a number")))
    }
}

/// Saves a checkpoint and texts beside it (of other names than `format`, `steps` and `checksum`) as a safetensors file. The file is written whole or
/// not at all: where anything fails, the path names what it named before.
///
/// # Errors
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) naming a tensor or text that is given twice; [`Io`](crate::ErrorKind::Io).
pub fn save(path: impl AsRef<Path>, checkpoint: &Checkpoint, metadata: &[(String, String)]) -> Result<()> {
    let mut texts = vec![(FORMAT.0.into(), FORMAT.1.into()), (STEPS.into(), checkpoint.steps.to_string())];
    texts.extend_from_slice(metadata);
    let mut file = Safetensors { metadata: texts, tensors: checkpoint.tensors.clone() };
    file.metadata.push((CHECKSUM.into(), checksum(&file, CHECKSUM)?));
    write_whole(path.as_ref(), |writer| file.write(writer))
}

/// Reads a checkpoint that was [saved](save). Whether it fits a step is for [`Step::restore`](crate::train::Step::restore) to say.
///
/// # Errors
/// As [`Safetensors::load`]; [`InvalidModel`](crate::ErrorKind::InvalidModel) for files of tensors that are no checkpoint, and for one whose texts or
/// tensors are not those that were saved.
pub fn load(path: impl AsRef<Path>) -> Result<Saved> {
    let path = path.as_ref();
    let file = Safetensors::load(path)?;
    let wrong = |what: &str| Error::invalid_model(format!("{}: {what}", path.display()));
    match file.metadata(FORMAT.0) {
        Some(format) if format == FORMAT.1 => {}
        Some(other) => return Err(wrong(&format!("its format is `{other}`; expected `{}`", FORMAT.1))),
        None => return Err(wrong("it is no checkpoint")),
    }
    let (told, found) = (file.metadata(CHECKSUM), checksum(&file, CHECKSUM)?);
    if told != Some(found.as_str()) {
        let told = told.unwrap_or("none");
        return Err(wrong(&format!("it is damaged: its checksum is {told}, that of its contents {found}")));
    }
    let steps = file.metadata(STEPS).and_then(|text| text.parse().ok()).ok_or_else(|| wrong("it does not count its steps"))?;
    let Safetensors { mut metadata, tensors } = file;
    metadata.retain(|(name, _)| ![FORMAT.0, STEPS, CHECKSUM].contains(&name.as_str()));
    Ok(Saved { checkpoint: Checkpoint { steps, tensors }, metadata })
}
