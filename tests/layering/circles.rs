//! Files name each other in circles only where the table here says why.

use super::{Source, assert_none, identifier, sources};
use std::collections::{BTreeMap, BTreeSet};

/// A file, or a folder with a slash at its end; a file that it names although that one, in the end, names it; and why.
const CIRCLES: &[(&str, &str, &str)] = &[
    ("graph/op.rs", "graph/node.rs", "an operator writes nodes in its place, and a node holds its operator"),
    ("graph/op.rs", "graph/flow.rs", "an operator may be one on whole values, with graphs of operators within"),
    ("graph/evaluate.rs", "graph/flow.rs", "the references compute graphs within operators"),
    ("graph/op.rs", "graph/writer/mod.rs", "an operator writes nodes in its place, and a node holds its operator"),
    ("graph/writer/", "graph/writer/mod.rs", "the methods of one type, in files by purpose"),
    ("kernel/shader.rs", "kernel/caps.rs", "what a texture may hold is known of shaders, and how wide a kernel is of capabilities"),
    ("kernel/shader.rs", "kernel/dispatch.rs", "a kernel declares what it binds, and a dispatch binds it to a kernel"),
    ("kernel/shader.rs", "kernel/program/print.rs", "a kernel takes a printed function, which is printed for its bindings"),
    (
        "ops/",
        "ops/compose.rs",
        "rules of gradients are written in words for what common operators compute, which have rules themselves",
    ),
    ("ops/attention/", "ops/attention/mod.rs", "kernels read the operator's attributes"),
    ("ops/attention/", "ops/attention/lower.rs", "kernels share one parameter block"),
    ("ops/conv/", "ops/conv/mod.rs", "kernels read the operator's attributes"),
    ("ops/cross_entropy/", "ops/cross_entropy/mod.rs", "kernels read the operator's attributes"),
    ("ops/copy/software.rs", "ops/copy/mod.rs", "a family calls its software room, which makes kernels of the family's own terms"),
    (
        "ops/elementwise/software.rs",
        "ops/elementwise/map.rs",
        "a family calls its software room, which makes kernels of the family's own terms",
    ),
    (
        "ops/ceiling/software.rs",
        "ops/ceiling/reads.rs",
        "a family calls its software room, which makes kernels of the family's own terms",
    ),
    (
        "ops/norm/software.rs",
        "ops/norm/lower.rs",
        "a family calls its software room, which makes kernels of the family's own terms",
    ),
    (
        "ops/softmax/software.rs",
        "ops/softmax/lower.rs",
        "a family calls its software room, which makes kernels of the family's own terms",
    ),
    ("ops/ctc/", "ops/ctc/mod.rs", "kernels read the operator's attributes"),
    ("ops/elementwise/gradient.rs", "ops/elementwise/map.rs", "the gradient of a program is one"),
    ("ops/gather/gradient.rs", "ops/gather/mod.rs", "a rule reads the operator's attributes"),
    ("ops/gather/gradient.rs", "ops/scatter/mod.rs", "what was picked is put where it was picked from, and what was put is picked"),
    ("ops/grid_sample/gradient.rs", "ops/grid_sample/mod.rs", "a rule reads the operator's attributes"),
    ("ops/matmul/bits_gradient.rs", "ops/matmul/quantized.rs", "a rule reads the operator's attributes"),
    ("ops/matmul/gradient.rs", "ops/matmul/mod.rs", "the gradients of a product are products"),
    ("ops/pad/gradient.rs", "ops/pad/mod.rs", "a rule reads the operator's attributes"),
    ("ops/roi_align/gradient.rs", "ops/roi_align/mod.rs", "a rule reads the operator's attributes"),
    ("ops/scatter/gradient.rs", "ops/scatter/mod.rs", "a rule reads the operator's attributes"),
    ("ops/linear_attention/", "ops/linear_attention/mod.rs", "kernels read the operator's attributes"),
    ("ops/movement.rs", "ops/view.rs", "a movement that reads through a view is a view, which is a movement"),
    ("ops/norm/", "ops/norm/mod.rs", "kernels read the operator's attributes"),
    ("ops/pool/", "ops/pool/mod.rs", "kernels read the operator's attributes"),
    ("ops/reduce/", "ops/reduce/mod.rs", "kernels read the operator's attributes"),
    ("ops/rnn/", "ops/rnn/mod.rs", "kernels read the operator's attributes"),
    ("ops/rnn/", "ops/rnn/gradient.rs", "operators name the rules of their gradients"),
    ("ops/rnn/", "ops/rnn/gradient_lower.rs", "kernels share one description of the way back"),
    ("ops/rnn/", "ops/rnn/lower.rs", "kernels share one description of a layer"),
    ("ops/rnn/", "ops/rnn/slopes.rs", "kernels read the operator's attributes"),
    ("ops/softmax/", "ops/softmax/mod.rs", "kernels read the operator's attributes"),
];

