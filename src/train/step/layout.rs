//! Where parameters lie: in arenas, each a state of as many rows as its optimizer remembers things of a parameter.

use super::options::StepOptions;
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};
use crate::ops::arena::side_by_side;
use crate::ops::optimizer::Rule;
use crate::tensor::{DType, Tensor, TensorType};
use std::collections::HashSet;

/// The most elements of a row of an arena, unless one tensor has more: gradients live until the update of their arena, which begins with
/// the last layers.
const ROW: usize = 1 << 22;

/// A tensor in an arena.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub name: String,
    /// The constant of the graph.
    pub value: ValueId,
    pub ty: TensorType,
    /// The element of a row at which it starts.
    pub first: usize,
}

/// Parameters of one group that are updated at once.
#[derive(Clone, Debug)]
pub(super) struct Arena {
    /// The name of its state.
    pub state: String,
    /// The group.
    pub group: usize,
    pub rule: Rule,
    pub parameters: Vec<Parameter>,
    /// Elements of a row.
    pub columns: usize,
}

impl Arena {
    /// What it holds before the first step.
    pub(super) fn initial(&self, graph: &Graph) -> Result<Tensor> {
        let rows = self.rule.rows();
        let mut numbers = vec![0f32; rows * self.columns];
        for parameter in &self.parameters {
            let held = graph.constant(parameter.value).ok_or_else(|| Error::internal("a parameter that is no constant"))?;
            numbers[parameter.first..parameter.first + held.elements()].copy_from_slice(held.as_slice::<f32>()?);
        }
        Tensor::new([rows, self.columns], &numbers)
    }
}

/// The arenas of a graph's parameters, the last parameters first, as their gradients are known first. No arena takes more bytes than this.
pub(super) fn arenas(graph: &Graph, options: &StepOptions, most_bytes: u64) -> Result<Vec<Arena>> {
    let mut known = HashSet::new();
    let mut arenas: Vec<Arena> = Vec::new();
    for (group, given) in options.groups.iter().enumerate() {
        given.optimizer.check()?;
        let rule = given.optimizer.rule();
        let most = usize::try_from(most_bytes / 4).unwrap_or(usize::MAX) / rule.rows();
        let mut open: Vec<(String, ValueId, TensorType)> = Vec::new();
        let mut elements = 0;
        let mut close = |open: &mut Vec<(String, ValueId, TensorType)>| {
            let (places, columns) = side_by_side(open.iter().map(|(_, _, ty)| ty.elements()));
            let parameters = open.drain(..).zip(places).map(|((name, value, ty), first)| Parameter { name, value, ty, first });
            arenas.push(Arena {
                state: format!("train.arena.{}", arenas.len()),
                group,
                rule,
                parameters: parameters.collect(),
                columns,
            });
        };
        for name in given.parameters.iter().rev() {
            let (value, ty) = parameter(graph, name)?;
            if !known.insert(name.clone()) {
                return Err(Error::invalid_argument(format!("parameter `{name}` is given twice")));
            }
            let count = ty.elements().next_multiple_of(crate::ops::arena::ALIGNMENT);
            if !open.is_empty() && elements + count > ROW.min(most) {
                close(&mut open);
                elements = 0;
            }
            elements += count;
            open.push((name.clone(), value, ty));
        }
        if !open.is_empty() {
            close(&mut open);
        }
    }
    match arenas.is_empty() {
        true => Err(Error::invalid_argument("no parameter is given")),
        false => Ok(arenas),
    }
}

/// A constant of the graph that can be trained.
fn parameter(graph: &Graph, name: &str) -> Result<(ValueId, TensorType)> {
    let wrong = |what: String| Error::invalid_argument(format!("parameter `{name}` {what}"));
    let value = graph.find(name).ok_or_else(|| wrong("is no value of the graph".into()))?;
    let held = graph.constant(value).ok_or_else(|| wrong("is no constant of the graph".into()))?;
    if held.dtype() != DType::F32 || held.elements() == 0 {
        return Err(wrong(format!("is {}; expected f32 of one element or more", held.ty())));
    }
    Ok((value, held.ty().clone()))
}
