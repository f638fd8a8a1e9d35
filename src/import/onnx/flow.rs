//! Graphs within nodes: the branches of an If, and the bodies of Loop and Scan.

use super::attributes::Attributes;
use super::dtype::{Declared, declared};
use super::importer::Importer;
use super::order;
use super::proto::{GraphProto, NodeProto};
use super::scope::Scope;
use crate::error::{Error, Result};
use crate::graph::{Body, Form, Graph, Node, Op, ValueId};
use crate::ops::flow::{branch, loops, map};
use crate::ops::reshape::identity;
use crate::ops::{slice, transpose};
use crate::tensor::{DType, Tensor};
use std::sync::Arc;

/// The operators of the default domain that this file imports.
pub(super) const OPERATORS: &[&str] = &["If", "Loop", "Scan", "SequenceMap"];

/// The most axes that the attributes of a Scan may name.
const MAX_AXES: usize = 4096;

/// What Scan's attributes say of one scan input or output.
#[derive(Clone, Copy, Debug)]
struct Along {
    axis: i64,
    backwards: bool,
}

/// A graph within a node as the body of an operator whose inputs are `arguments`, to which what it captures is added.
fn body(graph: Graph, captured: Vec<ValueId>, arguments: &mut Vec<Option<ValueId>>) -> Body {
    let inputs = captured.into_iter().map(|value| match arguments.iter().position(|a| *a == Some(value)) {
        Some(index) => index,
        None => {
            arguments.push(Some(value));
            arguments.len().saturating_sub(1)
        }
    });
    Body { inputs: inputs.collect(), graph: Arc::new(graph) }
}

impl<'m> Importer<'m> {
    /// Imports an operator of this file.
    pub(super) fn control(
        &mut self,
        node: &'m NodeProto,
        inputs: &[Option<ValueId>],
        attributes: &Attributes<'m>,
    ) -> Result<Vec<Option<ValueId>>> {
        match node.op_type.as_str() {
            "If" => self.branch(node, inputs, attributes),
            "Loop" => self.repeat(node, inputs, attributes),
            "SequenceMap" => self.map(node, inputs, attributes),
            _ => self.scan(node, inputs, attributes),
        }
    }

    /// Imports an If: one of its branches in its place where the condition is a constant, else both, to be chosen from when it is known.
    pub(super) fn branch(
        &mut self,
        node: &'m NodeProto,
        inputs: &[Option<ValueId>],
        attributes: &Attributes<'m>,
    ) -> Result<Vec<Option<ValueId>>> {
        let condition =
            inputs.first().copied().flatten().ok_or_else(|| Error::invalid_model("If needs input 0, which is missing"))?;
        let known = self.current.known(condition).and_then(|c| c.as_slice::<bool>().ok().and_then(|s| s.first().copied()));
        if let Some(known) = known {
            return self.taken(node, if known { "then_branch" } else { "else_branch" }, attributes);
        }
        let mut arguments = vec![Some(condition)];
        let mut one = |name: &str| -> Result<Body> {
            let (graph, captured) = self.apart(name, |importer| importer.taken(node, name, attributes))?;
            Ok(body(graph, captured, &mut arguments))
        };
        let op = branch::branch(one("then_branch")?, one("else_branch")?);
        let outputs = self.results(node, node.output.len())?;
        self.flow(node, op, arguments, outputs.clone())?;
        Ok(outputs)
    }

    /// Imports one branch of an If into the graph that is being built. Gives the values of its outputs.
    fn taken(&mut self, node: &'m NodeProto, branch: &str, attributes: &Attributes<'m>) -> Result<Vec<Option<ValueId>>> {
        let graph = attributes
            .graph(branch)?
            .ok_or_else(|| Error::invalid_model(format!("If needs attribute `{branch}`, which is missing")))?;
        if node.output.len() != graph.output.len() {
            return Err(Error::invalid_model(format!(
                "If has {} outputs, but its {branch} makes {}",
                node.output.len(),
                graph.output.len()
            )));
        }
        self.within(node, graph, |_| Ok(()))
    }

    /// Imports a Loop.
    fn repeat(
        &mut self,
        node: &'m NodeProto,
        inputs: &[Option<ValueId>],
        attributes: &Attributes<'m>,
    ) -> Result<Vec<Option<ValueId>>> {
        let graph = body_of(node, attributes)?;
        let carried = inputs.len().saturating_sub(2);
        let rows = rows(node, graph, carried.saturating_add(2), carried.saturating_add(1))?;
        let mut arguments = inputs.to_vec();
        arguments.resize(carried.saturating_add(2), None);
        let (graph, captured) = self.apart("body", |importer| {
            importer.within(node, graph, |importer| {
                let given = std::iter::repeat_n(&None, 2).chain(arguments.iter().skip(2));
                importer.body_inputs(graph, given)
            })
        })?;
        let body = body(graph, captured, &mut arguments);
        let outputs = self.results(node, carried.saturating_add(rows))?;
        self.flow(node, loops::repeat(body, carried, 0), arguments, outputs.clone())?;
        Ok(outputs)
    }