/// A path that a `use` declaration brings in, and the name it has from then on.
struct Use {
    path: Vec<String>,
    name: String,
    exported: bool,
}

/// What a file brings in, and the rest of its text.
struct Text {
    uses: Vec<Use>,
    body: String,
}

/// Modules by their path in the crate; the root has none.
type Modules<'a> = BTreeMap<Vec<String>, (&'a str, Text)>;

impl Text {
    fn of(source: &Source) -> Self {
        let (mut uses, mut body, mut declaration) = (Vec::new(), String::new(), String::new());
        for line in source.code.lines() {
            let start = line.trim_start();
            let opens = ["use ", "pub use ", "pub(crate) use ", "pub(super) use "].iter().any(|opening| start.starts_with(opening));
            if opens || !declaration.is_empty() {
                declaration += start;
                declaration.push(' ');
            } else {
                body += line;
                body.push('\n');
            }
            if let Some((path, _)) = declaration.clone().split_once(';') {
                let exported = path.starts_with("pub");
                let path = path.split_once("use ").map_or("", |(_, path)| path);
                expand(&[], path, &mut |path, name| uses.push(Use { path, name, exported }));
                declaration.clear();
            }
        }
        Text { uses, body }
    }

    /// The paths of two names or more that its text holds.
    fn paths(&self) -> Vec<Vec<String>> {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let mut paths = Vec::new();
        let mut rest = self.body.as_str();
        while let Some(at) = rest.find(is_name) {
            let inside = rest[..at].ends_with("::") || rest[..at].ends_with('.');
            rest = &rest[at..];
            let mut path = vec![identifier(rest).to_string()];
            rest = &rest[path[0].len()..];
            while let Some(next) = rest.strip_prefix("::").filter(|next| next.starts_with(is_name)) {
                let name = identifier(next);
                path.push(name.to_string());
                rest = &next[name.len()..];
            }
            if path.len() > 1 && !inside {
                paths.push(path);
            }
        }
        paths
    }
}

/// All paths of a tree of names, such as `a::{b, c::{self, d as e}}`.
fn expand(prefix: &[String], tree: &str, found: &mut impl FnMut(Vec<String>, String)) {
    let tree = tree.trim();
    if let Some(group) = tree.strip_prefix('{') {
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    expand(prefix, &group[start..at], found);
                    start = at + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let name = identifier(tree);
    if name.is_empty() {
        return;
    }
    let rest = &tree[name.len()..];
    let path = [prefix, &[name.to_string()]].concat();
    match rest.strip_prefix("::") {
        Some(rest) => expand(&path, rest, found),
        None => {
            let path = if name == "self" { prefix.to_vec() } else { path };
            let own = path.last().cloned().unwrap_or_default();
            found(path, rest.trim().strip_prefix("as ").map_or(own, |alias| alias.trim().to_string()));
        }
    }
}

/// The module where a path starts, and what follows; `None` for a path into another crate, or from a name that is none of modules.
fn start<'p>(modules: &Modules, own: &[String], path: &'p [String]) -> Option<(Vec<String>, &'p [String])> {
    let first = path.first()?.as_str();
    let climbs = path.iter().take_while(|name| *name == "super").count();
    match first {
        "crate" => Some((Vec::new(), &path[1..])),
        "self" => Some((own.to_vec(), &path[1..])),
        "super" => Some((own.get(..own.len().checked_sub(climbs)?)?.to_vec(), &path[climbs..])),
        _ if modules.contains_key(&[own, &path[..1]].concat()) => Some((own.to_vec(), path)),
        _ => None,
    }
}

/// The module that holds what a path names, and what is left of the path: nothing where it names the module itself. Names that a module
/// only passes on are followed.
fn resolve(modules: &Modules, own: &[String], path: &[String], depth: usize) -> Option<(Vec<String>, Vec<String>)> {
    let (mut module, mut rest) = start(modules, own, path)?;
    while let Some(name) = rest.first() {
        let inner = [&module[..], &rest[..1]].concat();
        if modules.contains_key(&inner) {
            (module, rest) = (inner, &rest[1..]);
            continue;
        }
        let passed_on = modules.get(&module)?.1.uses.iter().find(|u| u.name == *name);
        return match passed_on {
            Some(used) if depth < 10 => resolve(modules, &module, &[&used.path, &rest[1..]].concat(), depth + 1),
            _ => Some((module, rest.to_vec())),
        };
    }
    Some((module, Vec::new()))
}

