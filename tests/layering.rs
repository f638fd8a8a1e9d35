//! The laws of ARCHITECTURE.md that can be read off the source text.

mod circles;
mod functions;

use crate::sources::{CODE, RUST, Source, heads, identifier, root, sources, sources_in};
use gristmill::internals::ops::REGISTRY;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules in the order of their floors; those of one floor stand on one line and do not see each other.
const FLOORS: &[&[&str]] = &[
    &["error"],
    &["tensor"],
    &["kernel"],
    &["graph"],
    &["ops"],
    &["passes"],
    &["plan"],
    &["gpu"],
    &["session"],
    &["import", "export", "models", "train"],
];

/// What the way into a graph must not see, although it lies on a lower floor.
const HIDDEN_FROM_IMPORT: &[&str] = &["passes", "plan", "gpu", "session"];

/// What stands on top of the floors and lists their names.
const FRONT: &[&str] = &["src/lib.rs", "src/internals.rs", "src/operators.rs"];

/// The longest file; past it one file serves more than one purpose.
const MAX_LINES: usize = 600;

/// Names that code refers to from the root of the crate: `crate::name`, or `super::` often enough.
fn root_names(source: &Source) -> Vec<&str> {
    let depth = source.module().len();
    let mut names: Vec<&str> =
        source.code.match_indices("crate::").flat_map(|(at, found)| heads(&source.code[at + found.len()..])).collect();
    let mut rest = source.code.as_str();
    while let Some(at) = rest.find("super::") {
        rest = &rest[at..];
        let mut climbs = 0;
        while let Some(next) = rest.strip_prefix("super::") {
            climbs += 1;
            rest = next;
        }
        if climbs >= depth {
            names.extend(heads(rest));
        }
    }
    names
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// For each name that lib.rs exports, the module it comes from.
fn exports(library: &Source) -> Vec<(&str, &str)> {
    let statements = library.code.split(';').filter_map(|s| s.trim().rsplit_once("pub use ").map(|(_, path)| path));
    statements
        .filter_map(|path| Some((path.split_once("::")?.0, path)))
        .flat_map(|(module, path)| {
            let names = path.find('{').map_or(path.rsplit("::").next().unwrap_or(path), |group| &path[group..]);
            heads(names).into_iter().map(move |name| (name, module))
        })
        .collect()
}

/// Fails with all that was found at once.
fn assert_none(law: &str, found: &[String]) {
    assert!(found.is_empty(), "{law}:\n  {}", found.join("\n  "));
}

#[test]
fn modules_import_downwards_only() {
    let sources = sources("src", "rs");
    let library = sources.iter().find(|s| s.path == "src/lib.rs").expect("the library has a root");
    let exports = exports(library);
    let mut found = Vec::new();
    for source in sources.iter().filter(|s| !FRONT.contains(&s.path.as_str())) {
        let own = source.module()[0];
        let Some(own_floor) = floor(own) else {
            found.push(format!("{}: the module `{own}` stands on no floor", source.path));
            continue;
        };
        for name in root_names(source) {
            let module = exports.iter().find(|(export, _)| *export == name).map_or(name, |(_, module)| module);
            let upwards = floor(module).is_some_and(|f| f > own_floor || (f == own_floor && module != own));
            let hidden = ["import", "models"].contains(&own) && HIDDEN_FROM_IMPORT.contains(&module);
            if upwards || hidden {
                found.push(format!("{} names `{name}` of `{module}`", source.path));
            }
        }
    }
    assert_none("a module imports from floors below its own", &found);
}

#[test]
fn only_the_gpu_floor_names_wgpu() {
    let outside = |s: &&Source| !s.is_in("src/gpu") && s.path != "src/lib.rs";
    let names = |s: &Source| s.code.contains("wgpu::") || s.code.contains("use wgpu");
    let found: Vec<String> = sources_in(CODE).iter().filter(outside).filter(|s| names(s)).map(|s| s.path.clone()).collect();
    assert_none("wgpu is named under src/gpu and in the re-exports of lib.rs only", &found);
}

#[test]
fn one_place_blocks_and_one_dispatches() {
    for word in ["pollster::", ".dispatch_workgroups"] {
        let places: Vec<String> =
            sources_in(CODE).iter().flat_map(|s| vec![s.path.clone(); s.code.matches(word).count()]).collect();
        assert_eq!(places.len(), 1, "`{word}` stands in one place, found {places:?}");
    }
}

#[test]
fn the_graph_names_no_operator() {
    let graph = sources("src/graph", "rs");
    let mut found = Vec::new();
    for name in REGISTRY.iter().flat_map(|r| r.operators) {
        let literal = format!("\"{name}\"");
        found.extend(graph.iter().filter(|s| s.code.contains(&literal)).map(|s| format!("{} names {literal}", s.path)));
    }
    assert_none("the graph knows no operator by name", &found);
}

#[test]
fn nothing_a_model_file_holds_can_panic_the_importer() {
    let mut found = Vec::new();
    for source in sources("src/import", "rs") {
        for word in [".unwrap()", ".expect(", "panic!", "unreachable!", "assert!", "assert_eq!"] {
            found.extend(source.code.contains(word).then(|| format!("{} has {word}", source.path)));
        }
    }
    assert_none("the importer treats every byte as hostile", &found);
}

#[test]
fn files_serve_one_purpose() {
    let mut found = Vec::new();
    for source in sources_in(RUST) {
        let lines = source.text.split("#[cfg(test)]").next().unwrap_or_default().lines().count();
        found.extend((lines > MAX_LINES).then(|| format!("{}: {lines} lines", source.path)));
    }
    for source in sources("shaders", "wgsl") {
        let lines = source.text.lines().count();
        found.extend((lines > MAX_LINES).then(|| format!("{}: {lines} lines", source.path)));
    }
    assert_none(&format!("a file has at most {MAX_LINES} lines, unit tests aside"), &found);
}

/// Folders beside the sources that builds and measurements make.
const MADE: &[&str] = &["target", ".git", "node_modules", "mesa25.d"];

#[test]
fn files_name_no_package_host() {
    // In parts, since this file is one of them.
    let hosts = [
        ["debian", "org"],
        ["ubuntu", "com"],
        ["crates", "io"],
        ["pypi", "org"],
        ["pythonhosted", "org"],
        ["npmjs", "com"],
        ["npmjs", "org"],
        ["rustup", "rs"],
        ["anaconda", "org"],
        ["nodejs", "org"],
        ["huggingface", "co"],
        ["releases/download", ""],
    ];
    let hosts: Vec<String> = hosts.iter().map(|parts| parts.join(if parts[1].is_empty() { "/" } else { "." })).collect();
    fn texts(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).expect("it can be listed").flatten() {
            let path = entry.path();
            if path.is_dir() && !MADE.iter().any(|made| entry.file_name() == *made) {
                texts(&path, found);
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.push((path, text));
            }
        }
    }
    let mut files = Vec::new();
    texts(&root(), &mut files);
    assert!(files.len() > 300, "the project has more files than {}", files.len());
    let mut found = Vec::new();
    for (path, text) in &files {
        // The format of Cargo's lock files names the index that a package is of.
        let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with("source = \"registry+"));
        for (number, line) in lines {
            let named = hosts.iter().filter(|host| line.contains(host.as_str()));
            found.extend(named.map(|host| format!("{}:{}: {host}", path.display(), number + 1)));
        }
    }
    assert_none("where packages come from is for the machine to say", &found);
}

