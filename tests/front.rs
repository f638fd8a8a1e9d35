//! What the library promises: the names that rustdoc shows, read off the source text and compared with `tests/front.txt`.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test front` accepts a changed front; look at the difference before committing it.

use crate::sources::{Source, heads, identifier, root, sources};
use crate::support::changed;
use std::collections::BTreeMap;
use std::process::Command;

/// What can be declared at the left margin, and what a type can hold.
const KINDS: &[&str] = &["struct", "enum", "trait", "fn", "type", "const", "static"];

/// A name that the library promises.
struct Name<'a> {
    /// Under which module of the front; empty at its root.
    module: &'a str,
    name: &'a str,
    /// The floor that defines it, or the module itself.
    floor: &'a str,
}

/// Lines of code with whether an attribute above hides each from the documentation.
fn shown(code: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut hidden = false;
    code.lines().filter_map(move |line| {
        if line.trim_start().starts_with("#[") || line.trim().is_empty() {
            hidden |= line.contains("doc(hidden)");
            return None;
        }
        Some((line, std::mem::take(&mut hidden)))
    })
}

/// What a line declares: kind and name.
fn declared(line: &str) -> Option<(&str, &str)> {
    let mut words = line.strip_prefix("pub ")?;
    for qualifier in ["const fn ", "async fn ", "unsafe fn "] {
        if let Some(rest) = words.strip_prefix(qualifier) {
            return Some(("fn", identifier(rest)));
        }
    }
    let kind = KINDS.iter().find(|kind| words.strip_prefix(**kind).is_some_and(|rest| rest.starts_with(' ')))?;
    words = words[kind.len()..].trim_start();
    Some((*kind, identifier(words)))
}

/// The statements that start at the left margin with `pub use`, as paths.
fn exported(code: &str) -> Vec<&str> {
    code.split(';').filter_map(|statement| statement.trim().rsplit_once("pub use ")).map(|(_, path)| path).collect()
}

/// The modules of the front: where lib.rs declares them without hiding them, their names and texts.
fn modules(all: &[Source]) -> Vec<(&str, &Source)> {
    let file = |path: &str| all.iter().find(|s| s.path == path);
    let library = file("src/lib.rs").expect("the library has a root");
    let public = shown(&library.code).filter(|(_, hidden)| !hidden).filter_map(|(line, _)| line.strip_prefix("pub mod "));
    let module = |line| {
        let name = identifier(line);
        let found = file(&format!("src/{name}.rs")).or_else(|| file(&format!("src/{name}/mod.rs")));
        (name, found.unwrap_or_else(|| panic!("the module {name} has a file")))
    };
    std::iter::once(("", library)).chain(public.map(module)).collect()
}

/// Every name of the front.
fn names<'a>(modules: &[(&'a str, &'a Source)]) -> Vec<Name<'a>> {
    let mut found = Vec::new();
    for (module, source) in modules.iter().copied() {
        for path in exported(&source.code) {
            let path = path.trim_start_matches("crate::");
            // What a module takes from its own files lies on its own floor.
            let first = identifier(path);
            let floor = if source.path.ends_with("/mod.rs") { module } else { first };
            let last = path.find('{').map_or(path.rsplit("::").next().unwrap_or(path), |group| &path[group..]);
            let listed = heads(last).into_iter().filter(|name| !name.is_empty());
            found.extend(listed.map(|name| Name { module, name, floor }));
        }
        let own = shown(&source.code).filter(|(_, hidden)| !hidden).filter_map(|(line, _)| declared(line));
        found.extend(own.map(|(_, name)| Name { module, name, floor: module }));
    }
    found
}

/// Every line at the left margin that the documentation shows, with the lines in it up to the closing brace.
fn blocks(code: &str) -> impl Iterator<Item = (&str, &str)> {
    let place = |line: &str| line.as_ptr() as usize - code.as_ptr() as usize;
    shown(code).filter(|(line, hidden)| !hidden && !line.starts_with([' ', '}'])).map(move |(line, _)| {
        let rest = &code[place(line)..];
        let body = if line.ends_with('{') { rest.find("\n}").map_or(rest, |end| &rest[..end]) } else { line };
        (line, body)
    })
}

/// The line that declares a name, and its body, from the file of its floor that does.
fn definition<'a>(all: &'a [Source], name: &Name<'_>) -> Option<(&'a str, &'a str)> {
    let of_floor = all.iter().filter(|s| s.is_in(&format!("src/{}", name.floor)) || name.floor.is_empty());
    of_floor.flat_map(|s| blocks(&s.code)).find(|(line, _)| declared(line).is_some_and(|(_, own)| own == name.name))
}

