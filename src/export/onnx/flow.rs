//! Graphs within nodes: the branches of an If, and the bodies of Loop and SequenceMap.

use super::context::Context;
use super::facts;
use super::form::{NodeForm, form};
use super::frame::Frame;
use super::proto::{self, ValueType, value_info};
use super::wire::Message;
use crate::error::Result;
use crate::graph::Flowing;
use crate::graph::{Body, Dim, Fact, Form, Input, OpExt};
use crate::ops::flow::branch::If;
use crate::ops::flow::loops::Loop;
use crate::ops::flow::map::SequenceMap;
use crate::tensor::DType;

impl<'g> Context<'_, 'g> {
    /// Writes a node that has graphs within; `None` for others.
    pub(super) fn control(&mut self) -> Option<Result<()>> {
        let node = self.node;
        if let Some(Flowing(op)) = node.op.downcast::<Flowing<If>>() {
            return Some(self.branch(op));
        }
        if let Some(Flowing(op)) = node.op.downcast::<Flowing<Loop>>() {
            return Some(self.repeat(op));
        }
        node.op.downcast::<Flowing<SequenceMap>>().map(|Flowing(op)| self.each(op))
    }

    fn branch(&mut self, op: &'g If) -> Result<()> {
        let first = self.body(&op.then_branch, &[], None);
        let second = self.body(&op.else_branch, &[], None);
        let inputs = vec![self.input(0)?];
        self.emit_over(&form("If").graph("then_branch", first).graph("else_branch", second), inputs)
    }

    /// ONNX's Loop has no scan inputs: its body picks slices by the number of the turn, of which there are as many as slices.
    fn repeat(&mut self, op: &'g Loop) -> Result<()> {
        let scans: Vec<String> = (0..op.scan_inputs).map(|k| self.optional(2 + op.carried + k)).collect();
        let mut count = self.optional(0);
        if let Some(scan) = scans.first() {
            let slices = self.between(&form("Shape").int("start", 0).int("end", 1), &[scan]);
            let axis = self.ints("axis", &[0]);
            let slices = self.between(&form("Squeeze"), &[&slices, &axis]);
            count = if count.is_empty() { slices } else { self.between(&form("Min"), &[&count, &slices]) };
        }
        let mut given = vec![Some(Fact::new(DType::I64, vec![])), Some(Fact::new(DType::Bool, vec![]))];
        given.extend((0..op.carried).map(|k| self.fact(2 + k).cloned()));
        given.extend((0..op.scan_inputs).map(|k| {
            let fact = self.fact(2 + op.carried + k)?;
            Some(Fact::new(fact.dtype(), fact.shape().get(1..)?.to_vec()))
        }));
        let body = self.body(&op.body, &given, Some(&scans));
        let mut inputs = vec![count, self.optional(1)];
        inputs.extend((0..op.carried).map(|k| self.optional(2 + k)).collect::<Vec<_>>());
        let outputs = self.outputs();
        self.write_whole(&form("Loop").graph("body", body), inputs, outputs)
    }

    fn each(&mut self, op: &'g SequenceMap) -> Result<()> {
        let body = self.body(&op.body, &vec![None; op.own], None);
        let inputs = (0..op.own).map(|k| self.optional(k)).collect();
        let outputs = self.outputs();
        self.write_whole(&form("SequenceMap").graph("body", body), inputs, outputs)
    }

    /// Writes a node whose outputs are all there: a body has as many.
    fn write_whole(&mut self, form: &NodeForm, inputs: Vec<String>, mut outputs: Vec<String>) -> Result<()> {
        for output in &mut outputs {
            if output.is_empty() {
                *output = self.fresh("unread");
            }
        }
        self.write(form, inputs, outputs);
        Ok(())
    }

    /// A graph within this node, given these facts of what the node gives it. What it captures are names of the graph around it; the last of
    /// what it is given are slices of `scans`.
    fn body(&mut self, body: &'g Body, given: &[Option<Fact>], scans: Option<&[String]>) -> Message {
        let (graph, count) = (&*body.graph, body.given());
        let captured: Vec<Option<Fact>> = body.inputs.iter().map(|index| self.fact(*index).cloned()).collect();
        let mut known: Vec<Option<Fact>> = given.to_vec();
        known.resize(count, None);
        known.extend(captured);
        let prefix = self.node.name().to_string();
        let mut names: Vec<String> = Vec::with_capacity(graph.values().len());
        for value in graph.values() {
            names.push(self.file.values.unique(&format!("{prefix}/{}", value.name)));
        }
        for (input, index) in graph.inputs().iter().skip(count).zip(&body.inputs) {
            names[input.value.index()] = self.optional(*index);
        }
        let facts = facts::facts(graph, &known);
        let mut inner = Frame::new(graph, names, facts, false);
        let sliced = scans.map_or(0, <[String]>::len);
        let declared = count.saturating_sub(sliced);
        for (input, fact) in graph.inputs().iter().take(declared).zip(&known) {
            let info = value_info(inner.name(input.value), typed(input, fact.as_ref()).as_ref());
            inner.message.message(proto::graph::INPUT, &info);
        }
        if let (Some(scans), Some(turn)) = (scans, graph.inputs().first()) {
            for (input, scan) in graph.inputs().iter().skip(declared).zip(scans) {
                let output = inner.name(input.value).to_string();
                let (name, turn) = (self.file.nodes.unique(&output), inner.read(turn.value));
                let node = proto::node(&name, &form("Gather").int("axis", 0), &[scan.clone(), turn], &[output]);
                inner.message.message(proto::graph::NODE, &node);
            }
        }
        self.file.nodes(&mut inner);
        self.close(inner)
    }

    /// Ends a graph within a node: each of its outputs is made by a node of its own.
    fn close(&mut self, mut inner: Frame<'g>) -> Message {
        let graph = inner.graph;
        let producers = graph.producers();
        let mut named: Vec<String> = Vec::new();
        for id in graph.outputs() {
            let mut name = inner.read(*id);
            if producers[id.index()].is_none() || named.contains(&name) {
                let own = self.file.values.unique(&name);
                let node = self.file.nodes.unique(&own);
                let node = proto::node(&node, &form("Identity"), &[name], std::slice::from_ref(&own));
                inner.message.message(proto::graph::NODE, &node);
                name = own;
            }
            let ty = inner.ty(*id).map(|ty| ValueType { dims: None, ..ty });
            inner.message.message(proto::graph::OUTPUT, &value_info(&name, ty.as_ref()));
            named.push(name);
        }
        let name = if graph.name().is_empty() { "body" } else { graph.name() };
        inner.message.text(proto::graph::NAME, name);
        inner.close(|id| graph.outputs().contains(&id));
        inner.message
    }
}

/// The type of an input of a body: what is known of what it is given; else what it declares, if that says anything.
fn typed(input: &Input, given: Option<&Fact>) -> Option<ValueType> {
    match given {
        Some(fact) => Some(ValueType { form: Form::Tensor, dtype: fact.dtype(), dims: scalar(fact) }),
        None if input.form != Form::Tensor || input.dims.is_some() => {
            Some(ValueType { form: input.form, dtype: input.dtype, dims: input.dims.clone() })
        }
        None => None,
    }
}

/// The extents of what has none; others may change from turn to turn.
fn scalar(fact: &Fact) -> Option<Vec<Dim>> {
    fact.shape().is_empty().then(Vec::new)
}
