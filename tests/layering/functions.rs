//! A function is what a reader takes in at once.

use super::{RUST, assert_none, sources};

/// The most lines of a function, from its name to its closing brace.
const MAX_LINES: usize = 60;

/// The name of the function that a line begins to declare, and its indentation.
fn declared(line: &str) -> Option<(&str, &str)> {
    let start = line.trim_start();
    let indentation = &line[..line.len() - start.len()];
    let (before, rest) = start.split_once("fn ")?;
    let qualifier = |word: &str| ["const", "async", "unsafe", "extern", "\"C\""].contains(&word) || word.starts_with("pub");
    let name = super::identifier(rest);
    (before.split_whitespace().all(qualifier) && !name.is_empty()).then_some((name, indentation))
}

/// The functions of a text and their lengths. Relies on rustfmt's layout: a body ends where its brace stands below the declaration.
fn lengths(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let Some((name, indentation)) = declared(line) else { continue };
        let opens = lines[first..].iter().find(|line| line.ends_with(['{', ';', '}']));
        if !opens.is_some_and(|line| line.ends_with('{')) {
            continue;
        }
        let end = format!("{indentation}}}");
        if let Some(last) = lines[first..].iter().position(|line| *line == end) {
            found.push((name, last + 1));
        }
    }
    found
}

#[test]
fn functions_are_taken_in_at_once() {
    let mut found = Vec::new();
    for source in RUST.iter().flat_map(|folder| sources(folder, "rs")) {
        let long = lengths(&source.text).into_iter().filter(|(_, lines)| *lines > MAX_LINES);
        found.extend(long.map(|(name, lines)| format!("{}: {name} has {lines}", source.path)));
    }
    assert_none(&format!("a function has at most {MAX_LINES} lines"), &found);
}

#[test]
fn lengths_of_functions_are_counted() {
    let text = "impl A {\n    pub(crate) const fn one(\n        a: u32,\n    ) -> u32 {\n        a\n    }\n\n    fn two() {}\n}\ntrait B {\n    fn three();\n}\n";
    assert_eq!(lengths(text), [("one", 5)]);
}