/// The blocks of inherent methods of a type: those of its floor, and of files that import it from there.
fn methods<'a>(all: &'a [Source], name: &Name<'_>) -> Vec<&'a str> {
    let imports = |source: &Source| {
        let uses = source.code.split(';').filter_map(|s| s.trim().strip_prefix(&format!("use crate::{}::", name.floor)));
        uses.flat_map(heads).any(|imported| imported == name.name)
    };
    let own = |line: &str| {
        let Some(rest) = line.strip_prefix("impl") else { return false };
        let rest = if rest.starts_with('<') { rest.split_once("> ").map_or("", |(_, rest)| rest) } else { rest.trim_start() };
        !line.contains(" for ") && identifier(rest) == name.name
    };
    let files = all.iter().filter(|s| s.is_in(&format!("src/{}", name.floor)) || imports(s));
    files.flat_map(|s| blocks(&s.code)).filter(|(line, _)| own(line)).map(|(_, body)| body).collect()
}

/// What a type holds that the documentation shows, one text each.
fn members(kind: &str, body: &str, methods: &[&str]) -> Vec<String> {
    let inside = |body| shown(body).filter(|(line, hidden)| !hidden && line.starts_with("    ") && !line.starts_with("     "));
    let member = |(line, _): (&'_ str, bool)| {
        let line = &line[4..];
        match kind {
            "struct" => line.strip_prefix("pub ").map(|field| identifier(field).to_string()),
            "enum" => line.starts_with(char::is_uppercase).then(|| identifier(line).to_string()),
            "trait" => declared(&format!("pub {line}")).map(|(_, name)| name.to_string()),
            _ => None,
        }
    };
    let own = inside(body).filter_map(member);
    let method = |(line, _): (&'_ str, bool)| {
        declared(&line[4..]).map(|(kind, name)| if kind == "fn" { format!("{name}()") } else { name.to_string() })
    };
    own.chain(methods.iter().flat_map(|block| inside(block).filter_map(method))).collect()
}

/// The front as text: every name with its kind, and indented what it holds.
fn listing(all: &[Source]) -> String {
    let mut items: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in names(&modules(all)) {
        let path = if name.module.is_empty() { name.name.to_string() } else { format!("{}::{}", name.module, name.name) };
        let Some((line, body)) = definition(all, &name) else {
            items.insert(format!("{path}: another crate"), vec![]);
            continue;
        };
        let (kind, _) = declared(line).expect("it is a declaration");
        let mut members = members(kind, body, &methods(all, &name));
        members.sort();
        items.insert(format!("{path}: {kind}"), members);
    }
    items
        .into_iter()
        .map(|(item, members)| format!("{item}\n{}", members.iter().map(|m| format!("    {m}\n")).collect::<String>()))
        .collect()
}

#[test]
fn the_front_is_as_it_was() {
    let difference = changed(&root().join("tests/front.txt"), &listing(&sources("src", "rs")));
    assert_eq!(difference, None, "UPDATE_SNAPSHOTS=1 accepts it");
}

#[test]
fn the_package_holds_what_its_build_needs_and_no_more() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["package", "--list", "--allow-dirty", "--offline", "--quiet", "--package", "gristmill"];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().expect("cargo can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8_lossy(&output.stdout).replace('\\', "/");
    let (needed, others): (Vec<&str>, Vec<&str>) =
        listed.lines().partition(|path| path.starts_with("src/") || path.starts_with("shaders/"));
    let sources = sources("src", "rs").into_iter().chain(sources("shaders", "wgsl"));
    let left_out: Vec<String> = sources.map(|s| s.path).filter(|path| !needed.contains(&path.as_str())).collect();
    assert!(left_out.is_empty(), "left out: {left_out:?}");
    // What Cargo adds of itself, and what a reader of the package looks for.
    let known = |path: &&str| {
        let named = [".cargo_vcs_info.json", "Cargo.toml", "Cargo.toml.orig", "Cargo.lock", "README.md", "CHANGELOG.md"];
        named.contains(path) || path.starts_with("LICENSE-")
    };
    let surplus: Vec<&str> = others.into_iter().filter(|path| !known(path)).collect();
    assert!(surplus.is_empty(), "not needed: {surplus:?}");
}
