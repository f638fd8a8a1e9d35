//! Elementwise chains become one program, and programs become epilogues of the kernels that make their input.

use super::Options;
use super::common::elementwise;
use crate::error::Result;
use crate::graph::{Edit, Fact, Graph, Node, OpExt, ValueId};
use crate::kernel::{Instruction, Program, ProgramOperand, Term};
use crate::ops::elementwise::Map;
use crate::ops::fused::Fused;
use crate::ops::view::strided_view;
use crate::tensor::{DType, View};
use std::collections::HashSet;
use std::sync::Arc;

/// The most instructions of one program: a compiler's time grows faster than its text.
const MAX_INSTRUCTIONS: usize = 48;

/// Joins what can be joined.
pub(crate) fn fuse(graph: &Graph, options: &Options) -> Result<Graph> {
    let mut work = Work::new(graph, options);
    for index in 0..work.nodes.len() {
        work.moved(index)?;
        work.literals(index)?;
        while work.join(index)? {}
    }
    for index in 0..work.nodes.len() {
        work.epilogue(index)?;
    }
    let Work { nodes, mut edit, .. } = work;
    for node in nodes.into_iter().flatten() {
        edit.push(node);
    }
    edit.finish()
}

/// The nodes being joined; a node that was absorbed is `None`.
struct Work<'a> {
    graph: &'a Graph,
    options: &'a Options,
    edit: Edit,
    nodes: Vec<Option<Node>>,
    producers: Vec<Option<usize>>,
    consumers: Vec<Vec<usize>>,
    outputs: HashSet<ValueId>,
}

/// An operand of a program: the value it reads and how.
type Read = (ValueId, View);

impl<'a> Work<'a> {
    fn new(graph: &'a Graph, options: &'a Options) -> Self {
        Work {
            graph,
            options,
            edit: Edit::without_nodes(graph),
            nodes: graph.nodes().iter().cloned().map(Some).collect(),
            producers: graph.producers(),
            consumers: graph.consumers(),
            outputs: graph.outputs().iter().copied().collect(),
        }
    }

    /// The elementwise program of a node.
    fn program(&self, index: usize) -> Option<&Program> {
        self.nodes[index].as_ref()?.op.downcast::<Map>().map(|map| &map.program)
    }

