//! Gradients by reverse mode: the nodes between values and what their gradients are with respect to, from the last to the first, each with
//! the gradients of its inputs from those of its outputs (Linnainmaa 1970; Griewank and Walther, "Evaluating Derivatives", chapter 3).

use super::{Options, Pass};
use crate::error::{Error, Result};
use crate::graph::{Gradient as Rule, Node, NodeId, OpExt, ValueId, Writer};
use crate::ops::compose::Compose;
use crate::ops::gradient::Gradient;
use crate::ops::reshape::identity;
use crate::tensor::{Tensor, TensorType};
use std::collections::{HashMap, HashSet};

/// Writes what each [`Gradient`] is.
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
        let Some(gradient) = node.op.downcast::<Gradient>() else { return Ok(()) };
        let (values, rest) = node.inputs.split_at(gradient.values);
        let (worth, subjects) = rest.split_at(gradient.values.min(rest.len()));
        let subjects: Vec<ValueId> = subjects.iter().flatten().copied().collect();
        let there: HashSet<NodeId> = writer.nodes().into_iter().collect();
        let mut reverse = Reverse { between: between(writer, values, &subjects), found: HashMap::new() };
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
        let mut results = Vec::with_capacity(subjects.len());
        for subject in &subjects {
            results.push(match reverse.take(writer, *subject)? {
                Some(found) => found,
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
        remove_unread(writer, &there);
        Ok(())
    }
}

/// Takes away what rules wrote beside these nodes and nobody reads.
fn remove_unread(writer: &mut Writer, there: &HashSet<NodeId>) {
    for id in writer.nodes().into_iter().rev().filter(|id| !there.contains(id)) {
        let is_read = |value: &ValueId| writer.is_output(*value) || writer.consumers(*value).next().is_some();
        if writer.node(id).is_some_and(|node| !node.outputs.iter().flatten().any(is_read)) {
            writer.remove(id);
        }
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
}

impl Reverse {
    /// The gradient of a value, all of whose readers were looked at.
    fn take(&mut self, writer: &mut Writer, value: ValueId) -> Result<Option<ValueId>> {
        let Some(terms) = self.found.get(&value).cloned() else { return Ok(None) };
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
            upstream.push(match output {
                Some(output) => self.take(writer, *output)?,
                None => None,
            });
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
        let inputs = match writer.under(&name, |writer| node.op.gradient(node, &upstream, &wanted, writer))? {
            Rule::Inputs(inputs) => inputs,
            Rule::Zero => return Ok(()),
            Rule::Undefined(reason) => {
                return Err(Error::unsupported(format!("{} has no gradient: {reason}", node.op.name())));
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
