//! Elementwise chains become one program, and programs become epilogues of the kernels that make their input.

use super::common::read_as;
use super::{Options, Pass};
use crate::error::{Error, Result};
use crate::graph::{Fact, Node, NodeId, OpExt, ValueId, Writer};
use crate::kernel::{Instruction, Program, ProgramOperand, ScalarFunction, Signature, Term};
use crate::ops::elementwise::{Map, function};
use crate::ops::fused::Fused;
use crate::ops::view::strided_view;
use crate::tensor::{DType, View};
use std::sync::Arc;

/// The most instructions of one program: a compiler's time grows faster than its text.
const MAX_INSTRUCTIONS: usize = 48;

/// Joins an elementwise node with those that make its operands.
#[derive(Debug)]
pub(crate) struct Join;

/// Makes an elementwise node the epilogue of the kernel that makes one of its operands.
#[derive(Debug)]
pub(crate) struct Epilogues;

impl Pass for Join {
    fn name(&self) -> &str {
        "join"
    }

    fn visit(&self, writer: &mut Writer, id: NodeId, options: &Options) -> Result<()> {
        program_of_movement(writer, id)?;
        literals(writer, id)?;
        while join(writer, id, options)? {}
        Ok(())
    }
}

impl Pass for Epilogues {
    fn name(&self) -> &str {
        "epilogues"
    }

    fn visit(&self, writer: &mut Writer, id: NodeId, options: &Options) -> Result<()> {
        epilogue(writer, id, options)
    }
}

/// An operand of a program: the value it reads and how.
type Read = (ValueId, View);

/// An elementwise node: its program, what that reads (each operand as a view over the output), and the output.
struct Elementwise {
    program: Program,
    reads: Vec<Read>,
    output: ValueId,
}

impl Elementwise {
    fn of(writer: &Writer, id: NodeId) -> Result<Option<Self>> {
        let Some(node) = writer.node(id) else { return Ok(None) };
        let (Some(map), Some(output)) = (node.op.downcast::<Map>(), node.only_output()) else { return Ok(None) };
        let shape = writer.fact(output)?.shape();
        let mut reads = Vec::new();
        for (operand, input) in map.program.operands.iter().zip(&node.inputs) {
            let Some(input) = input else { return Ok(None) };
            let Some(view) = read_as(writer, *input, &operand.view)?.broadcast(shape) else { return Ok(None) };
            reads.push((*input, view));
        }
        Ok(Some(Elementwise { program: map.program.clone(), reads, output }))
    }

    fn dtypes(&self, writer: &Writer) -> Result<Vec<DType>> {
        self.reads.iter().map(|(id, _)| writer.fact(*id).map(Fact::dtype)).collect()
    }
}

/// Makes a node an elementwise one of such a program.
fn set_program(writer: &mut Writer, id: NodeId, reads: Vec<Read>, instructions: Vec<Instruction>) {
    let Some(node) = writer.node(id) else { return };
    let inputs = reads.iter().map(|(id, _)| Some(*id)).collect();
    let operands = reads.into_iter().map(|(_, view)| ProgramOperand { view: Some(view) }).collect();
    let op = Arc::new(Map { program: Program { operands, instructions } });
    let node = Node { path: node.path.clone(), op, inputs, outputs: node.outputs.clone() };
    writer.replace(id, node);
}

fn identity() -> Result<&'static ScalarFunction> {
    function("Identity").ok_or_else(|| Error::internal("no scalar function is the identity"))
}

/// A copy of what an elementwise node made becomes an elementwise node itself, to be joined with its maker: that
/// writes its result in the copy's order.
fn program_of_movement(writer: &mut Writer, id: NodeId) -> Result<()> {
    let Some(node) = writer.node(id) else { return Ok(()) };
    let (Some(read), Some(_)) = (node.input(0), node.only_output()) else { return Ok(()) };
    let Some((_, view)) = writer.view(node, 0).filter(|(_, view)| !view.is_contiguous()) else { return Ok(()) };
    let shrinks = view.shape.elements() <= writer.fact(read)?.ty.elements();
    let Some((producer, _)) = sole_producer(writer, read, id).filter(|_| shrinks) else { return Ok(()) };
    if Elementwise::of(writer, producer)?.is_some() {
        let identity = Instruction { function: identity()?, arguments: vec![Term::Operand(0)], cast: None };
        set_program(writer, id, vec![(read, view)], vec![identity]);
    }
    Ok(())
}