    fn fact(&self, id: ValueId) -> Result<&'a Fact> {
        self.graph.fact(id)
    }

    /// What an elementwise node reads, each operand as a view over the node's output.
    fn reads(&self, index: usize) -> Result<Option<Vec<Read>>> {
        let (Some(node), Some(program)) = (&self.nodes[index], self.program(index)) else { return Ok(None) };
        let Some(output) = node.outputs.first().copied().flatten() else { return Ok(None) };
        let shape = self.fact(output)?.shape();
        let mut reads = Vec::new();
        for (operand, input) in program.operands.iter().zip(&node.inputs) {
            let Some(input) = input else { return Ok(None) };
            let view = match &operand.view {
                Some(view) => view.broadcast(shape),
                None => View::contiguous(self.fact(*input)?.shape()).broadcast(shape),
            };
            let Some(view) = view else { return Ok(None) };
            reads.push((*input, view));
        }
        Ok(Some(reads))
    }

    /// Replaces an elementwise node's program and inputs.
    fn set(&mut self, index: usize, reads: Vec<Read>, instructions: Vec<Instruction>) {
        let Some(node) = &mut self.nodes[index] else { return };
        for id in node.inputs.iter().flatten() {
            if let Some(at) = self.consumers[id.index()].iter().position(|c| *c == index) {
                self.consumers[id.index()].swap_remove(at);
            }
        }
        for (id, _) in &reads {
            self.consumers[id.index()].push(index);
        }
        node.inputs = reads.iter().map(|(id, _)| Some(*id)).collect();
        let operands = reads.into_iter().map(|(_, view)| ProgramOperand { view: Some(view) }).collect();
        let op = Map { program: Program { operands, instructions } };
        node.op = Arc::new(op);
    }

    /// A copy of what an elementwise node made becomes an elementwise node itself, to be joined with its maker: that
    /// writes its result in the copy's order.
    fn moved(&mut self, index: usize) -> Result<()> {
        let Some(node) = &self.nodes[index] else { return Ok(()) };
        let (Some(Some(input)), [Some(_)]) = (node.inputs.first().copied(), node.outputs.as_slice()) else { return Ok(()) };
        let facts = self.graph.input_facts(node)?;
        let Some(view) = node.op.view(&facts, 0).filter(|view| !view.is_contiguous()) else { return Ok(()) };
        let shrinks = view.shape.elements() <= self.fact(input)?.ty.elements();
        if shrinks && self.sole_producer(input, index).is_some_and(|(producer, _)| self.program(producer).is_some()) {
            let identity = Instruction { function: elementwise("Identity")?, arguments: vec![Term::Operand(0)], cast: None };
            self.set(index, vec![(input, view)], vec![identity]);
        }
        Ok(())
    }

    /// Constants of one element become numbers in the program, which saves their bindings.
    fn literals(&mut self, index: usize) -> Result<()> {
        let (Some(reads), Some(program)) = (self.reads(index)?, self.program(index)) else { return Ok(()) };
        let number = |k: usize| {
            let tensor = self.graph.constant(reads[k].0)?;
            // Integers of that size are exact as f64.
            let exact = |x: &f64| tensor.dtype().is_float() || x.abs() < 9e15;
            if tensor.elements() == 1 { tensor.to_f64().first().copied().filter(exact) } else { None }
        };
        let dtypes = self.dtypes(&reads)?;
        let mut instructions = program.instructions.clone();
        for instruction in &mut instructions {
            // A literal has the dtype of its neighbours, so a neighbour of that dtype must stay.
            let skip = usize::from(instruction.function.signature == crate::kernel::Signature::Select);
            let data = instruction.arguments.get(skip..).unwrap_or_default();
            let stays = |term: &Term| match term {
                Term::Operand(k) => number(*k).is_none(),
                Term::Result(_) | Term::Carried => true,
                Term::Literal(_) => false,
            };
            let alike =
                data.iter().all(|t| if let Term::Operand(k) = t { Some(dtypes[*k]) == data_dtype(data, &dtypes) } else { true });
            let float = data.iter().all(|t| if let Term::Operand(k) = t { dtypes[*k] == DType::F32 } else { false });
            if !(data.iter().any(stays) && alike || float) {
                continue;
            }
            for term in instruction.arguments.iter_mut().skip(skip) {
                if let Term::Operand(k) = *term
                    && let Some(number) = number(k)
                {
                    *term = Term::Literal(number);
                }
            }
        }
        let mut merged = Merged::default();
        let renumbered: Option<Vec<_>> =
            instructions.iter().map(|i| merged.instruction(i, 0, |k| Some(Term::Operand(k)), &reads)).collect();
        // A node must keep an operand that carries its shape.
        let Some(renumbered) = renumbered.filter(|_| !merged.reads.is_empty() && merged.reads.len() < reads.len()) else {
            return Ok(());
        };
        self.set(index, merged.reads, renumbered);
        Ok(())
    }

    fn dtypes(&self, reads: &[Read]) -> Result<Vec<DType>> {
        reads.iter().map(|(id, _)| self.fact(*id).map(Fact::dtype)).collect()
    }

    /// The node that makes a value, past movement that copies nothing, if nobody else uses what lies between.
    fn sole_producer(&self, mut id: ValueId, consumer: usize) -> Option<(usize, ValueId)> {
        let mut user = consumer;
        loop {
            if self.outputs.contains(&id) || self.consumers[id.index()].iter().any(|c| *c != user) {
                return None;
            }
            let index = self.producers[id.index()]?;
            let node = self.nodes[index].as_ref()?;
            let facts = self.graph.input_facts(node).ok()?;
            match node.op.view(&facts, 0) {
                Some(view) if view.is_contiguous() => (id, user) = (node.inputs.first().copied().flatten()?, index),
                Some(_) => return None,
                None => return Some((index, id)),
            }
        }
    }

    /// Joins the program of one operand's maker into a node's; true when it did.
    fn join(&mut self, index: usize) -> Result<bool> {
        let Some(reads) = self.reads(index)? else { return Ok(false) };
        for k in 0..reads.len() {
            let (value, view) = &reads[k];
            let Some((producer, source)) = self.sole_producer(*value, index) else { continue };
            let (Some(inner), Some(inner_reads)) = (self.program(producer), self.reads(producer)?) else { continue };
            // Computing more often than storing once would only pay for next to nothing.
            let made = self.fact(source)?.ty.elements();
            if view.shape.elements() > made && inner.instructions.len() > 1 {
                continue;
            }
            if reads.iter().any(|(other, seen)| other == value && seen != view) {
                continue;
            }
            let Some(outer) = self.program(index) else { continue };
            if inner.instructions.len() + outer.instructions.len() > MAX_INSTRUCTIONS {
                continue;
            }
            let composed: Option<Vec<Read>> = inner_reads.iter().map(|(id, own)| Some((*id, view.of(own)?))).collect();
            let Some(composed) = composed else { continue };
            let mut merged = Merged::default();
            let mut instructions = Vec::new();
            let carried = inner.instructions.len();
            for instruction in &inner.instructions {
                instructions.extend(merged.instruction(instruction, 0, |j| Some(Term::Operand(j)), &composed));
            }
            for instruction in &outer.instructions {
                let term = |j: usize| Some(if reads[j].0 == *value { Term::Result(carried - 1) } else { Term::Operand(j) });
                instructions.extend(merged.instruction(instruction, carried, term, &reads));
            }
            if merged.reads.len() + 1 > self.options.max_storage_buffers || merged.reads.is_empty() {
                continue;
            }
            self.set(index, merged.reads, instructions);
            self.drop(producer);
            return Ok(true);
        }
        Ok(false)
    }

    /// Makes an elementwise node the epilogue of the kernel that makes one of its operands.
    fn epilogue(&mut self, index: usize) -> Result<()> {
        let Some(reads) = self.reads(index)? else { return Ok(()) };
        let candidates = (0..reads.len()).filter_map(|k| {
            let (producer, source) = self.sole_producer(reads[k].0, index)?;
            Some((producer, source, k))
        });
        // The latest maker: what the others make is there by then.
        let Some((producer, source, k)) = candidates.filter(|(p, source, k)| self.carries(*p, *source, &reads[*k])).max() else {
            return Ok(());
        };
        let (Some(base), Some(outer), Some(node)) = (self.nodes[producer].clone(), self.program(index), self.nodes[index].clone())
        else {
            return Ok(());
        };
        let (fact, Some(output)) = (self.fact(source)?, node.outputs.first().copied().flatten()) else { return Ok(()) };
        let dtypes = outer.dtypes(&self.dtypes(&reads)?, None)?;
        let value = reads[k].0;
        let others: Vec<&Read> = reads.iter().filter(|(id, _)| *id != value).collect();
        let hosted = others.iter().any(|(id, _)| self.fact(*id).is_ok_and(|f| f.scalar().is_none()));
        if dtypes.last() != Some(&fact.dtype()) || hosted || reads.iter().any(|(id, view)| *id == value && view != &reads[k].1) {
            return Ok(());
        }
        let reshaped: Option<Vec<Read>> = reads.iter().map(|(id, view)| Some((*id, view.reshape(fact.shape())?))).collect();
        let Some(reshaped) = reshaped else { return Ok(()) };
        let mut merged = Merged::default();
        let mut instructions = Vec::new();
        for instruction in &outer.instructions {
            let term = |j: usize| Some(if reads[j].0 == value { Term::Carried } else { Term::Operand(j) });
            instructions.extend(merged.instruction(instruction, 0, term, &reshaped));
        }
        // One binding stays free for packed weights or scratch.
        if base.inputs.len() + merged.reads.len() + 2 > self.options.max_storage_buffers {
            return Ok(());
        }
        let operands = merged.reads.iter().map(|(_, view)| ProgramOperand { view: Some(view.clone()) }).collect();
        let arity = base.inputs.len();
        let op = Fused { base: base.op.clone(), program: Program { operands, instructions }, arity };
        let path = format!("{}+{}", base.path, node.path);
        let mut inputs = base.inputs.clone();
        inputs.extend(merged.reads.iter().map(|(id, _)| Some(*id)));
        let same = self.fact(output)?.ty == fact.ty;
        let result = if same {
            output
        } else {
            self.edit.value(&format!("{}.fused", self.graph.value(output).name), Some(fact.clone().bounded(None)))
        };
        let mut outputs = base.outputs.clone();
        outputs[0] = Some(result);
        self.drop(index);
        self.nodes[producer] = Some(Node { path, op: Arc::new(op), inputs, outputs });
        for (id, _) in &merged.reads {
            self.consumers[id.index()].push(producer);
        }
        if same {
            self.producers[output.index()] = Some(producer);
        } else {
            let view = View::contiguous(self.fact(output)?.shape());
            self.nodes[index] = Some(Node {
                path: format!("View:{}", node.path),
                op: strided_view(view),
                inputs: vec![Some(result)],
                outputs: vec![Some(output)],
            });
        }
        Ok(())
    }

    /// True when a node's kernels can carry on with an elementwise node that reads its output 0 in order.
    fn carries(&self, producer: usize, source: ValueId, read: &Read) -> bool {
        let Some(node) = &self.nodes[producer] else { return false };
        let Ok(fact) = self.fact(source) else { return false };
        let float = matches!(fact.dtype(), DType::F32 | DType::F16 | DType::BF16);
        let whole = read.1.is_contiguous() && read.1.shape.elements() == fact.ty.elements();
        node.op.takes_epilogue() && node.outputs.first() == Some(&Some(source)) && float && whole
    }

    /// Forgets a node.
    fn drop(&mut self, index: usize) {
        if let Some(node) = self.nodes[index].take() {
            for id in node.inputs.iter().flatten() {
                self.consumers[id.index()].retain(|c| *c != index);
            }
        }
    }
}

