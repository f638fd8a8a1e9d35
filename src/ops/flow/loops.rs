//! Loop: a graph that is computed again and again.

use super::turns;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Body, Flow, Flowing, Node, Op, Structure, ValueId, Writer};
use crate::ops::Registration;
use crate::ops::compose::Compose;
use crate::ops::concat::concat;
use crate::ops::gather::gather;
use crate::tensor::{Tensor, TensorType};
use std::sync::Arc;

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["Loop"], shaders: &[] };

/// A graph that is computed again and again: ONNX's Loop, and its Scan with axes 0.
///
/// Inputs: the most turns (absent: no limit but those that scan inputs set), whether there is a first turn (absent: yes), the carried values, the scan
/// inputs, then what the body captures. The body is given the number of the turn from 0 on (an i64 scalar), the condition, the carried
/// values, and a slice along axis 0 of each scan input; it makes the condition of a further turn, the carried values, and a row of each
/// scan output. Outputs: the carried values after the last turn, then the rows of each scan output along a new axis 0.
#[derive(Clone, Debug)]
pub struct Loop {
    /// One turn.
    pub body: Body,
    /// How many values go from turn to turn.
    pub carried: usize,
    /// How many inputs are given slice by slice.
    pub scan_inputs: usize,
}

/// A graph that is computed again and again, see [`Loop`].
pub fn repeat(body: Body, carried: usize, scan_inputs: usize) -> Arc<dyn Op> {
    Arc::new(Flowing(Loop { body, carried, scan_inputs }))
}

/// The inputs of a loop by what they are for.
#[derive(Clone, Debug)]
pub struct LoopInputs<'a, T> {
    /// The most turns.
    pub count: &'a Structure<T>,
    /// Whether there is a first turn.
    pub condition: &'a Structure<T>,
    /// Carried values before the first turn.
    pub carried: &'a [Structure<T>],
    /// What is given slice by slice.
    pub scans: &'a [Structure<T>],
}

impl Loop {
    /// The inputs by what they are for.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) where there are too few.
    pub fn inputs<'a, T>(&self, inputs: &'a [Structure<T>]) -> Result<LoopInputs<'a, T>> {
        let few =
            || Error::invalid_model(format!("Loop needs {} inputs, found {}", 2 + self.carried + self.scan_inputs, inputs.len()));
        let (head, rest) = inputs.split_at_checked(2).ok_or_else(few)?;
        let (carried, rest) = rest.split_at_checked(self.carried).ok_or_else(few)?;
        let scans = rest.get(..self.scan_inputs).ok_or_else(few)?;
        Ok(LoopInputs { count: &head[0], condition: &head[1], carried, scans })
    }

    /// How many scan outputs the body makes a row of.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) where it makes too few outputs.
    pub fn scan_outputs(&self) -> Result<usize> {
        let made = self.body.graph.outputs().len();
        made.checked_sub(1 + self.carried).ok_or_else(|| {
            Error::invalid_model(format!(
                "the body of a Loop makes {made} outputs: expected a condition and {} values",
                self.carried
            ))
        })
    }

    /// Writes the turns one after another, `turns` at most, which must have ended after `budget`.
    fn written(
        &self,
        node: &Node,
        inputs: &[Structure<ValueId>],
        writer: &mut Writer,
        (turns, budget): (u64, u64),
    ) -> Result<Vec<Structure<ValueId>>> {
        let LoopInputs { condition, carried, scans, .. } = self.inputs(inputs)?;
        let mut turn = Turn { condition: condition.clone(), carried: carried.to_vec(), rows: vec![] };
        let mut rows: Vec<Vec<ValueId>> = vec![vec![]; self.scan_outputs()?];
        let mut number = 0;
        while number < turns && holds(&turn.condition, writer)? {
            if number == budget {
                return Err(Error::needs_stage());
            }
            let next = self.turn(node, inputs, writer, number, &turn)?;
            let slots = rows.iter_mut().zip(&next.rows);
            slots.for_each(|(rows, row)| rows.push(*row));
            turn = next;
            number += 1;
        }
        let mut outputs = turn.carried.clone();
        // Where there was no turn, one is written to find out what its rows are; nobody reads it.
        let no_slice = scans.iter().any(|scan| length(scan, writer).is_ok_and(|length| length == 0));
        if number == 0 && !rows.is_empty() {
            if no_slice {
                return Err(Error::needs_stage());
            }
            turn = self.turn(node, inputs, writer, 0, &turn)?;
        }
        for (index, (rows, row)) in rows.iter().zip(&turn.rows).enumerate() {
            outputs.push(Structure::Tensor(stack(index, rows, *row, writer)?));
        }
        Ok(outputs)
    }

    /// Writes one turn.
    fn turn(&self, node: &Node, inputs: &[Structure<ValueId>], writer: &mut Writer, number: u64, from: &Turn) -> Result<Turn> {
        let scans = self.inputs(inputs)?.scans;
        let index = writer.tensor(Tensor::scalar(number.cast_signed()));
        let mut given = vec![Structure::Tensor(index), from.condition.clone()];
        if given[1] == Structure::Absent {
            given[1] = Structure::Tensor(writer.tensor(Tensor::scalar(true)));
        }
        given.extend(from.carried.iter().cloned());
        for scan in scans {
            given.push(Structure::Tensor(writer.apply(gather(0), &[*scan.tensor()?, index])?));
        }
        let outputs = self.body.inline(node, &self.body.arguments(given, inputs)?, writer)?;
        let (condition, rest) =
            outputs.split_first().ok_or_else(|| Error::invalid_model("the body of a Loop makes no condition"))?;
        let (carried, rows) = rest.split_at_checked(self.carried).ok_or_else(|| Error::internal("a body with too few outputs"))?;
        let type_of = |writer: &Writer, value: &Structure<ValueId>| value.try_map(|id| Ok(writer.fact(*id)?.ty.clone()));
        for (k, (before, after)) in from.carried.iter().zip(carried).enumerate() {
            turns::carried(k, &type_of(writer, before)?, &type_of(writer, after)?)?;
        }
        let rows = rows.iter().map(|row| row.tensor().copied()).collect::<Result<_>>()?;
        Ok(Turn { condition: condition.clone(), carried: carried.to_vec(), rows })
    }
}

