//! The inputs of a run: from files, images, ONNX test data, or drawn at random.

use crate::cases;
use crate::failure::{Failure, Result};
use crate::image;
use crate::npy;
use crate::random::Random;
use crate::states::{is_of_state, starts_by_itself};
use clap::Args;
use gristmill::internals::graph::{Dim, Input};
use gristmill::{Form, Model, Tensor, TensorType, TensorView};
use std::collections::HashMap;
use std::path::Path;

/// Where inputs come from.
#[derive(Args, Debug, Default)]
pub(crate) struct InputArguments {
    /// A .npz file, a folder of ONNX test data (input_0.pb, ...), NAME=FILE.npy, or NAME=IMAGE.png; may be repeated
    #[arg(long, value_name = "FILE.npz|DIR|NAME=FILE")]
    inputs: Vec<String>,
    /// Draw the inputs that no file gives: floats in -1..1, integers 0 or 1 (right for masks and safe as indices)
    #[arg(long, value_name = "SEED")]
    random: Option<u64>,
    #[command(flatten)]
    dims: DimArguments,
    #[command(flatten)]
    scaling: image::Scaling,
}

/// Extents that the model leaves open.
#[derive(Args, Debug, Default)]
pub(crate) struct DimArguments {
    /// The extent of a symbolic dimension (1 unless given); INPUT:AXIS names one without a name; may be repeated
    #[arg(long = "dim", value_name = "NAME=N", value_parser = parse_dim)]
    dims: Vec<(String, usize)>,
}

fn parse_dim(text: &str) -> Result<(String, usize), String> {
    let (name, extent) = text.rsplit_once('=').ok_or_else(|| format!("expected NAME=N, found `{text}`"))?;
    let extent = extent.parse().map_err(|_| format!("expected a whole number after `=`, found `{extent}`"))?;
    Ok((name.to_string(), extent))
}

/// Named tensors for a run.
pub(crate) type Inputs = Vec<(String, Tensor)>;

/// Borrowed, as a session takes them.
pub(crate) fn views(inputs: &Inputs) -> Vec<(&str, TensorView<'_>)> {
    inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect()
}

/// A declared input as text, for example `tokens i64[batch,7]`.
pub(crate) fn describe(model: &Model, input: &Input) -> String {
    let name = &model.graph().value(input.value).name;
    let dim = |d: &Dim| match d {
        Dim::Known(n) => n.to_string(),
        Dim::Named(name) => name.clone(),
        Dim::Unknown => "?".into(),
    };
    let dims = input.dims.as_ref().map_or("...".into(), |d| d.iter().map(dim).collect::<Vec<_>>().join(","));
    format!("`{name}` {}[{dims}]", input.dtype)
}

impl InputArguments {
    /// The inputs that are given, and the extents of those that are not.
    fn given(&self, model: &Model) -> Result<(Inputs, Extents)> {
        if let Some(input) = model.graph().inputs().iter().find(|input| input.form == Form::Sequence) {
            let what = describe(model, input);
            return Err(Failure::message(format!("the input {what} is a sequence of tensors, which only a program can give")));
        }
        let mut given: Inputs = Vec::new();
        let mut images = Vec::new();
        for argument in &self.inputs {
            match source(argument)? {
                Source::Archive(path) => given.extend(npy::read_npz(&path)?),
                Source::TestData(path) => given.extend(cases::read_inputs(&path, model)?),
                Source::Array(name, path) => given.push((name, npy::read_npy(&path)?)),
                Source::Image(name, path) => images.push((name, path)),
            }
        }
        let declared = model.graph().declared();
        let find = |name: &str| declared.iter().find(|i| model.graph().value(i.value).name == name);
        let unknown = |name: &str| {
            let names: Vec<String> = declared.iter().map(|i| describe(model, i)).collect();
            Failure::message(format!("the model has no input `{name}`; it has {}", names.join(", ")))
        };
        for (index, (name, _)) in given.iter().enumerate() {
            find(name).ok_or_else(|| unknown(name))?;
            if given[..index].iter().any(|(other, _)| other == name) {
                return Err(Failure::message(format!("the input `{name}` is given twice")));
            }
        }
        let mut extents = self.dims.bind(model, &given)?;
        for (name, path) in images {
            let input = find(&name).ok_or_else(|| unknown(&name))?;
            given.push((name, image::read(&path, input, &self.scaling)?));
            extents = self.dims.bind(model, &given)?;
        }
        Ok((given, extents))
    }

    /// The tensors that are given, or drawn where that was asked for, and the types of the other inputs.
    pub(crate) fn known(&self, model: &Model) -> Result<(Inputs, Vec<(String, TensorType)>)> {
        if self.random.is_some() {
            return Ok((self.load(model, None)?, vec![]));
        }
        let (given, extents) = self.given(model)?;
        let mut types = Vec::new();
        for input in model.graph().inputs() {
            let name = &model.graph().value(input.value).name;
            if given.iter().all(|(n, _)| n != name) && !input.form.is_optional() && !starts_by_itself(model, input) {
                types.push((name.clone(), extents.resolve(model, input)?));
            }
        }
        extents.note();
        Ok((given, types))
    }

