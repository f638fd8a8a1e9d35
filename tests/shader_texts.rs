//! What a reader of a shader sees of the files that are joined in front of it: its first line names them, and which of several
//! stand for one another. `UPDATE_SNAPSHOTS=1 cargo test shader_texts` writes these lines anew.

use gristmill::internals::kernel::{Kernel, preludes};
use std::collections::{BTreeMap, BTreeSet};
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

/// What comes with a generated function, and the number of neighbours it takes.
const GENERATED: [&str; 8] = ["width1", "stored_width1", "width4", "four_vectors", "four_words", "stored_width4", "math", "divide"];

/// The longest line of a shader.
const WIDTH: usize = 130;

/// What opens the comment that names preludes.
const OPENING: &str = "// Takes ";

/// What a text declares at its outermost level, its bindings and variables aside.
fn declared(text: &str) -> BTreeSet<&str> {
    fn name(line: &str) -> Option<&str> {
        ["fn ", "alias ", "const ", "struct ", "override "].iter().find_map(|word| line.strip_prefix(word))
    }
    let names = text.lines().filter_map(name).filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next());
    names.filter(|name| !name.is_empty()).collect()
}

/// The words of a text without its comments.
fn words(text: &str) -> BTreeSet<&str> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or(line));
    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')).filter(|word| !word.is_empty()).collect()
}

/// One thing that a shader takes: a prelude, or one of several that declare the same.
#[derive(Debug)]
struct Taken {
    alternatives: Vec<&'static str>,
    /// Whether every kernel of the shader has one.
    always: bool,
    /// What the shader reads of it.
    used: Vec<String>,
}

impl Taken {
    fn text(&self) -> String {
        let names = self.alternatives.join(" or ");
        let used = if self.used.is_empty() { String::new() } else { format!(" ({})", self.used.join(", ")) };
        format!("{}{names}{used}", if self.always { "" } else { "perhaps " })
    }
}

/// What the kernels of one shader take, in the order in which they join it.
fn taken(kernels: &[&Kernel]) -> Vec<Taken> {
    let body = words(kernels[0].shader.source);
    let used = |source: &'static str| declared(source).iter().any(|name| body.contains(name));
    let mut texts: Vec<(&'static str, &'static str)> = Vec::new();
    for kernel in kernels {
        for prelude in &kernel.preludes {
            let generated = kernel.generated.is_some() && GENERATED.contains(&prelude.name) && !used(prelude.source);
            if !generated && !texts.iter().any(|(name, _)| *name == prelude.name) {
                texts.push((prelude.name, prelude.source));
            }
        }
    }
    let has = |kernel: &Kernel, name: &str| kernel.preludes.iter().any(|prelude| prelude.name == name);
    let mut groups: Vec<Vec<(&'static str, &'static str)>> = Vec::new();
    for text in texts {
        // Alternatives declare something in common and never join one kernel together.
        let alternative = |group: &&mut Vec<(&'static str, &'static str)>| {
            let common = group.iter().all(|other| !declared(other.1).is_disjoint(&declared(text.1)));
            common && !kernels.iter().any(|kernel| has(kernel, text.0) && group.iter().any(|other| has(kernel, other.0)))
        };
        match groups.iter_mut().find(alternative) {
            Some(group) => group.push(text),
            None => groups.push(vec![text]),
        }
    }
    let taken = groups.into_iter().map(|mut group| {
        let common = group.iter().map(|text| declared(text.1)).reduce(|all, own| all.intersection(&own).copied().collect());
        group.sort_by_key(|text| preludes::ALL.iter().position(|prelude| prelude.name == text.0));
        Taken {
            always: kernels.iter().all(|kernel| group.iter().any(|text| has(kernel, text.0))),
            used: common.unwrap_or_default().into_iter().filter(|name| body.contains(name)).map(String::from).collect(),
            alternatives: group.into_iter().map(|text| text.0).collect(),
        }
    });
    let generated: Vec<&str> = kernels.iter().filter_map(|kernel| kernel.generated.as_deref()).collect();
    let epilogue = generated.first().map(|text| Taken {
        alternatives: vec![if text.contains("fn epilogue(") { "an epilogue" } else { "a program" }],
        always: generated.len() == kernels.len(),
        used: vec![],
    });
    taken.chain(epilogue).collect()
}

/// The comment that says so, `None` for a shader that takes nothing.
fn comment(taken: &[Taken]) -> Option<String> {
    let mut lines = vec![OPENING.trim_end().to_string()];
    for (k, one) in taken.iter().enumerate() {
        let ending = if k + 1 < taken.len() { ";" } else { "." };
        for word in format!("{}{ending}", one.text()).split(' ') {
            let last = lines.last_mut().expect("there is a first line");
            if last.len() + 1 + word.len() > WIDTH {
                lines.push(format!("// {word}"));
            } else {
                last.push(' ');
                last.push_str(word);
            }
        }
    }
    (!taken.is_empty()).then(|| lines.join("\n") + "\n")
}

/// A shader without the comment.
fn without_comment(text: &str) -> &str {
    if !text.starts_with(OPENING) {
        return text;
    }
    let end = text.find(".\n").map_or(0, |at| at + 2);
    &text[end..]
}

#[test]
fn shaders_name_the_files_they_take() {
    let dispatches = crate::shader_contract::dispatches();
    let mut kernels: BTreeMap<&str, Vec<&Kernel>> = BTreeMap::new();
    for (_, _, dispatch) in &dispatches {
        kernels.entry(dispatch.kernel.shader.name).or_default().push(&dispatch.kernel);
    }
    let mut found = Vec::new();
    for path in ["shaders", "shaders/software"].into_iter().flat_map(files) {
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        let Some(kernels) = kernels.get(name.as_str()) else { continue };
        let text = fs::read_to_string(&path).expect("a shader can be read");
        let wanted = format!("{}{}", comment(&taken(kernels)).unwrap_or_default(), without_comment(&text));
        if wanted == text {
            continue;
        }
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(&path, wanted).expect("a shader can be written");
        } else {
            found.push(format!("{name} should begin with:\n{}", comment(&taken(kernels)).unwrap_or_default()));
        }
    }
    assert!(found.is_empty(), "shaders name what they take (UPDATE_SNAPSHOTS=1 writes it):\n{}", found.join("\n"));
}