/// What a turn finds, or leaves.
struct Turn {
    condition: Structure<ValueId>,
    carried: Vec<Structure<ValueId>>,
    rows: Vec<ValueId>,
}

/// Whether a condition is known to hold.
fn holds(condition: &Structure<ValueId>, writer: &Writer) -> Result<bool> {
    match condition {
        Structure::Absent => Ok(true),
        other => {
            let fact = writer.fact(*other.tensor()?)?;
            turns::condition("Loop", fact.value.as_ref().ok_or_else(Error::needs_stage)?)
        }
    }
}

/// How many slices a scan input has.
fn length(scan: &Structure<ValueId>, writer: &Writer) -> Result<usize> {
    Ok(writer.fact(*scan.tensor()?)?.shape().first().copied().unwrap_or(0))
}

/// Rows along a new axis 0; `row` is one like them.
fn stack(index: usize, rows: &[ValueId], row: ValueId, writer: &mut Writer) -> Result<ValueId> {
    let ty = |id: &ValueId| Ok(writer.fact(*id)?.ty.clone());
    let types: Vec<TensorType> = rows.iter().map(ty).collect::<Result<_>>()?;
    let stacked = turns::stacked(index, &types, &ty(&row)?)?;
    if rows.is_empty() {
        return Ok(writer.tensor(Tensor::zeros(stacked)));
    }
    let one: Vec<usize> = std::iter::once(1).chain(stacked.shape.iter().skip(1).copied()).collect();
    let rows = rows.iter().map(|row| writer.reshape(*row, &one)).collect::<Result<Vec<_>>>()?;
    writer.apply(concat(0), &rows)
}