    /// Every input of the model. With `fallback`, those that nothing gives are drawn from that seed instead of being an error.
    pub(crate) fn load(&self, model: &Model, fallback: Option<u64>) -> Result<Inputs> {
        let (given, extents) = self.given(model)?;
        let mut random = self.random.or(fallback).map(Random::new);
        let mut inputs = Inputs::new();
        for input in model.graph().inputs() {
            let name = &model.graph().value(input.value).name;
            let tensor = match (given.iter().position(|(n, _)| n == name), &mut random) {
                (Some(index), _) => given[index].1.clone(),
                // Its default is better than what could be drawn.
                (None, _) if model.graph().defaults().iter().any(|d| d.input.value == input.value) => continue,
                (None, _) if input.form.is_optional() => continue,
                (None, _) if starts_by_itself(model, input) => continue,
                (None, _) if is_of_state(model, input) => Tensor::zeros(extents.resolve(model, input)?),
                (None, Some(random)) => drawn(random, extents.resolve(model, input)?)?,
                (None, None) => {
                    let what = describe(model, input);
                    return Err(Failure::message(format!(
                        "the input {what} is missing: give it with --inputs, or draw it with --random SEED"
                    )));
                }
            };
            inputs.push((name.clone(), tensor));
        }
        extents.note();
        Ok(inputs)
    }
}

/// One `--inputs` argument, told apart by what is there and how it ends.
enum Source {
    Archive(std::path::PathBuf),
    TestData(std::path::PathBuf),
    Array(String, std::path::PathBuf),
    Image(String, std::path::PathBuf),
}

fn source(argument: &str) -> Result<Source> {
    let path = Path::new(argument);
    let ends = |p: &Path, extension: &str| p.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
    if path.is_dir() {
        return Ok(Source::TestData(path.to_path_buf()));
    }
    if ends(path, "npz") && (path.is_file() || !argument.contains('=')) {
        return Ok(Source::Archive(path.to_path_buf()));
    }
    match argument.split_once('=') {
        Some((name, file)) if ends(Path::new(file), "npy") => Ok(Source::Array(name.into(), file.into())),
        Some((name, file)) => Ok(Source::Image(name.into(), file.into())),
        None => Err(Failure::message(format!(
            "--inputs {argument}: expected an existing folder, a .npz file, NAME=FILE.npy or NAME=IMAGE.png"
        ))),
    }
}

/// Extents of symbolic dimensions, and which of them were assumed.
pub(crate) struct Extents {
    known: HashMap<String, usize>,
    assumed: std::cell::RefCell<Vec<String>>,
}

impl DimArguments {
    /// The extents given by `--dim` and by the shapes of tensors at hand.
    pub(crate) fn bind(&self, model: &Model, given: &Inputs) -> Result<Extents> {
        let mut known = HashMap::new();
        for input in model.graph().declared() {
            let name = &model.graph().value(input.value).name;
            let Some((_, tensor)) = given.iter().find(|(n, _)| n == name) else { continue };
            for (dim, extent) in input.dims.iter().flatten().zip(tensor.shape().iter()) {
                if let Dim::Named(dim) = dim {
                    known.entry(dim.clone()).or_insert(*extent);
                }
            }
        }
        let names = open_dims(model);
        for (name, extent) in &self.dims {
            if !names.contains(name) {
                let has = if names.is_empty() { "none".into() } else { names.join(", ") };
                return Err(Failure::message(format!(
                    "--dim {name}={extent}: the model has no open dimension of that name; it has {has}"
                )));
            }
            known.insert(name.clone(), *extent);
        }
        Ok(Extents { known, assumed: Default::default() })
    }
}

/// The names that `--dim` takes for a model.
fn open_dims(model: &Model) -> Vec<String> {
    let mut names = Vec::new();
    for input in model.graph().inputs() {
        for (axis, dim) in input.dims.iter().flatten().enumerate() {
            let name = match dim {
                Dim::Known(_) => continue,
                Dim::Named(name) => name.clone(),
                Dim::Unknown => format!("{}:{axis}", model.graph().value(input.value).name),
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

impl Extents {
    /// The type of an input with every extent filled in.
    pub(crate) fn resolve(&self, model: &Model, input: &Input) -> Result<TensorType> {
        let Some(dims) = &input.dims else {
            return Err(Failure::message(format!(
                "the rank of the input {} is open: give the tensor with --inputs",
                describe(model, input)
            )));
        };
        let extent = |(axis, dim): (usize, &Dim)| {
            let name = match dim {
                Dim::Known(n) => return *n,
                Dim::Named(name) => name.clone(),
                Dim::Unknown => format!("{}:{axis}", model.graph().value(input.value).name),
            };
            self.known.get(&name).copied().unwrap_or_else(|| {
                let mut assumed = self.assumed.borrow_mut();
                if !assumed.contains(&name) {
                    assumed.push(name);
                }
                1
            })
        };
        let dims: Vec<usize> = dims.iter().enumerate().map(extent).collect();
        Ok(TensorType::new(input.dtype, dims).checked()?)
    }

    /// Says on stderr which extents were assumed to be 1.
    pub(crate) fn note(&self) {
        for name in self.assumed.borrow().iter() {
            eprintln!("note: dimension `{name}` is taken as 1; set it with --dim {name}=N");
        }
    }
}

/// Data of a type that a seed draws.
fn drawn(random: &mut Random, ty: TensorType) -> Result<Tensor> {
    let count = ty.elements();
    if ty.dtype.is_float() {
        let values: Vec<f64> = (0..count).map(|_| random.unit()).collect();
        return Ok(Tensor::from_f64(ty, &values)?);
    }
    let values: Vec<i128> = (0..count).map(|_| i128::from(random.next() >> 63)).collect();
    Ok(Tensor::from_i128(ty, &values)?)
}