#[test]
fn scripts_pipe_into_nothing_that_leaves_early() {
    // Under pipefail the writer may then die of a signal, and the whole pipe fails now and then.
    let mut found = Vec::new();
    let scripts = fs::read_dir(root().join("scripts")).expect("it can be listed").flatten().map(|entry| entry.path());
    for path in scripts.chain([root().join("benches/peers/mesa25")]) {
        let (text, path) = (fs::read_to_string(&path).expect("the script is there"), path.display());
        for reader in ["| grep -q", "| grep -m", "| head"] {
            found.extend(text.contains(reader).then(|| format!("{path} has `{reader}`")));
        }
    }
    assert_none("a pipe is read to its end", &found);
}

/// Words of what only software adapters need: their class, textures as storage, the limit on loops.
const SOFTWARE: &[&str] = &[
    "AdapterClass::Cpu",
    "is_software",
    "ReadTexture",
    "WriteTexture",
    "texels",
    "texture_holds",
    "max_loop",
    "copying_pays",
    "constants_in_textures",
    "broadcasting_lanes",
];

#[test]
fn only_software_rooms_know_of_software_adapters() {
    let is_room = |path: &str| path.ends_with("/software.rs") || path.contains("/software/");
    let mut found = Vec::new();
    for source in sources("src/ops", "rs").iter().filter(|source| !is_room(&source.path)) {
        let named = SOFTWARE.iter().filter(|word| source.code.contains(**word));
        found.extend(named.map(|word| format!("{} has {word}", source.path)));
    }
    for source in sources("shaders", "wgsl").iter().filter(|source| !is_room(&source.path)) {
        for word in ["texture_storage_2d", "textureLoad", "textureStore"] {
            found.extend(source.code.contains(word).then(|| format!("{} has {word}", source.path)));
        }
    }
    assert_none("what only software adapters need lies in rooms of its own", &found);
}

#[test]
fn no_loose_ends() {
    let marks = ["TO", "FIX", "X", "HA"].into_iter().zip(["DO", "ME", "XX", "CK"]).map(|(a, b)| format!("{a}{b}"));
    let marks: Vec<String> = marks.collect();
    let mut found = Vec::new();
    for source in sources_in(RUST).into_iter().chain(sources("shaders", "wgsl")) {
        for mark in marks.iter().filter(|m| source.text.split(|c: char| !c.is_alphanumeric()).any(|word| word == m.as_str())) {
            found.push(format!("{} has {mark}", source.path));
        }
    }
    assert_none("what is open stands in an issue", &found);
}
