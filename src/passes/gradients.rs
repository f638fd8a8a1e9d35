//! Gradients by reverse mode: the nodes between values and what their gradients are with respect to, from the last to the first, each with
//! the gradients of its inputs from those of its outputs (Linnainmaa 1970; Griewank and Walther, "Evaluating Derivatives", chapter 3).

use super::recompute::Recompute;
use super::{Options, Pass};
use crate::error::{Error, Result};
use crate::graph::{Gradient as Rule, Node, NodeId, OpExt, ValueId, Writer};
use crate::ops::compose::Compose;
use crate::ops::concat::concat;
use crate::ops::gradient::Gradient;
use crate::ops::matmul::exchanged_product;
use crate::ops::pad::{Pad, PadMode};
use crate::ops::reshape::identity;
use crate::ops::variable::Variable;
use crate::tensor::{Tensor, TensorType};
use std::collections::{HashMap, HashSet};

/// Writes what each [`Gradient`] is, and makes each [`Variable`] the constant that it is. It comes before the gradients with respect to it:
/// from here on nodes of constants stay, other than what the rules write.
#[derive(Debug)]
pub(super) struct Gradients;

impl Pass for Gradients {
    fn name(&self) -> &str {
        "gradients"
    }

    fn is_needed(&self) -> bool {
        true
    }

    fn visit(&self, writer: &mut Writer, id: NodeId, _: &Options) -> Result<()> {
        let Some(node) = writer.node(id).cloned() else { return Ok(()) };
        if node.op.downcast::<Variable>().is_some() {
            settle(writer, id, &node);
            return Ok(());
        }
        let Some(gradient) = node.op.downcast::<Gradient>() else { return Ok(()) };
        let (values, rest) = node.inputs.split_at(gradient.values);
        let (worth, subjects) = rest.split_at(gradient.values.min(rest.len()));
        let subjects: Vec<ValueId> = subjects.iter().flatten().copied().collect();
        let recompute = Recompute::new(writer, &all_before(writer, values));
        let mut reverse =
            Reverse { between: between(writer, values, &subjects), found: HashMap::new(), recompute, missing: Vec::new() };
        for (value, worth) in values.iter().zip(worth) {
            let Some(value) = *value else { continue };
            let worth = match worth {
                Some(worth) => *worth,
                None => one(writer, value)?,
            };
            reverse.found.entry(value).or_default().push(worth);
        }
        for node in ordered(writer, values, &reverse.between)? {
            reverse.step(writer, &node).map_err(|error| error.at(&node.path))?;
        }
        reverse.complete()?;
        let mut results = Vec::with_capacity(subjects.len());
        for subject in &subjects {
            results.push(match reverse.take(writer, *subject)? {
                Some(found) => exchanged_product(found, writer)?.unwrap_or(found),
                None if gradient.complete => {
                    let name = &writer.get(*subject).name;
                    return Err(Error::invalid_model(format!("nothing changes with `{name}`")).at(&node.path));
                }
                None => {
                    let ty = writer.fact(*subject)?.ty.clone();
                    writer.tensor(Tensor::zeros(ty))
                }
            });
        }
        writer.remove(id);
        for (output, result) in node.outputs.iter().zip(results) {
            if let Some(output) = output {
                writer.write(Node::new(node.name(), identity(), vec![Some(result)], vec![Some(*output)]))?;
            }
        }
        Ok(())
    }
}

/// Makes a variable the constant that it is; or what a run gave in its place.
fn settle(writer: &mut Writer, id: NodeId, node: &Node) {
    let constant = node.input(0).and_then(|input| writer.contents(input)).cloned();
    match (constant, node.only_output()) {
        (Some(tensor), Some(output)) => writer.fold(output, tensor),
        _ => writer.replace(id, Node::new(node.name(), identity(), node.inputs.clone(), node.outputs.clone())),
    }
}

