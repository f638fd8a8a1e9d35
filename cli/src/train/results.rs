//! What a run leaves: the network and its parameters as files.

use super::configuration::Configuration;
use crate::failure::{Failure, Result};
use gristmill::train::{LossCurve, Safetensors, Step};
use std::fs;
use std::path::{Path, PathBuf};

/// What checkpoints call what optimizers remember.
const REMEMBERED: &str = "optimizer.";

/// Where a file goes, in a folder that is there then.
pub(crate) fn place(output: &Path, file: &Path) -> Result<PathBuf> {
    let path = output.join(file);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| Failure::file("make the folder", folder, e))?;
    }
    Ok(path)
}

/// Writes the files that the table `[output]` names, and says which.
pub(crate) fn write(step: &Step, curve: &LossCurve, configuration: &Configuration, output: &Path) -> Result<Vec<PathBuf>> {
    let table = &configuration.output;
    let mut written: Vec<PathBuf> = table.log.iter().map(|file| output.join(file)).collect();
    if let Some(file) = &table.curve {
        let path = place(output, file)?;
        curve.save(&path)?;
        written.push(path);
    }
    if let Some(file) = &table.onnx {
        let bytes = step.to_onnx_blocking(&[configuration.loss.prediction.as_str()])?;
        written.push(put(output, file, &bytes)?);
    }
    if let Some(file) = &table.weights {
        let mut tensors = step.checkpoint_blocking()?.tensors;
        tensors.retain(|(name, _)| !name.starts_with(REMEMBERED));
        let mut bytes = Vec::new();
        Safetensors { metadata: vec![], tensors }.write(&mut bytes)?;
        written.push(put(output, file, &bytes)?);
    }
    Ok(written)
}

/// Writes a file, whole or not at all.
fn put(output: &Path, file: &Path, bytes: &[u8]) -> Result<PathBuf> {
    let path = place(output, file)?;
    let mut unfinished = path.clone().into_os_string();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    fs::write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, &path)).map_err(|e| Failure::file("write", &path, e))?;
    Ok(path)
}
