//! The graph of a training step.

use super::layout::Arena;
use super::options::{Guard, StepOptions, computed_from};
use crate::error::{Error, Result};
use crate::graph::{Dim, Graph, Node, Value, ValueId, Writer};
use crate::ops::arena::{join, part};
use crate::ops::elementwise::{binary, cast, select, unary, unary_with};
use crate::ops::gradient::complete_gradient;
use crate::ops::optimizer::{accumulate, controls, first_non_finite, optimizer_update};
use crate::ops::recompute::checkpoint;
use crate::ops::reduce::{Reduction, reduce};
use crate::ops::reshape::{identity, reshape};
use crate::tensor::{DType, Tensor};

/// The state that holds the loss.
pub(super) const LOSS: &str = "train.loss";
/// The state that holds the norm of all gradients, where they are clipped.
pub(super) const NORM: &str = "train.norm";
/// The state that counts the updates that were skipped.
pub(super) const SKIPPED: &str = "train.skipped";
/// The state that tells the first batch that nothing was learned from.
pub(super) const FIRST: &str = "train.first";

/// The name of the input that holds the controls of a group.
pub(super) fn controls_input(group: usize) -> String {
    format!("train.controls.{group}")
}

/// The graph of a step: its parameters are parts of arenas, which are states as the loss is; its outputs are those that are asked for. All nodes of
/// the network are there, those too that only evaluations need.
pub(super) fn step_graph(graph: &Graph, arenas: &[Arena], options: &StepOptions) -> Result<Graph> {
    let loss = find(graph, &options.loss)?;
    check_reached(graph, arenas, loss, &options.loss)?;
    let mut trimmed = graph.clone();
    let parameters = || arenas.iter().flat_map(|arena| &arena.parameters);
    trimmed.defaults.retain(|default| parameters().all(|parameter| parameter.value != default.input.value));
    trimmed.outputs = options.outputs.iter().map(|name| find(graph, name)).collect::<Result<_>>()?;
    let kept = keep_states(&mut trimmed, options.guard);
    trimmed.outputs.extend(trimmed.states.iter().map(|state| state.output));
    for parameter in parameters() {
        // From here on a part of its arena makes it: for whatever reads it, and for callers that ask for it.
        let value = &mut trimmed.values[parameter.value.index()];
        (value.constant, value.fact) = (None, None);
    }
    let mut writer = Writer::rewriting(&trimmed);
    for name in &options.checkpoints {
        let value = find(graph, name)?;
        let readers: Vec<_> = writer.consumers(value).collect();
        let kept = writer.add(&format!("{name}.kept"), checkpoint(), &[Some(value)]);
        for reader in readers {
            if let Some(mut node) = writer.node(reader).cloned() {
                node.inputs.iter_mut().flatten().filter(|input| **input == value).for_each(|input| *input = kept);
                writer.replace(reader, node);
            }
        }
    }
    let mut inputs = Vec::new();
    for arena in arenas {
        inputs.push(writer.state(&arena.state, arena.initial(graph)?));
    }
    let mut parts = Vec::new();
    for (arena, input) in arenas.iter().zip(&inputs) {
        for parameter in &arena.parameters {
            let op = part(parameter.first, parameter.ty.shape.clone());
            writer.push(Node::new(&parameter.name, op, vec![Some(*input)], vec![Some(parameter.value)]));
            parts.push(parameter.value);
        }
    }
    let mut step = StepWriter { writer, arenas, options };
    let gradients = step.gradients(loss, parts);
    let loss = step.hold_loss(loss)?;
    let first = step.update(&inputs, &gradients, loss)?;
    step.hold_states(&kept, first)?;
    step.writer.finish()
}

/// A state of the network: what it holds before a batch, what the network would have it hold, and what it will.
struct KeptState {
    before: ValueId,
    after: ValueId,
    held: ValueId,
}

/// Gives the states of a network outputs of their own, for what they hold once it is known whether a batch is learned from.
fn keep_states(graph: &mut Graph, guard: Guard) -> Vec<KeptState> {
    if guard == Guard::Nothing {
        return Vec::new();
    }
    let mut kept = Vec::with_capacity(graph.states.len());
    for place in 0..graph.states.len() {
        let (before, after) = (graph.states[place].input, graph.states[place].output);
        if before == after {
            continue;
        }
        let mut name = format!("train.held.{}", graph.states[place].name);
        while graph.find(&name).is_some() {
            name.push('_');
        }
        graph.values.push(Value { name, constant: None, fact: None });
        let held = ValueId(graph.values.len() - 1);
        graph.states[place].output = held;
        kept.push(KeptState { before, after, held });
    }
    kept
}

