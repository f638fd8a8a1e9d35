//! The rows that `gristmill bench` and `gristmill isa` look at: problems as networks with data.

use crate::failure::Result;
use crate::problems::{FAMILIES, Family, Problem};
use gristmill::internals::graph::{Builder, Dim};
use gristmill::{DType, Model, Tensor};

/// One row.
pub(crate) struct Row {
    pub(crate) family: &'static str,
    pub(crate) shape: String,
    pub(crate) dtype: DType,
    pub(crate) model: Model,
    pub(crate) inputs: Vec<(String, Tensor)>,
    /// Floating-point operations of the problem, a multiply-add counting two.
    pub(crate) flops: u64,
    /// Bytes of its inputs and weights on the GPU.
    pub(crate) read: u64,
    /// Bytes of its outputs there.
    pub(crate) written: u64,
}

impl Row {
    /// A problem with its data.
    pub(crate) fn new(problem: &Problem, dtype: DType) -> Result<Row> {
        let mut b = Builder::new(problem.name());
        let (mut values, mut inputs) = (Vec::new(), Vec::new());
        for (operand, data) in problem.operands.iter().zip(problem.data(dtype)?) {
            values.push(Some(if operand.is_weight {
                b.constant(&operand.name, data)
            } else {
                let dims: Vec<Dim> = operand.dims.iter().map(|d| Dim::Known(*d)).collect();
                let id = b.input(&operand.name, data.dtype(), &dims);
                inputs.push((operand.name.clone(), data));
                id
            }));
        }
        for step in &problem.steps {
            let operands: Vec<_> = step.inputs.iter().map(|k| k.and_then(|k| values[k])).collect();
            values.push(Some(b.node(step.name, step.op.clone(), &operands)));
        }
        if let Some(Some(last)) = values.last() {
            b.output("output", *last)?;
        }
        Ok(Row {
            family: problem.family,
            shape: problem.shape.clone(),
            dtype,
            model: Model::from_graph(b.finish()?),
            inputs,
            flops: problem.flops,
            read: problem.read,
            written: problem.written,
        })
    }
}

/// The families with the form of their shapes, for `--help`.
pub(crate) fn help() -> String {
    let lines = FAMILIES.iter().map(|f| format!("  {:<17} {}", f.name, f.form));
    format!("Families and their shapes (options follow a comma):\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// What `FAMILY[:SHAPE]` names; everything when nothing is named.
pub(crate) fn wanted(names: &[String]) -> Result<Vec<Problem>> {
    let timed = |family: &'static Family| family.rows.iter().map(|row| family.problem(row.shape)).collect();
    let named = |text: &String| match text.split_once(':') {
        Some((name, shape)) => Ok(vec![Family::named(name)?.problem(shape)?]),
        None => Family::named(text).and_then(timed),
    };
    let problems: gristmill::Result<Vec<Vec<Problem>>> =
        if names.is_empty() { FAMILIES.iter().map(timed).collect() } else { names.iter().map(named).collect() };
    Ok(problems?.into_iter().flatten().collect())
}

/// The node of a row that has a choice, from the variants of each: the last, since what an operator expands into ends with its
/// own kernels. Without any choice, the last that has a kernel.
pub(crate) fn subject(variants: &[Vec<&'static str>]) -> Option<usize> {
    variants.iter().rposition(|offered| offered.len() > 1).or_else(|| variants.iter().rposition(|offered| !offered.is_empty()))
}
