//! What a model takes and returns, as the protocol describes it.

use super::probe::{Probed, probe};
use crate::failure::{Code, Failure, Result};
use crate::protocol::{Datatype, InferTensor};
use gristmill::graph::Dim;
use gristmill::{InputInfo, Model, Session};
use std::collections::BTreeMap;

/// An input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorDescription {
    /// Its name.
    pub name: String,
    /// The element type.
    pub datatype: Datatype,
    /// The extents; `None` for one that is open. No extents at all where the rank is open.
    pub dims: Option<Vec<Option<usize>>>,
    /// The names of open extents, where they have one.
    pub symbols: Vec<Option<String>>,
    /// Whether a request may leave it out.
    pub optional: bool,
}

/// What a model takes and returns.
#[derive(Clone, Debug)]
pub struct Interface {
    /// The inputs, those that may be left out behind the others.
    pub inputs: Vec<TensorDescription>,
    /// The outputs.
    pub outputs: Vec<TensorDescription>,
    /// The dimension along which requests can be joined, if there is one.
    pub batch: Option<BatchDimension>,
}

/// A dimension that each input and each output has once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchDimension {
    /// Its name in the model.
    pub name: String,
    /// Its axis in each input.
    pub inputs: Vec<usize>,
    /// Its axis in each output.
    pub outputs: Vec<usize>,
}

impl Interface {
    /// Describes a model.
    ///
    /// # Errors
    /// [`Unimplemented`](Code::Unimplemented) for inputs that are sequences, which no request can carry.
    pub fn of(model: &Model, session: &Session) -> Result<Self> {
        let required = session.inputs().iter().map(|info| described(info, false));
        let inputs = required.chain(session.defaults().iter().map(|info| described(info, true))).collect::<Result<Vec<_>>>()?;
        let common = common(&inputs);
        let probed = probe(model, session, common.as_ref().map(|(name, _)| name.as_str()));
        let along = common.zip(probed.axes.clone());
        let batch = along.map(|((name, inputs), outputs)| BatchDimension { name, inputs, outputs });
        let outputs = session.outputs().iter().map(|name| output(name, &probed)).collect();
        Ok(Interface { inputs, outputs, batch })
    }

    /// Whether the batch dimension's name says that it is one, so that requests may be joined without being told.
    pub fn says_batch(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| says_batch(&batch.name))
    }

    /// An input by name.
    pub fn input(&self, name: &str) -> Option<&TensorDescription> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// Checks the inputs of a request: names, types, shapes, and extents of one name that must agree.
    ///
    /// # Errors
    /// [`InvalidArgument`](Code::InvalidArgument) saying what was expected.
    pub fn check(&self, given: &[InferTensor]) -> Result<()> {
        let names = || self.inputs.iter().map(|input| format!("`{}`", input.name)).collect::<Vec<_>>().join(", ");
        let mut extents: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        for (index, tensor) in given.iter().enumerate() {
            if given[..index].iter().any(|other| other.name == tensor.name) {
                return Err(Failure::invalid(format!("input `{}` is given twice", tensor.name)));
            }
            let found = self.input(&tensor.name);
            let unknown = || Failure::invalid(format!("`{}` is no input of the model: expected {}", tensor.name, names()));
            let input = found.ok_or_else(unknown)?;
            input.check(tensor)?;
            for (extent, symbol) in tensor.shape.iter().zip(&input.symbols) {
                let Some(symbol) = symbol else { continue };
                let (first, other) = *extents.entry(symbol).or_insert((*extent, &input.name));
                if first != *extent {
                    return Err(Failure::invalid(format!(
                        "input `{}` of shape {:?}: expected {first} for the dimension `{symbol}`, as in input `{other}`, found {extent}",
                        tensor.name, tensor.shape
                    )));
                }
            }
        }
        let missing = self.inputs.iter().find(|input| !input.optional && given.iter().all(|tensor| tensor.name != input.name));
        missing.map_or(Ok(()), |input| Err(Failure::invalid(format!("input `{}` is missing: expected {}", input.name, names()))))
    }

    /// Checks the names of outputs that a request asks for.
    ///
    /// # Errors
    /// [`InvalidArgument`](Code::InvalidArgument) saying what was expected.
    pub fn check_outputs<'a>(&self, mut asked: impl Iterator<Item = &'a str>) -> Result<()> {
        let unknown = asked.find(|name| self.outputs.iter().all(|output| output.name != *name));
        unknown.map_or(Ok(()), |name| {
            let names: Vec<String> = self.outputs.iter().map(|output| format!("`{}`", output.name)).collect();
            Err(Failure::invalid(format!("`{name}` is no output of the model: expected {}", names.join(", "))))
        })
    }
}

