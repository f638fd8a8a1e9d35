//! The files that shaders lie in.

use std::fs;
use std::path::PathBuf;

/// The shaders that lie in a folder.
pub fn files(folder: &str) -> Vec<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|ending| ending == "wgsl")).collect();
    files.sort();
    files
}