impl Flow for Loop {
    fn name(&self) -> &'static str {
        "Loop"
    }

    crate::attributes!(body, carried, scan_inputs);

    fn with_bodies(&self, change: &mut dyn FnMut(&Body) -> Result<Body>) -> Result<Option<Arc<dyn Op>>> {
        Ok(Some(repeat(change(&self.body)?, self.carried, self.scan_inputs)))
    }

    fn evaluate(&self, inputs: &[Structure<Tensor>], limit: u64) -> Result<Vec<Structure<Tensor>>> {
        let LoopInputs { count, condition, carried, scans } = self.inputs(inputs)?;
        let scans = scans.iter().map(Structure::tensor).collect::<Result<Vec<_>>>()?;
        let most = if *count == Structure::Absent { u64::MAX } else { turns::count(count.tensor()?)? };
        let most = most.min(turns::slices(scans.iter().map(|scan| scan.ty()))?.unwrap_or(u64::MAX));
        let mut going = *condition == Structure::Absent || turns::condition("Loop", condition.tensor()?)?;
        let mut values = carried.to_vec();
        let mut rows: Vec<Vec<Tensor>> = vec![vec![]; self.scan_outputs()?];
        let turn = |number: u64, going: bool, values: &[Structure<Tensor>], empty: bool| {
            let mut given = vec![Structure::Tensor(Tensor::scalar(number.cast_signed())), Structure::Tensor(Tensor::scalar(going))];
            given.extend_from_slice(values);
            for scan in &scans {
                let row = TensorType::new(scan.dtype(), scan.shape().get(1..).unwrap_or(&[]));
                given.push(Structure::Tensor(if empty { Tensor::zeros(row) } else { turns::slice(scan, number as usize)? }));
            }
            self.body.evaluate(&self.body.arguments(given, inputs)?, limit)
        };
        let mut number = 0;
        while going && number < most {
            if number >= limit {
                return Err(turns_exceeded(limit));
            }
            let outputs = turn(number, going, &values, false)?;
            going = turns::condition("Loop", outputs[0].tensor()?)?;
            for (k, (before, after)) in values.iter().zip(&outputs[1..]).enumerate() {
                turns::carried(k, &before.map(|t| t.ty().clone()), &after.map(|t| t.ty().clone()))?;
            }
            for (rows, row) in rows.iter_mut().zip(&outputs[1 + self.carried..]) {
                rows.push(row.tensor()?.clone());
            }
            values = outputs[1..=self.carried].to_vec();
            number += 1;
        }
        // Where there was no turn, one is computed to find out what its rows are.
        let shown = if number == 0 && !rows.is_empty() { turn(0, going, &values, true)? } else { vec![] };
        for (k, rows) in rows.iter().enumerate() {
            let row = match rows.first() {
                Some(row) => row.ty().clone(),
                None => shown[1 + self.carried + k].tensor()?.ty().clone(),
            };
            values.push(Structure::Tensor(turns::stack(k, rows, &row)?));
        }
        Ok(values)
    }

    fn write(&self, node: &Node, inputs: &[Structure<ValueId>], writer: &mut Writer) -> Result<Vec<Structure<ValueId>>> {
        let LoopInputs { count, condition, scans, .. } = self.inputs(inputs)?;
        let types = scans.iter().map(|scan| Ok(writer.fact(*scan.tensor()?)?.ty.clone())).collect::<Result<Vec<_>>>()?;
        let slices = turns::slices(types.iter())?;
        let known = |value: &Structure<ValueId>| -> Result<Option<Tensor>> {
            if *value == Structure::Absent { Ok(None) } else { Ok(writer.fact(*value.tensor()?)?.value.clone()) }
        };
        let most = match (known(count)?, count) {
            (Some(count), _) => Some(turns::count(&count)?),
            (None, Structure::Absent) => Some(u64::MAX),
            _ => None,
        };
        let most = most.map(|most| most.min(slices.unwrap_or(u64::MAX)));
        let stops = known(condition)?.is_some_and(|condition| turns::condition("Loop", &condition).is_ok_and(|holds| !holds));
        let turns = if stops { 0 } else { most.ok_or_else(Error::needs_stage)? };
        let (most_turns, most_nodes) = turns::MAX_WRITTEN;
        let budget = most_turns.min((most_nodes / self.body.graph.nodes().len().max(1)) as u64);
        // A loop that only its condition ends may end early.
        if turns > budget && turns != u64::MAX {
            return Err(Error::needs_stage());
        }
        self.written(node, inputs, writer, (turns, budget))
    }
}

/// A loop goes on for too long.
pub fn turns_exceeded(limit: u64) -> Error {
    Error::new(ErrorKind::Limit, format!("a loop was stopped after {limit} turns, the limit of the session"))
}
