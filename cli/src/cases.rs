//! The ONNX test layout: folders that hold `model.onnx` beside `test_data_set_K/input_I.pb` and `output_I.pb`.

use crate::failure::{Failure, Result};
use crate::inputs::Inputs;
use gristmill::{Error, ErrorKind, Form, Model, Tensor, internals::import::onnx};
use std::fs;
use std::path::{Path, PathBuf};

/// A model with its data sets.
pub(crate) struct Case {
    /// The folder, relative to the path it was found under.
    pub(crate) name: String,
    /// The model file.
    pub(crate) model: PathBuf,
    /// The folders of its data sets, in order.
    pub(crate) data_sets: Vec<PathBuf>,
}

/// Every case under a path, in the order of their names.
pub(crate) fn find(path: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    walk(path, path, &mut cases)?;
    if cases.is_empty() {
        return Err(Failure::message(format!(
            "no test case under {}: expected a folder with model.onnx and test_data_set_0",
            path.display()
        )));
    }
    cases.sort_by(|a: &Case, b: &Case| a.name.cmp(&b.name));
    Ok(cases)
}

fn walk(root: &Path, folder: &Path, cases: &mut Vec<Case>) -> Result<()> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| Failure::file("read", folder, e))? {
        let entry = entry.map_err(|e| Failure::file("read", folder, e))?;
        // Links are not followed: they may lead in circles.
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            folders.push(entry.path());
        }
    }
    folders.sort();
    let is_data_set = |f: &PathBuf| f.file_name().is_some_and(|n| n.to_string_lossy().starts_with("test_data_set_"));
    let (data_sets, others): (Vec<_>, Vec<_>) = folders.into_iter().partition(is_data_set);
    let model = folder.join("model.onnx");
    if model.is_file() && !data_sets.is_empty() {
        let relative = folder.strip_prefix(root).unwrap_or(folder);
        let own =
            if relative.as_os_str().is_empty() { folder.file_name().map(PathBuf::from) } else { Some(relative.to_path_buf()) };
        let name = own.unwrap_or_else(|| folder.to_path_buf()).to_string_lossy().replace('\\', "/");
        cases.push(Case { name, model, data_sets });
    }
    others.iter().try_for_each(|f| walk(root, f, cases))
}

/// The tensors `PREFIX_0.pb`, `PREFIX_1.pb`, ... of a data set, with the names they carry.
fn read(folder: &Path, prefix: &str) -> Result<Vec<(String, Tensor)>> {
    let mut tensors = Vec::new();
    loop {
        let path = folder.join(format!("{prefix}_{}.pb", tensors.len()));
        if !path.is_file() {
            return Ok(tensors);
        }
        let bytes = fs::read(&path).map_err(|e| Failure::file("read", &path, e))?;
        tensors.push(onnx::tensor_from_bytes(&bytes)?);
    }
}

/// The names of tensors of a data set: their own where the model knows them, else those at the same place.
fn named(tensors: Vec<(String, Tensor)>, names: &[&str], folder: &Path, what: &str) -> Result<Inputs> {
    if tensors.len() > names.len() {
        return Err(Failure::message(format!(
            "{} holds {} {what}s; the model has {}: {}",
            folder.display(),
            tensors.len(),
            names.len(),
            names.join(", ")
        )));
    }
    let by_name = tensors.iter().all(|(name, _)| names.contains(&name.as_str()));
    let name = |(index, (name, tensor)): (usize, (String, Tensor))| (if by_name { name } else { names[index].to_string() }, tensor);
    Ok(tensors.into_iter().enumerate().map(name).collect())
}

/// Refuses a case whose inputs or outputs are no tensors.
pub(crate) fn refuse_structures(case: &Case, model: &Model) -> Result<()> {
    let bytes = fs::read(&case.model).map_err(|e| Failure::file("read", &case.model, e))?;
    let inputs = model.graph().declared().into_iter().map(|input| input.form);
    match inputs.chain(onnx::output_forms(&bytes)?).find(|form| *form != Form::Tensor) {
        Some(form) => {
            let message = format!("an input or output is {form}: the command line takes tensors alone");
            Err(Failure::Library(Error::new(ErrorKind::Unsupported, message)))
        }
        None => Ok(()),
    }
}

/// The inputs of a data set.
pub(crate) fn read_inputs(folder: &Path, model: &Model) -> Result<Inputs> {
    let graph = model.graph();
    let declared = graph.declared();
    let names: Vec<&str> = declared.iter().map(|i| graph.value(i.value).name.as_str()).collect();
    let tensors = read(folder, "input")?;
    if tensors.is_empty() && !graph.inputs().is_empty() {
        return Err(Failure::message(format!("{} holds no input_0.pb", folder.display())));
    }
    named(tensors, &names, folder, "input")
}

/// The expected outputs of a data set.
pub(crate) fn read_outputs(folder: &Path, model: &Model) -> Result<Inputs> {
    let graph = model.graph();
    let names: Vec<&str> = graph.outputs().iter().map(|o| graph.value(*o).name.as_str()).collect();
    let tensors = read(folder, "output")?;
    if tensors.is_empty() {
        return Err(Failure::message(format!("{} holds no output_0.pb", folder.display())));
    }
    named(tensors, &names, folder, "output")
}
