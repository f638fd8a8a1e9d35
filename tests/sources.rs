//! The text of the project, for tests that read it.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the code of the packages lies, tests and examples aside.
pub const CODE: &[&str] = &["src", "cli/src", "serve/src"];

/// Where Rust is written.
pub const RUST: &[&str] = &["src", "cli/src", "cli/tests", "serve/src", "serve/tests", "tests", "benches", "examples"];

/// One source file.
pub struct Source {
    /// Relative to the repository.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// Without comments and without the module of unit tests at its end.
    pub code: String,
}

impl Source {
    /// Its place in the crate's module tree, for files under `src`.
    pub fn module(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        if path == "lib" { vec![] } else { path.split('/').collect() }
    }

    pub fn is_in(&self, folder: &str) -> bool {
        self.path.starts_with(&format!("{folder}/")) || self.path == format!("{folder}.rs")
    }
}

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Rust under several folders.
pub fn sources_in(folders: &[&str]) -> Vec<Source> {
    folders.iter().flat_map(|folder| sources(folder, "rs")).collect()
}

/// The files under a folder with an ending, by their paths.
pub fn sources(folder: &str, extension: &str) -> Vec<Source> {
    fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, extension, found);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join(folder), extension, &mut paths);
    paths.sort();
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("source files are UTF-8");
        let path = path.strip_prefix(root()).expect("it was found under the root").to_string_lossy().replace('\\', "/");
        Source { path, code: code(&text), text }
    };
    paths.into_iter().map(source).collect()
}

/// The lines up to the unit tests, each without its comment.
fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]").next().unwrap_or(text);
    before_tests.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// The name that a text starts with.
pub fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The first names of a path's rest: one, or those of a `{...}` group.
pub fn heads(rest: &str) -> Vec<&str> {
    let Some(group) = rest.strip_prefix('{') else {
        return vec![identifier(rest)];
    };
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(identifier(group[start..at].trim()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}