fn find(graph: &Graph, name: &str) -> Result<ValueId> {
    graph.find(name).ok_or_else(|| Error::invalid_argument(format!("the graph has no value `{name}`")))
}

/// Checks that the loss is computed from every parameter.
fn check_reached(graph: &Graph, arenas: &[Arena], loss: ValueId, name: &str) -> Result<()> {
    let needed = computed_from(graph, loss);
    match arenas.iter().flat_map(|arena| &arena.parameters).find(|parameter| !needed[parameter.value.index()]) {
        Some(parameter) => {
            let message = format!("the loss `{name}` does not depend on parameter `{}`", parameter.name);
            Err(Error::invalid_argument(message))
        }
        None => Ok(()),
    }
}

struct StepWriter<'a> {
    writer: Writer,
    arenas: &'a [Arena],
    options: &'a StepOptions,
}

impl StepWriter<'_> {
    /// The gradient of the loss with respect to each part.
    fn gradients(&mut self, loss: ValueId, parts: Vec<ValueId>) -> Vec<ValueId> {
        let names = self.arenas.iter().flat_map(|arena| &arena.parameters).map(|parameter| format!("gradient.{}", parameter.name));
        let outputs: Vec<ValueId> = names.map(|name| self.writer.value(&name, None)).collect();
        let inputs = [Some(loss), None].into_iter().chain(parts.into_iter().map(Some)).collect();
        let name = format!("gradient of {}", self.options.loss);
        self.writer.push(Node::new(&name, complete_gradient(1), inputs, outputs.iter().copied().map(Some).collect()));
        outputs
    }

    fn hold_loss(&mut self, loss: ValueId) -> Result<ValueId> {
        self.writer.state(LOSS, Tensor::scalar(0f32));
        let scalar = self.writer.constant("train.scalar", Tensor::new([0], &[] as &[i64])?);
        let loss = self.writer.add("train.loss.value", cast(DType::F32)?, &[Some(loss)]);
        let loss = self.writer.add("train.loss.scalar", reshape(false), &[Some(loss), Some(scalar)]);
        self.writer.write_state(LOSS, loss)?;
        Ok(loss)
    }

    /// Tells the first batch that is not finite: its loss, or one of the gradients of all arenas.
    fn watch(&mut self, loss: ValueId, gradients: &[ValueId], controls: ValueId) -> Result<Option<ValueId>> {
        let gradients = match self.options.guard {
            Guard::Nothing => return Ok(None),
            Guard::Gradients if self.options.clip_norm.is_none() => gradients,
            _ => &[],
        };
        let first = self.writer.state(FIRST, Tensor::scalar(0i32));
        let given: Vec<_> = [first, loss, controls].into_iter().chain(gradients.iter().copied()).map(Some).collect();
        let first = self.writer.add("train.first.batch", first_non_finite(), &given);
        self.writer.write_state(FIRST, first)?;
        Ok(Some(first))
    }

    /// States of the network hold what they held before the first batch that nothing is learned from.
    fn hold_states(&mut self, kept: &[KeptState], first: Option<ValueId>) -> Result<()> {
        let Some(first) = first.filter(|_| !kept.is_empty()) else { return Ok(()) };
        let is_over = self.writer.add("train.over", cast(DType::Bool)?, &[Some(first)]);
        for KeptState { before, after, held } in kept {
            let inputs = vec![Some(is_over), Some(*before), Some(*after)];
            self.writer.push(Node::new("train.held", select()?, inputs, vec![Some(*held)]));
        }
        Ok(())
    }

    /// Updates all arenas by the gradients of their parts. Returns what tells the first batch that nothing is learned from.
    fn update(&mut self, inputs: &[ValueId], gradients: &[ValueId], loss: ValueId) -> Result<Option<ValueId>> {
        let controls: Vec<ValueId> = (0..self.options.groups.len())
            .map(|group| self.writer.declare(&controls_input(group), DType::F32, Some(vec![Dim::Known(controls::COUNT)])))
            .collect();
        let mut rest = gradients;
        let mut joined = Vec::with_capacity(self.arenas.len());
        for (number, arena) in self.arenas.iter().enumerate() {
            let (own, others) = rest.split_at(arena.parameters.len());
            rest = others;
            let own: Vec<Option<ValueId>> = own.iter().copied().map(Some).collect();
            let places = arena.parameters.iter().map(|parameter| parameter.first).collect();
            joined.push(self.writer.add(&format!("train.gradient.{number}"), join(places, arena.columns), &own));
        }
        let first = self.watch(loss, &joined, controls[0])?;
        if self.options.accumulate > 1 {
            for (number, (arena, gradient)) in self.arenas.iter().zip(&mut joined).enumerate() {
                let name = format!("train.sum.{number}");
                let sum = self.writer.state(&name, Tensor::zeros(crate::tensor::TensorType::new(DType::F32, [arena.columns])));
                let mut given = vec![Some(sum), Some(*gradient), Some(controls[arena.group])];
                given.extend(first.map(Some));
                *gradient = self.writer.add(&name, accumulate(), &given);
                self.writer.write_state(&name, *gradient)?;
            }
        }
        let norm = match self.options.clip_norm {
            Some(_) => Some(self.norm(&joined, controls[0], first)?),
            None => None,
        };
        for ((arena, input), gradient) in self.arenas.iter().zip(inputs).zip(joined) {
            let mut given = vec![Some(*input), Some(gradient), Some(controls[arena.group])];
            match first {
                Some(first) => given.extend([norm, Some(first)]),
                None => given.extend(norm.map(Some)),
            }
            let updated = self.writer.add(&format!("{}.update", arena.state), optimizer_update(arena.rule), &given);
            self.writer.write_state(&arena.state, updated)?;
        }
        Ok(first)
    }

    /// The norm of all gradients together, and what is noted of it. Updates are skipped, and not held back, before the first batch that nothing is
    /// learned from.
    fn norm(&mut self, gradients: &[ValueId], controls: ValueId, first: Option<ValueId>) -> Result<ValueId> {
        self.writer.state(NORM, Tensor::scalar(0f32));
        let skipped = self.writer.state(SKIPPED, Tensor::scalar(0i32));
        let mut sum = None;
        for gradient in gradients {
            let squares = reduce(Reduction::SumSquare, Some(Vec::new()), false, false);
            let square = self.writer.add("train.square", squares, &[Some(*gradient)]);
            sum = Some(match sum {
                Some(sum) => self.writer.add("train.squares", binary("Add")?, &[Some(sum), Some(square)]),
                None => square,
            });
        }
        let norm = self.writer.add("train.norm.value", unary("Sqrt")?, &[sum]);
        let held = self.writer.add("train.norm.held", identity(), &[Some(norm)]);
        self.writer.write_state(NORM, held)?;
        let infinite = self.writer.add("train.norm.infinite", unary_with("IsInf", &[1.0, 1.0])?, &[Some(norm)]);
        let undefined = self.writer.add("train.norm.undefined", unary("IsNaN")?, &[Some(norm)]);
        let either = self.writer.add("train.norm.either", binary("Or")?, &[Some(infinite), Some(undefined)]);
        let apply = self.writer.add("train.apply", part(controls::APPLY, Vec::<usize>::new()), &[Some(controls)]);
        let apply = self.writer.add("train.apply.flag", cast(DType::Bool)?, &[Some(apply)]);
        let mut both = self.writer.add("train.skip", binary("And")?, &[Some(either), Some(apply)]);
        if let Some(first) = first {
            let is_over = self.writer.add("train.over", cast(DType::Bool)?, &[Some(first)]);
            let goes_on = self.writer.add("train.on", unary("Not")?, &[Some(is_over)]);
            both = self.writer.add("train.skip", binary("And")?, &[Some(both), Some(goes_on)]);
        }
        let one = self.writer.add("train.skip.count", cast(DType::I32)?, &[Some(both)]);
        let count = self.writer.add("train.skipped.count", binary("Add")?, &[Some(skipped), Some(one)]);
        self.writer.write_state(SKIPPED, count)?;
        Ok(norm)
    }
}
