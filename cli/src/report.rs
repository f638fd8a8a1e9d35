//! Reports as JSON files.

use crate::failure::{Failure, Result};
use serde::Serialize;
use std::fs;
use std::path::Path;

/// Writes a report as indented JSON.
pub(crate) fn write_json(path: &Path, report: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(report).map_err(|e| Failure::file("write", path, e))?;
    fs::write(path, text + "\n").map_err(|e| Failure::file("write", path, e))
}
