//! Files that are written whole or not at all.

use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What the names of files end with that are not whole yet.
pub(super) const UNFINISHED: &str = "new";

/// Puts what `write` writes in the place of a file. Until all of it is on the disk the path names what it named before, and so it does
/// when anything fails.
pub(in crate::train) fn write_whole(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let temporary = temporary(path)?;
    let replaced = write_to(&temporary, write).and_then(|()| Ok(fs::rename(&temporary, path)?));
    if replaced.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    let named = |error: Error| Error::new(error.kind(), format!("{} cannot be written: {error}", path.display()));
    replaced.and_then(|()| Ok(sync_folder(path)?)).map_err(named)
}

fn write_to(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let mut writer = BufWriter::new(OpenOptions::new().write(true).create_new(true).open(path)?);
    write(&mut writer)?;
    writer.flush()?;
    Ok(writer.get_ref().sync_all()?)
}

/// A name in the same folder that nobody else has.
fn temporary(path: &Path) -> Result<PathBuf> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| Error::invalid_argument(format!("{} names no file", path.display())))?;
    let mut name = name.to_os_string();
    name.push(format!(".{}-{}.{UNFINISHED}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
    Ok(path.with_file_name(name))
}

/// Makes the new name last: on Unix it is of the folder, which is a file of its own.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