/// The dtype of the first operand among terms.
fn data_dtype(terms: &[Term], dtypes: &[DType]) -> Option<DType> {
    terms.iter().find_map(|t| if let Term::Operand(k) = t { Some(dtypes[*k]) } else { None })
}

/// Operands of a program under construction, each read once.
#[derive(Default)]
struct Merged {
    reads: Vec<Read>,
}

impl Merged {
    /// An instruction with results shifted by `results` and operands renumbered; `term` says what each operand became.
    fn instruction(
        &mut self,
        instruction: &Instruction,
        results: usize,
        term: impl Fn(usize) -> Option<Term>,
        reads: &[Read],
    ) -> Option<Instruction> {
        let mut arguments = Vec::with_capacity(instruction.arguments.len());
        for argument in &instruction.arguments {
            arguments.push(match *argument {
                Term::Result(i) => Term::Result(i + results),
                Term::Operand(j) => match term(j)? {
                    Term::Operand(j) => Term::Operand(self.read(reads.get(j)?)),
                    other => other,
                },
                other => other,
            });
        }
        Some(Instruction { function: instruction.function, arguments, cast: instruction.cast })
    }

    fn read(&mut self, read: &Read) -> usize {
        self.reads.iter().position(|r| r == read).unwrap_or_else(|| {
            self.reads.push(read.clone());
            self.reads.len() - 1
        })
    }
}