impl TensorDescription {
    /// The extents as the protocol has them: -1 for one that is open, and that alone where the rank is.
    pub fn shape(&self) -> Vec<i64> {
        let extent = |dim: &Option<usize>| dim.and_then(|dim| i64::try_from(dim).ok()).unwrap_or(-1);
        self.dims.as_ref().map_or(vec![-1], |dims| dims.iter().map(extent).collect())
    }

    fn check(&self, tensor: &InferTensor) -> Result<()> {
        if tensor.datatype != self.datatype {
            return Err(Failure::invalid(format!(
                "input `{}`: expected the datatype {}, found {}",
                self.name, self.datatype, tensor.datatype
            )));
        }
        let fits = |dims: &Vec<Option<usize>>| {
            let equal = dims.iter().zip(&tensor.shape).all(|(dim, extent)| dim.is_none_or(|dim| dim == *extent));
            dims.len() == tensor.shape.len() && equal
        };
        match self.dims.as_ref().is_none_or(fits) {
            true => Ok(()),
            false => Err(Failure::invalid(format!(
                "input `{}`: expected the shape {:?}, found {:?}",
                self.name,
                self.shape(),
                tensor.shape
            ))),
        }
    }
}

fn described(info: &InputInfo, optional: bool) -> Result<TensorDescription> {
    if info.form.is_sequence() {
        let message = format!("input `{}` is a sequence of tensors, which no request can carry", info.name);
        return Err(Failure::new(Code::Unimplemented, message));
    }
    let extent = |dim: &Dim| match dim {
        Dim::Known(extent) => (Some(*extent), None),
        Dim::Named(name) => (None, Some(name.clone())),
        Dim::Unknown => (None, None),
    };
    let (dims, symbols) = info.dims.iter().flatten().map(extent).unzip();
    Ok(TensorDescription {
        name: info.name.clone(),
        datatype: info.dtype.into(),
        dims: info.dims.is_some().then_some(dims),
        symbols,
        optional: optional || info.form.is_optional(),
    })
}

fn output(name: &str, probed: &Probed) -> TensorDescription {
    let found = probed.outputs.iter().find(|(other, ..)| other == name);
    let datatype = found.and_then(|(_, dtype, _)| *dtype).map_or(Datatype::Fp32, Datatype::from);
    let dims = found.and_then(|(.., dims)| dims.clone());
    TensorDescription { name: name.to_string(), datatype, symbols: vec![], dims, optional: false }
}

fn says_batch(name: &str) -> bool {
    name == "N" || name.to_lowercase().contains("batch")
}

/// A dimension that each input has once, with its axis in each: one named after batches, else the first of the first input. With inputs that may
/// be left out there is none, since requests would differ in more than rows.
fn common(inputs: &[TensorDescription]) -> Option<(String, Vec<usize>)> {
    if inputs.iter().any(|input| input.optional) {
        return None;
    }
    let first = inputs.first()?;
    let named = first.symbols.iter().flatten().find(|name| says_batch(name));
    let name = named.or_else(|| first.symbols.first()?.as_ref())?;
    let axis = |input: &TensorDescription| {
        let mut axes = (0..input.symbols.len()).filter(|axis| input.symbols[*axis].as_ref() == Some(name));
        let axis = axes.next()?;
        axes.next().is_none().then_some(axis)
    };
    Some((name.clone(), inputs.iter().map(axis).collect::<Option<_>>()?))
}