/// The modules that a module names.
fn named(modules: &Modules, own: &[String]) -> BTreeSet<Vec<String>> {
    let Some((_, text)) = modules.get(own) else { return BTreeSet::new() };
    let mut found = BTreeSet::new();
    let mut aliases: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for used in &text.uses {
        match resolve(modules, own, &used.path, 0) {
            Some((module, rest)) if rest.is_empty() => drop(aliases.insert(&used.name, module)),
            // What is only passed on is named by those who use it.
            Some((module, _)) if !used.exported => drop(found.insert(module)),
            _ => {}
        }
    }
    for path in text.paths() {
        let target = match aliases.get(path[0].as_str()) {
            Some(module) => resolve(modules, &[], &[&["crate".to_string()], &module[..], &path[1..]].concat(), 0),
            None => resolve(modules, own, &path, 0),
        };
        // Visibility is written as the path of a module, and names nothing in it.
        found.extend(target.filter(|(_, rest)| !rest.is_empty()).map(|(module, _)| module));
    }
    found.remove(own);
    found.retain(|module| modules.contains_key(module));
    found
}

/// The pairs of which the second leads back to the first.
fn circles<'a>(edges: &BTreeSet<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    let leads = |from: &str, to: &str| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![from]);
        while let Some(file) = left.pop() {
            if file == to {
                return true;
            }
            let next = edges.range((file, "")..).take_while(|(a, _)| *a == file).map(|(_, b)| *b);
            left.extend(next.filter(|b| seen.insert(*b)));
        }
        false
    };
    edges.iter().copied().filter(|(a, b)| leads(b, a)).collect()
}

#[test]
fn files_name_each_other_in_circles_only_where_the_table_says_why() {
    let sources: Vec<Source> = sources("src", "rs").into_iter().filter(|s| !s.is_in("src/bin")).collect();
    let path = |source: &Source| source.module().into_iter().map(str::to_string).collect::<Vec<_>>();
    let modules: Modules = sources.iter().map(|s| (path(s), (s.path.trim_start_matches("src/"), Text::of(s)))).collect();
    let file = |module: &Vec<String>| modules[module].0;
    let mut edges = BTreeSet::new();
    for module in modules.keys() {
        edges.extend(named(&modules, module).iter().map(|other| (file(module), file(other))));
    }
    let listed = |(a, b): &(&str, &str), (from, to, _): &(&str, &str, &str)| {
        *b == *to && (a == from || from.ends_with('/') && a.starts_with(from))
    };
    let without = |skipped: Option<usize>| {
        let rows = || CIRCLES.iter().enumerate().filter(move |(k, _)| Some(*k) != skipped).map(|(_, row)| row);
        circles(&edges.iter().copied().filter(|edge| !rows().any(|row| listed(edge, row))).collect())
    };
    let found: Vec<String> = without(None).into_iter().map(|(a, b)| format!("{a} names {b}")).collect();
    assert_none("files name each other in no circle but those of the table", &found);
    let idle = (0..CIRCLES.len()).filter(|k| without(Some(*k)).is_empty());
    let idle: Vec<String> = idle.map(|k| format!("{} and {}", CIRCLES[k].0, CIRCLES[k].1)).collect();
    assert_none("the table of circles lists those alone that are there", &idle);
}

#[test]
fn circles_are_seen() {
    let source = |path: &str, code: &str| Source { path: path.into(), text: code.into(), code: code.into() };
    let files = [
        source("src/lib.rs", "pub use a::One;"),
        source("src/a/mod.rs", "mod b;\npub use b::One;\npub struct Two;\nfn f() { b::g(); }"),
        source("src/a/b.rs", "use super::{Two, super::One as Other};\nuse crate::c::{self, Three};\npub struct One(Two);"),
        source("src/c.rs", "fn f(x: crate::One) {}"),
    ];
    let path = |source: &Source| source.module().into_iter().map(str::to_string).collect::<Vec<_>>();
    let modules: Modules = files.iter().map(|s| (path(s), (s.path.as_str(), Text::of(s)))).collect();
    let names = |path: &[&str]| -> Vec<String> {
        let own: Vec<String> = path.iter().map(|name| name.to_string()).collect();
        named(&modules, &own).iter().map(|module| module.join("/")).collect()
    };
    assert_eq!(names(&["a"]), ["a/b"]);
    assert_eq!(names(&["a", "b"]), ["a", "c"]);
    assert_eq!(names(&["c"]), ["a/b"]);
    let edges = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e")].into();
    assert_eq!(circles(&edges).len(), 3);
}