/// A number 1 of the type of a scalar value.
fn one(writer: &mut Writer, value: ValueId) -> Result<ValueId> {
    let ty = writer.fact(value)?.ty.clone();
    let ones = vec![1.0; ty.elements()];
    Ok(writer.tensor(Tensor::from_f64(TensorType::new(ty.dtype, ty.shape), &ones)?))
}

/// What depends on the subjects, among them themselves, of all that the values are made from.
fn between(writer: &Writer, values: &[Option<ValueId>], subjects: &[ValueId]) -> HashSet<ValueId> {
    let mut depends: HashSet<ValueId> = subjects.iter().copied().collect();
    for id in all_before(writer, values) {
        let Some(node) = writer.node(id) else { continue };
        if node.inputs.iter().flatten().any(|input| depends.contains(input)) {
            depends.extend(node.outputs.iter().flatten());
        }
    }
    depends
}

/// The nodes that values are made by, in an order in which they can run.
fn all_before(writer: &Writer, values: &[Option<ValueId>]) -> Vec<NodeId> {
    let (mut seen, mut order) = (HashSet::new(), Vec::new());
    // Depth first with an own stack: chains may be deeper than the thread's.
    let mut stack: Vec<(NodeId, bool)> = values.iter().flatten().filter_map(|id| Some((writer.producer(*id)?, false))).collect();
    while let Some((id, done)) = stack.pop() {
        if done {
            order.push(id);
        } else if seen.insert(id) {
            stack.push((id, true));
            let inputs = writer.node(id).into_iter().flat_map(|node| node.inputs.iter().flatten());
            stack.extend(inputs.filter_map(|input| Some((writer.producer(*input)?, false))));
        }
    }
    order
}

/// The nodes between, from the last to the first.
fn ordered(writer: &Writer, values: &[Option<ValueId>], between: &HashSet<ValueId>) -> Result<Vec<Node>> {
    let depends = |node: &&Node| node.inputs.iter().flatten().any(|input| between.contains(input));
    Ok(all_before(writer, values).into_iter().rev().filter_map(|id| writer.node(id)).filter(depends).cloned().collect())
}

/// Gradients on their way back.
struct Reverse {
    between: HashSet<ValueId>,
    /// What was found so far of each value's gradient: terms of a sum.
    found: HashMap<ValueId, Vec<ValueId>>,
    recompute: Recompute,
    /// Nodes without a gradient, and why.
    missing: Vec<(Node, &'static str)>,
}

impl Reverse {
    /// Fails where nodes have no gradient: with all of them, the first of the network first.
    fn complete(&self) -> Result<()> {
        let without = |(node, reason): &(Node, &str)| format!("{} has no gradient: {reason}", node.op.name());
        match &self.missing[..] {
            [] => Ok(()),
            [only] => Err(Error::unsupported(without(only)).at(&only.0.path)),
            several => {
                let list = several.iter().rev().map(|missing| format!("`{}`: {}", missing.0.path, without(missing)));
                let list = list.collect::<Vec<_>>().join("; ");
                Err(Error::unsupported(format!(
                    "{} nodes between the loss and its parameters have no gradient: {list}",
                    several.len()
                )))
            }
        }
    }

    /// The gradient of a value, all of whose readers were looked at.
    fn take(&mut self, writer: &mut Writer, value: ValueId) -> Result<Option<ValueId>> {
        let Some(terms) = self.found.get(&value).cloned() else { return Ok(None) };
        if let Some(joined) = joined(writer, &terms)? {
            self.found.insert(value, vec![joined]);
            return Ok(Some(joined));
        }
        let Some((first, rest)) = terms.split_first() else { return Ok(None) };
        let mut sum = *first;
        for term in rest {
            sum = writer.function("Add", &[sum, *term])?;
        }
        self.found.insert(value, vec![sum]);
        Ok(Some(sum))
    }