    /// Imports a Scan: a Loop over slices along axis 0, with what stands along another axis, or is read backwards, moved before and
    /// behind it.
    fn scan(
        &mut self,
        node: &'m NodeProto,
        inputs: &[Option<ValueId>],
        attributes: &Attributes<'m>,
    ) -> Result<Vec<Option<ValueId>>> {
        let graph = body_of(node, attributes)?;
        let scans = attributes.int("num_scan_inputs")?.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        let scans = scans.ok_or_else(|| Error::invalid_model("Scan needs attribute `num_scan_inputs`, one or more"))?;
        let carried = inputs.len().checked_sub(scans).ok_or_else(|| {
            Error::invalid_model(format!("Scan has {} inputs, fewer than the {scans} of `num_scan_inputs`", inputs.len()))
        })?;
        let rows = rows(node, graph, inputs.len(), carried)?;
        let along_inputs = along(attributes, "scan_input", scans)?;
        let along_outputs = along(attributes, "scan_output", rows)?;
        // They take their names before others do that are named after the node.
        let made = self.results(node, carried.saturating_add(rows))?;
        let mut arguments = vec![None, None];
        arguments.extend(inputs.iter().take(carried));
        for (input, along) in inputs.iter().skip(carried).zip(along_inputs) {
            let input = input.ok_or_else(|| Error::invalid_model("a scan input is missing"))?;
            arguments.push(Some(self.moved(node, input, along, true)?));
        }
        let (graph, captured) = self.apart("body", |importer| {
            importer.current.writer.declare("turn", DType::I64, Some(vec![]));
            let condition = importer.current.writer.declare("condition", DType::Bool, Some(vec![]));
            let outputs = importer.within(node, graph, |importer| importer.body_inputs(graph, inputs.iter()))?;
            Ok([vec![Some(condition)], outputs].concat())
        })?;
        let body = body(graph, captured, &mut arguments);
        let mut results = made.clone();
        let mut moves = Vec::new();
        for (result, along) in results.iter_mut().skip(carried).zip(along_outputs) {
            if let (Some(made), true) = (*result, along.axis != 0 || along.backwards) {
                let rows = self.current.writer.value("rows", None);
                moves.push((rows, made, along));
                *result = Some(rows);
            }
        }
        self.flow(node, loops::repeat(body, carried, scans), arguments, results)?;
        for (rows, made, along) in moves {
            let moved = self.moved(node, rows, along, false)?;
            let name = self.path(node)?;
            self.current.writer.push(Node::new(&name, identity(), vec![Some(moved)], vec![Some(made)]));
        }
        Ok(made)
    }

    /// Imports a SequenceMap.
    fn map(
        &mut self,
        node: &'m NodeProto,
        inputs: &[Option<ValueId>],
        attributes: &Attributes<'m>,
    ) -> Result<Vec<Option<ValueId>>> {
        let graph = body_of(node, attributes)?;
        let made = rows(node, graph, inputs.len(), 0)?;
        let mut arguments = inputs.to_vec();
        let (graph, captured) = self.apart("body", |importer| {
            // What is known of a sequence is known of its tensors.
            importer.within(node, graph, |importer| importer.body_inputs(graph, inputs.iter()))
        })?;
        let body = body(graph, captured, &mut arguments);
        let outputs = self.results(node, made)?;
        self.flow(node, map::sequence_map(body, inputs.len()), arguments, outputs.clone())?;
        Ok(outputs)
    }

    /// A scan input with its slices along axis 0 from the first turn on, or a scan output from rows that stand so.
    fn moved(&mut self, node: &'m NodeProto, value: ValueId, along: Along, is_input: bool) -> Result<ValueId> {
        let name = self.path(node)?;
        let mut value = value;
        let to_front = |writer: &mut crate::graph::Writer, value| match (along.axis, is_input) {
            (0, _) => value,
            (axis, true) => writer.add(&name, transpose::move_axis(axis, 0), &[Some(value)]),
            (axis, false) => writer.add(&name, transpose::move_axis(0, axis), &[Some(value)]),
        };
        if is_input {
            value = to_front(&mut self.current.writer, value);
        }
        if along.backwards {
            let writer = &mut self.current.writer;
            let numbers = [("starts", -1), ("ends", i64::MIN), ("axes", 0), ("steps", -1)];
            let numbers = numbers.map(|(what, number)| Some(writer.constant(&format!("{name}.{what}"), Tensor::vector(&[number]))));
            let inputs = [vec![Some(value)], numbers.to_vec()].concat();
            value = writer.add(&name, slice::slice(), &inputs);
        }
        Ok(if is_input { value } else { to_front(&mut self.current.writer, value) })
    }

