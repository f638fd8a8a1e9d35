//! Checking a run's inputs against the model's declarations.

use crate::error::{Error, Result};
use crate::graph::{Dim, Form, Graph, Input, State, Structure};
use crate::tensor::{DType, Shape};
use std::collections::HashMap;

/// The name and the types of an input that a run is given.
pub(crate) type Given<'g> = (&'g str, Structure<(DType, &'g [usize])>);

/// A declared input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputInfo {
    /// Its name.
    pub name: String,
    /// What it may be given as.
    pub form: Form,
    /// The element type of its tensors.
    pub dtype: DType,
    /// Their extents; `None` when their rank is open.
    pub dims: Option<Vec<Dim>>,
}

/// The inputs of a graph that a run must give.
pub(crate) fn declared(graph: &Graph) -> Vec<InputInfo> {
    let state = |input: &&Input| graph.states().iter().any(|state| state.input == input.value);
    graph.inputs().iter().filter(|input| !state(input)).map(|input| info(graph, input)).collect()
}

/// All inputs of a graph that have no default, those of states among them.
pub(crate) fn with_states(graph: &Graph) -> Vec<InputInfo> {
    graph.inputs().iter().map(|input| info(graph, input)).collect()
}

/// The states of a graph.
pub(crate) fn states(graph: &Graph) -> Result<Vec<InputInfo>> {
    let state = |state: &State| Ok(InputInfo { name: state.name.clone(), ..info(graph, graph.state_input(state)?) });
    graph.states().iter().map(state).collect()
}

/// The inputs of a graph that have a default.
pub(crate) fn with_defaults(graph: &Graph) -> Vec<InputInfo> {
    graph.defaults().iter().map(|default| info(graph, &default.input)).collect()
}

fn info(graph: &Graph, input: &Input) -> InputInfo {
    InputInfo { name: graph.value(input.value).name.clone(), form: input.form, dtype: input.dtype, dims: input.dims.clone() }
}

/// For each declared input its place among the given ones, after a check of names, forms, dtypes and extents; none where it is left out.
pub(crate) fn matched(declared: &[InputInfo], given: &[Given<'_>]) -> Result<Vec<Option<usize>>> {
    let names = || declared.iter().map(|d| format!("`{}`", d.name)).collect::<Vec<_>>().join(", ");
    for (index, (name, ..)) in given.iter().enumerate() {
        if !declared.iter().any(|d| d.name == *name) {
            return Err(Error::invalid_input(format!("`{name}` is no input of the model; expected {}", names())));
        }
        if given[..index].iter().any(|(other, ..)| other == name) {
            return Err(Error::invalid_input(format!("input `{name}` is given twice")));
        }
    }
    let mut named: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut places = Vec::with_capacity(declared.len());
    for input in declared {
        let place = given.iter().position(|(name, ..)| *name == input.name);
        match place.map(|place| &given[place].1) {
            None if !input.form.is_optional() => {
                return Err(Error::invalid_input(format!("input `{}` is missing; expected {}", input.name, names())));
            }
            None => {}
            Some(structure) => fits(input, structure, &mut named)?,
        }
        places.push(place);
    }
    Ok(places)
}

/// Checks what one state is to hold, whatever others hold.
pub(crate) fn fits_alone(what: &str, info: &InputInfo, dtype: DType, shape: &[usize]) -> Result<()> {
    tensor_fits(what, info, dtype, shape, &mut HashMap::new())
}

/// The first extent of each name, and the input that has it.
type Named<'a> = HashMap<&'a str, (usize, &'a str)>;

fn fits<'a>(input: &'a InputInfo, given: &Structure<(DType, &[usize])>, named: &mut Named<'a>) -> Result<()> {
    let wrong = |found| Err(Error::invalid_input(format!("input `{}`: expected {}, found {found}", input.name, input.form)));
    match given {
        Structure::Tensor((dtype, shape)) if !input.form.is_sequence() => tensor_fits("input", input, *dtype, shape, named),
        Structure::Tensor(_) => wrong("a tensor"),
        // The tensors of a sequence need not be alike, whatever their extents are called.
        Structure::Sequence(types) if input.form.is_sequence() => {
            types.iter().try_for_each(|(dtype, shape)| tensor_fits("input", input, *dtype, shape, &mut HashMap::new()))
        }
        Structure::Sequence(_) => wrong("a sequence of tensors"),
        Structure::Absent if input.form.is_optional() => Ok(()),
        Structure::Absent => wrong("nothing"),
    }
}

fn tensor_fits<'a>(what: &str, input: &'a InputInfo, dtype: DType, shape: &[usize], named: &mut Named<'a>) -> Result<()> {
    let name = &input.name;
    if dtype != input.dtype {
        return Err(Error::invalid_input(format!("{what} `{name}`: expected {}, found {dtype}", input.dtype)));
    }
    let Some(dims) = &input.dims else { return Ok(()) };
    let found = Shape::from(shape);
    let text = || format!("[{}]", dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    if dims.len() != shape.len() {
        return Err(Error::invalid_input(format!("{what} `{name}`: expected shape {}, found {found}", text())));
    }
    for (dim, &extent) in dims.iter().zip(shape) {
        match dim {
            Dim::Known(n) if *n != extent => {
                return Err(Error::invalid_input(format!("{what} `{name}`: expected shape {}, found {found}", text())));
            }
            Dim::Named(symbol) => {
                let (first, other) = *named.entry(symbol).or_insert((extent, name));
                if first != extent {
                    let message =
                        format!("{what} `{name}`: expected shape {} with {symbol}={first} as in `{other}`, found {found}", text());
                    return Err(Error::invalid_input(message));
                }
            }
            Dim::Known(_) | Dim::Unknown => {}
        }
    }
    Ok(())
}