/// Constants of one element become numbers in the program, which saves their bindings.
fn literals(writer: &mut Writer, id: NodeId) -> Result<()> {
    let Some(own) = Elementwise::of(writer, id)? else { return Ok(()) };
    let dtypes = own.dtypes(writer)?;
    let Elementwise { program, reads, .. } = own;
    let number = |k: usize| {
        let tensor = writer.contents(reads[k].0)?;
        // Integers of that size are exact as f64.
        let exact = |x: &f64| tensor.dtype().is_float() || x.abs() < 9e15;
        if tensor.elements() == 1 { tensor.to_f64().first().copied().filter(exact) } else { None }
    };
    let mut instructions = program.instructions;
    for instruction in &mut instructions {
        // A literal has the dtype of its neighbours, so a neighbour of that dtype must stay.
        let skip = usize::from(instruction.function.signature == Signature::Select);
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
    let mut merged = Operands::default();
    let renumbered: Option<Vec<_>> =
        instructions.iter().map(|i| merged.instruction(i, 0, |k| Some(Term::Operand(k)), &reads)).collect();
    // A node must keep an operand that carries its shape.
    if let Some(renumbered) = renumbered.filter(|_| !merged.reads.is_empty() && merged.reads.len() < reads.len()) {
        set_program(writer, id, merged.reads, renumbered);
    }
    Ok(())
}

/// The node that makes a value, past movement that copies nothing, if nobody else uses what lies between.
fn sole_producer(writer: &Writer, mut value: ValueId, consumer: NodeId) -> Option<(NodeId, ValueId)> {
    let mut user = consumer;
    loop {
        if writer.only_consumer(value) != Some(user) {
            return None;
        }
        let producer = writer.producer(value)?;
        // Its other outputs would lose what they are made of.
        let alone = writer.node(producer)?.outputs.iter().flatten().count() == 1;
        match writer.moved(value) {
            Some((input, view)) if view.is_contiguous() && alone => (value, user) = (input, producer),
            Some(_) => return None,
            None => return Some((producer, value)),
        }
    }
}

/// Joins the program of one operand's maker into a node's; true when it did.
fn join(writer: &mut Writer, id: NodeId, options: &Options) -> Result<bool> {
    let Some(Elementwise { program: outer, reads, .. }) = Elementwise::of(writer, id)? else { return Ok(false) };
    for (value, view) in &reads {
        let Some((producer, source)) = sole_producer(writer, *value, id) else { continue };
        let Some(Elementwise { program: inner, reads: inner_reads, .. }) = Elementwise::of(writer, producer)? else { continue };
        // Computing more often than storing once would only pay for next to nothing.
        let made = writer.fact(source)?.ty.elements();
        if view.shape.elements() > made && inner.instructions.len() > 1 {
            continue;
        }
        if reads.iter().any(|(other, seen)| other == value && seen != view) {
            continue;
        }
        if inner.instructions.len() + outer.instructions.len() > MAX_INSTRUCTIONS {
            continue;
        }
        let composed: Option<Vec<Read>> = inner_reads.iter().map(|(id, own)| Some((*id, view.of(own)?))).collect();
        let Some(composed) = composed else { continue };
        let mut merged = Operands::default();
        let carried = inner.instructions.len();
        let first = inner.instructions.iter().map(|i| merged.instruction(i, 0, |j| Some(Term::Operand(j)), &composed));
        let Some(mut instructions) = first.collect::<Option<Vec<_>>>() else { continue };
        let term = |j: usize| Some(if reads[j].0 == *value { Term::Result(carried - 1) } else { Term::Operand(j) });
        let second = outer.instructions.iter().map(|i| merged.instruction(i, carried, term, &reads));
        let Some(second) = second.collect::<Option<Vec<_>>>() else { continue };
        instructions.extend(second);
        if merged.reads.len() + 1 > options.max_storage_buffers || merged.reads.is_empty() {
            continue;
        }
        // Its maker goes with its last reader.
        set_program(writer, id, merged.reads, instructions);
        return Ok(true);
    }
    Ok(false)
}

/// Makes an elementwise node the epilogue of the kernel that makes one of its operands.
fn epilogue(writer: &mut Writer, id: NodeId, options: &Options) -> Result<()> {
    let Some(own) = Elementwise::of(writer, id)? else { return Ok(()) };
    let Elementwise { program: outer, reads, output } = &own;
    let makers =
        reads.iter().filter_map(|read| sole_producer(writer, read.0, id).map(|(producer, source)| (producer, source, read)));
    // The latest maker: what the others make is there by then.
    let latest =
        makers.filter(|(producer, source, read)| carries(writer, *producer, *source, read)).max_by_key(|(producer, ..)| *producer);
    let Some((producer, source, (value, view))) = latest else { return Ok(()) };
    let (Some(base), Some(node)) = (writer.node(producer).cloned(), writer.node(id).cloned()) else { return Ok(()) };
    let fact = writer.fact(source)?.clone();
    let dtypes = outer.dtypes(&own.dtypes(writer)?, None)?;
    let others: Vec<&Read> = reads.iter().filter(|(id, _)| id != value).collect();
    let hosted = others.iter().any(|(id, _)| writer.fact(*id).is_ok_and(|f| f.scalar().is_none()));
    if dtypes.last() != Some(&fact.dtype()) || hosted || reads.iter().any(|(id, seen)| id == value && seen != view) {
        return Ok(());
    }
    // The base cannot wait for what is made of another of its outputs.
    if base.outputs.iter().flatten().count() > 1 && others.iter().any(|(id, _)| writer.depends_on(*id, producer)) {
        return Ok(());
    }
    let reshaped: Option<Vec<Read>> = reads.iter().map(|(id, view)| Some((*id, view.reshape(fact.shape())?))).collect();
    let Some(reshaped) = reshaped else { return Ok(()) };
    let mut merged = Operands::default();
    let term = |j: usize| Some(if reads[j].0 == *value { Term::Carried } else { Term::Operand(j) });
    let instructions = outer.instructions.iter().map(|i| merged.instruction(i, 0, term, &reshaped));
    let Some(instructions) = instructions.collect::<Option<Vec<_>>>() else { return Ok(()) };
    // One binding stays free for packed weights or scratch.
    if base.inputs.len() + merged.reads.len() + 2 > options.max_storage_buffers {
        return Ok(());
    }
    let operands = merged.reads.iter().map(|(_, view)| ProgramOperand { view: Some(view.clone()) }).collect();
    let arity = base.inputs.len();
    let op = Arc::new(Fused { base: base.op.clone(), program: Program { operands, instructions }, arity });
    let path = format!("{}+{}", base.path, node.path);
    let mut inputs = base.inputs.clone();
    inputs.extend(merged.reads.iter().map(|(id, _)| Some(*id)));
    let mut outputs = base.outputs.clone();
    if writer.fact(*output)?.ty == fact.ty {
        outputs[0] = Some(*output);
        writer.replace(producer, Node { path, op, inputs, outputs });
        writer.remove(id);
        return Ok(());
    }
    let view = strided_view(View::contiguous(writer.fact(*output)?.shape()));
    let result = writer.value(&format!("{}.fused", writer.get(*output).name), Some(fact.bounded(None)));
    outputs[0] = Some(result);
    writer.replace(producer, Node { path, op, inputs, outputs });
    let view = Node { path: format!("View:{}", node.path), op: view, inputs: vec![Some(result)], outputs: vec![Some(*output)] };
    writer.replace(id, view);
    Ok(())
}

/// True when a node's kernels can carry on with an elementwise node that reads its output 0 in order.
fn carries(writer: &Writer, producer: NodeId, source: ValueId, read: &Read) -> bool {
    let (Some(node), Ok(fact)) = (writer.node(producer), writer.fact(source)) else { return false };
    let float = matches!(fact.dtype(), DType::F32 | DType::F16 | DType::BF16);
    let whole = read.1.is_contiguous() && read.1.shape.elements() == fact.ty.elements();
    node.op.takes_epilogue() && node.outputs.first() == Some(&Some(source)) && float && whole
}

/// The dtype of the first operand among terms.
fn data_dtype(terms: &[Term], dtypes: &[DType]) -> Option<DType> {
    terms.iter().find_map(|t| if let Term::Operand(k) = t { Some(dtypes[*k]) } else { None })
}

/// The operands of a program that is being put together, each there once.
#[derive(Default)]
struct Operands {
    reads: Vec<Read>,
}

impl Operands {
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