    /// Works in the scope of a graph within a node, then imports its nodes. Gives the values of its outputs.
    fn within(
        &mut self,
        node: &'m NodeProto,
        graph: &'m GraphProto,
        declare: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<Vec<Option<ValueId>>> {
        let outer = self.scope()?.attributes.clone();
        let scope = Scope { attributes: outer, prefix: self.inner_prefix(node)?, nested: true, ..Scope::default() };
        self.inside(scope, |importer| {
            declare(importer)?;
            importer.enter(graph)?;
            importer.nodes(&graph.node)?;
            graph.output.iter().map(|output| importer.resolve(&output.name)).collect()
        })
    }

    /// Declares the inputs of a graph within a node. What the file does not say of one is known of the value that it is given, if any.
    fn body_inputs<'v>(&mut self, graph: &'m GraphProto, given: impl Iterator<Item = &'v Option<ValueId>>) -> Result<()> {
        let depth = self.depth().saturating_sub(1);
        for (info, given) in graph.input.iter().zip(given) {
            let around = given.and_then(|value| self.frame(depth).types.get(&value).cloned());
            let declared: Option<Declared> = declared(info).ok();
            let dtype = declared.as_ref().or(around.as_ref()).map_or(DType::F32, |declared| declared.dtype);
            let form = declared.as_ref().or(around.as_ref()).map_or(Form::Tensor, |declared| declared.form);
            let dims = declared.as_ref().and_then(|declared| declared.dims.clone());
            let value = self.current.writer.declare_form(&info.name, form, dtype, dims);
            if let Some(declared) = declared {
                self.current.types.insert(value, declared);
            }
            self.scope()?.bind(&info.name, Some(value))?;
        }
        Ok(())
    }

    /// The name of a node with the path of the graphs around it.
    fn path(&mut self, node: &'m NodeProto) -> Result<String> {
        Ok(format!("{}{}", self.scope()?.prefix, order::name(node)))
    }

    /// Values for the first `count` outputs of a node.
    fn results(&mut self, node: &'m NodeProto, count: usize) -> Result<Vec<Option<ValueId>>> {
        let prefix = self.scope()?.prefix.clone();
        let value = |name: &String| (!name.is_empty()).then(|| self.current.writer.value(&format!("{prefix}{name}"), None));
        let mut outputs: Vec<Option<ValueId>> = node.output.iter().map(value).collect();
        outputs.truncate(count);
        Ok(outputs)
    }

    /// Adds a node of an operator on whole values.
    fn flow(
        &mut self,
        node: &'m NodeProto,
        op: Arc<dyn Op>,
        inputs: Vec<Option<ValueId>>,
        outputs: Vec<Option<ValueId>>,
    ) -> Result<()> {
        let name = self.path(node)?;
        self.current.writer.push(Node::new(&name, op, inputs, outputs));
        Ok(())
    }
}

/// The body of a Loop or a Scan.
fn body_of<'m>(node: &NodeProto, attributes: &Attributes<'m>) -> Result<&'m GraphProto> {
    let body = attributes.graph("body")?;
    body.ok_or_else(|| Error::invalid_model(format!("{} needs attribute `body`, which is missing", node.op_type)))
}

/// How many scan outputs a body makes that takes `inputs` and makes `fixed` other outputs, after a check.
fn rows(node: &NodeProto, body: &GraphProto, inputs: usize, fixed: usize) -> Result<usize> {
    let (name, found) = (&node.op_type, (body.input.len(), body.output.len()));
    if found.0 != inputs || found.1 < fixed {
        return Err(Error::invalid_model(format!(
            "the body of {name} takes {} inputs and makes {} outputs: expected {inputs} inputs, and {fixed} outputs or more",
            found.0, found.1
        )));
    }
    let rows = found.1.saturating_sub(fixed);
    let made = if name == "Loop" { fixed.saturating_sub(1) } else { fixed }.saturating_add(rows);
    if node.output.len() > made {
        return Err(Error::invalid_model(format!("{name} has {} outputs, but its body makes {made}", node.output.len())));
    }
    Ok(rows)
}

/// Axes and directions of scan inputs or outputs.
fn along(attributes: &Attributes<'_>, what: &str, count: usize) -> Result<Vec<Along>> {
    let list = |name: String| -> Result<Option<Vec<i64>>> {
        let list = attributes.ints(&name)?;
        match list {
            Some(list) if list.len() != count || count > MAX_AXES => {
                Err(Error::invalid_model(format!("attribute `{name}` has {} items: expected {count}", list.len())))
            }
            list => Ok(list.map(<[i64]>::to_vec)),
        }
    };
    let (axes, directions) = (list(format!("{what}_axes"))?, list(format!("{what}_directions"))?);
    let item = |list: &Option<Vec<i64>>, k: usize| list.as_ref().and_then(|list| list.get(k)).copied().unwrap_or(0);
    Ok((0..count).map(|k| Along { axis: item(&axes, k), backwards: item(&directions, k) != 0 }).collect())
}