    /// Goes back through one node.
    fn step(&mut self, writer: &mut Writer, node: &Node) -> Result<()> {
        let mut upstream = Vec::with_capacity(node.outputs.len());
        for output in &node.outputs {
            let worth = match output {
                Some(output) => self.take(writer, *output)?,
                None => None,
            };
            // What has no elements is worth nothing.
            upstream.push(worth.filter(|id| writer.fact(*id).is_ok_and(|fact| fact.ty.elements() > 0)));
        }
        if upstream.iter().all(Option::is_none) {
            return Ok(());
        }
        let float = |id: &ValueId| writer.fact(*id).is_ok_and(|fact| fact.dtype().is_float());
        let wanted: Vec<bool> =
            node.inputs.iter().map(|input| input.is_some_and(|id| self.between.contains(&id) && float(&id))).collect();
        if !wanted.contains(&true) {
            return Ok(());
        }
        let name = format!("{}.gradient", node.name());
        let again = &mut self.recompute;
        let written = writer.under(&name, |writer| {
            let seen = again.node(node, &upstream, writer)?;
            node.op.gradient(&seen, &upstream, &wanted, writer)
        });
        let inputs = match written? {
            Rule::Inputs(inputs) => inputs,
            Rule::Zero => return Ok(()),
            Rule::Undefined(reason) => {
                self.missing.push((node.clone(), reason));
                return Ok(());
            }
        };
        for ((input, found), wanted) in node.inputs.iter().zip(inputs).zip(wanted) {
            let (Some(input), Some(found), true) = (input, found, wanted) else { continue };
            let (expected, ty) = (&writer.fact(*input)?.ty, &writer.fact(found)?.ty);
            if expected != ty {
                return Err(Error::internal(format!("a gradient is {ty}, what it is of {expected}")));
            }
            self.found.entry(*input).or_default().push(found);
        }
        Ok(())
    }
}

/// The sum of tensors each of which is a part with zeros around it, where the parts lie side by side along one axis and leave no gap: what is
/// read in parts (queries, keys and values of one product, gates) gets its gradient in parts.
fn joined(writer: &mut Writer, terms: &[ValueId]) -> Result<Option<ValueId>> {
    let mut parts: Vec<(i64, ValueId)> = Vec::with_capacity(terms.len());
    let mut along = None;
    for term in terms {
        let Some(part) = padded_part(writer, *term)? else { return Ok(None) };
        if terms.len() < 2 || *along.get_or_insert(part.axis) != part.axis {
            return Ok(None);
        }
        parts.push((part.before, part.value));
    }
    let (Some(axis), Some(whole)) = (along, terms.first()) else { return Ok(None) };
    parts.sort_unstable();
    let mut end = 0;
    for (before, value) in &parts {
        if *before != end {
            return Ok(None);
        }
        end += writer.fact(*value)?.shape()[axis] as i64;
    }
    if end != writer.fact(*whole)?.shape()[axis] as i64 {
        return Ok(None);
    }
    let parts: Vec<ValueId> = parts.into_iter().map(|(_, value)| value).collect();
    writer.apply(concat(axis as i64), &parts).map(Some)
}

/// A tensor with zeros around it along one axis.
struct PaddedPart {
    value: ValueId,
    axis: usize,
    before: i64,
}

fn padded_part(writer: &Writer, value: ValueId) -> Result<Option<PaddedPart>> {
    let Some(maker) = writer.maker(value) else { return Ok(None) };
    let is_plain = maker.op.downcast::<Pad>().is_some_and(|pad| pad.mode == PadMode::Constant);
    let is_zero = maker.input(2).is_none_or(|fill| writer.scalar(fill) == Some(0.0)) && maker.input(3).is_none();
    let (Some(source), Some(pads)) = (maker.input(0), maker.input(1).and_then(|pads| writer.contents(pads))) else {
        return Ok(None);
    };
    if !is_plain || !is_zero {
        return Ok(None);
    }
    let (pads, rank) = (pads.to_i64(), writer.fact(value)?.shape().rank());
    let axes: Vec<usize> = (0..rank).filter(|k| pads[*k] != 0 || pads[rank + k] != 0).collect();
    match axes[..] {
        [axis] if pads.iter().all(|pad| *pad >= 0) => Ok(Some(PaddedPart { value: source, axis, before: pads[axis] })),
        _ => Ok(None),
    }
}
