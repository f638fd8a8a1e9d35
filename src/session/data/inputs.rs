//! Checking a run's inputs against the model's declarations.

use crate::error::{Error, Result};
use crate::graph::{Dim, Graph, Input, State};
use crate::tensor::{DType, Shape};
use std::collections::HashMap;

/// A declared input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputInfo {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub dtype: DType,
    /// Its extents; `None` when its rank is open.
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
    InputInfo { name: graph.value(input.value).name.clone(), dtype: input.dtype, dims: input.dims.clone() }
}

/// For each declared input its place among the given ones, after a check of names, dtypes and extents.
pub(crate) fn matched(declared: &[InputInfo], given: &[(&str, DType, &[usize])]) -> Result<Vec<usize>> {
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
        let place =
            place.ok_or_else(|| Error::invalid_input(format!("input `{}` is missing; expected {}", input.name, names())))?;
        let (_, dtype, shape) = given[place];
        fits("input", input, dtype, shape, &mut named)?;
        places.push(place);
    }
    Ok(places)
}

/// Checks what one input or state is to hold, whatever others hold.
pub(crate) fn fits_alone(what: &str, info: &InputInfo, dtype: DType, shape: &[usize]) -> Result<()> {
    fits(what, info, dtype, shape, &mut HashMap::new())
}

fn fits<'a>(
    what: &str,
    input: &'a InputInfo,
    dtype: DType,
    shape: &[usize],
    named: &mut HashMap<&'a str, (usize, &'a str)>,
) -> Result<()> {
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
