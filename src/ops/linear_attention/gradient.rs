//! LinearAttentionGradient: what the inputs of linear attention are worth, back from the last token to the first. It runs on the host.

use super::{LinearAttention, LinearAttentionShape, NAME as FORWARD, input};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Key, Node, Op, ValueId, Writer, required};
use crate::ops::compose::Compose;
use crate::tensor::{DType, Tensor, TensorType};
use std::sync::Arc;

pub(super) const NAME: &str = "LinearAttentionGradient";

/// How many inputs linear attention has.
const INPUTS: usize = 6;
/// How many of the gradient's inputs come before those: what outputs are worth.
const WORTHS: usize = 2;

/// The gradients of [`LinearAttention`]. Inputs: what its outputs are worth, then its inputs. Outputs: the gradients of these, without elements
/// for those left out.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearAttentionGradient {
    /// What it is the gradient of.
    pub op: LinearAttention,
}

/// The gradients of linear attention.
pub fn linear_attention_gradient(op: LinearAttention) -> Arc<dyn Op> {
    Arc::new(LinearAttentionGradient { op })
}

/// Writes the gradients of a node.
pub(super) fn gradient(op: &LinearAttention, node: &Node, upstream: &[Option<ValueId>], writer: &mut Writer) -> Result<Gradient> {
    if upstream.iter().all(Option::is_none) {
        return Ok(Gradient::Zero);
    }
    let shape = op.shape_of(&writer.input_facts(node)?)?;
    let dtype = writer.fact(node.needed(input::QUERY)?)?.dtype();
    let state = node.input(input::STATE).map(|id| writer.fact(id).map(Fact::dtype)).transpose()?.unwrap_or(dtype);
    let mut inputs = Vec::with_capacity(WORTHS + INPUTS);
    let types = [TensorType::new(dtype, shape.output()), TensorType::new(state, shape.state())];
    for (k, ty) in types.into_iter().enumerate() {
        inputs.push(Some(match upstream.get(k).copied().flatten() {
            Some(worth) => worth,
            None => writer.zeros(ty.dtype, &ty.shape)?,
        }));
    }
    inputs.extend((0..INPUTS).map(|k| node.input(k)));
    let found = writer.apply_all(linear_attention_gradient(op.clone()), &inputs, INPUTS)?;
    Ok(Gradient::Inputs((0..node.inputs.len()).map(|k| node.input(k).and(found.get(k).copied())).collect()))
}

/// Numbers of the inputs, and what they are worth so far.
struct Sums {
    values: [Vec<f64>; INPUTS],
    sums: [Vec<f64>; INPUTS],
}

impl Sums {
    fn new(inputs: &[Option<&Tensor>]) -> Self {
        let values = std::array::from_fn(|k| inputs.get(k).copied().flatten().map_or(vec![], Tensor::to_f64));
        let sums = std::array::from_fn(|k| inputs.get(k).copied().flatten().map_or(vec![], |tensor| vec![0.0; tensor.elements()]));
        Sums { values, sums }
    }

    /// One column of the state of one head: forth, keeping the states, and back.
    fn column(&mut self, g: &LinearAttentionShape, scale: f64, at: [usize; 3], worth: [&[f64]; 2]) {
        let [batch, head, column] = at;
        let place = |d: usize| ((batch * g.heads + head) * g.size + d) * g.value_size + column;
        let start: Vec<f64> = (0..g.size).map(|d| self.values[input::STATE].get(place(d)).copied().unwrap_or(0.0)).collect();
        let mut states = vec![start];
        let mut added = Vec::with_capacity(g.steps);
        for token in batch * g.steps..(batch + 1) * g.steps {
            let row = token * g.heads + head;
            let mut state = self.faded(g, row, &states[states.len() - 1]);
            let held: f64 = (0..g.size).map(|d| self.values[input::KEY][row * g.size + d] * state[d]).sum();
            let value = self.values[input::VALUE][row * g.value_size + column];
            let change = if g.rates > 0 { self.values[input::RATE][rate(g, token, head)] * (value - held) } else { value };
            (0..g.size).for_each(|d| state[d] += self.values[input::KEY][row * g.size + d] * change);
            added.push((change, value - held));
            states.push(state);
        }
        let mut of_state: Vec<f64> = (0..g.size).map(|d| worth[1][place(d)]).collect();
        for (step, (change, missing)) in added.into_iter().enumerate().rev() {
            let token = batch * g.steps + step;
            self.back(
                g,
                scale,
                [token, head, column],
                worth[0],
                [&states[step], &states[step + 1]],
                [change, missing],
                &mut of_state,
            );
        }
        if g.size > 0 && !self.sums[input::STATE].is_empty() {
            (0..g.size).for_each(|d| self.sums[input::STATE][place(d)] += of_state[d]);
        }
    }

    /// A state after its decay by a token.
    fn faded(&self, g: &LinearAttentionShape, row: usize, state: &[f64]) -> Vec<f64> {
        let by = |d: usize| if g.decays > 0 { self.values[input::DECAY][decay(g, row, d)].exp() } else { 1.0 };
        state.iter().enumerate().map(|(d, s)| s * by(d)).collect()
    }

    /// Back through one token: what the state before it is worth, given what the one after it is.
    #[allow(clippy::too_many_arguments, reason = "what a token is made of")]
    fn back(
        &mut self,
        g: &LinearAttentionShape,
        scale: f64,
        [token, head, column]: [usize; 3],
        worth: &[f64],
        [before, after]: [&[f64]; 2],
        [change, missing]: [f64; 2],
        of_state: &mut [f64],
    ) {
        let row = token * g.heads + head;
        for query in row * g.shared_by..(row + 1) * g.shared_by {
            let worth = scale * worth[query * g.value_size + column];
            for d in 0..g.size {
                self.sums[input::QUERY][query * g.size + d] += worth * after[d];
                of_state[d] += worth * self.values[input::QUERY][query * g.size + d];
            }
        }
        let key = |d: usize| row * g.size + d;
        let of_change: f64 = (0..g.size).map(|d| of_state[d] * self.values[input::KEY][key(d)]).sum();
        (0..g.size).for_each(|d| self.sums[input::KEY][key(d)] += of_state[d] * change);
        let mut of_value = of_change;
        if g.rates > 0 {
            let at = rate(g, token, head);
            self.sums[input::RATE][at] += of_change * missing;
            of_value *= self.values[input::RATE][at];
            for (d, faded) in self.faded(g, row, before).into_iter().enumerate() {
                self.sums[input::KEY][key(d)] -= of_value * faded;
                of_state[d] -= of_value * self.values[input::KEY][key(d)];
            }
        }
        self.sums[input::VALUE][row * g.value_size + column] += of_value;
        if g.decays > 0 {
            for (d, (of_state, before)) in of_state.iter_mut().zip(before).enumerate() {
                *of_state *= self.values[input::DECAY][decay(g, row, d)].exp();
                self.sums[input::DECAY][decay(g, row, d)] += *of_state * before;
            }
        }
    }
}

/// Where the decay of a row of the state stands.
fn decay(g: &LinearAttentionShape, row: usize, d: usize) -> usize {
    row * g.decays + d.min(g.decays - 1)
}

/// Where the update rate of a head stands.
fn rate(g: &LinearAttentionShape, token: usize, head: usize) -> usize {
    token * g.rates + head.min(g.rates - 1)
}

impl Op for LinearAttentionGradient {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self, key: &mut Key) {
        self.op.attributes(key);
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let own = inputs.get(WORTHS..).unwrap_or(&[]);
        for (k, output) in self.op.infer(own)?.iter().enumerate() {
            let worth = required(NAME, inputs, k)?;
            if worth.ty != output.ty {
                return Err(Error::invalid_model(format!(
                    "output {k} of {FORWARD} is {}, what it is worth {}",
                    output.ty, worth.ty
                )));
            }
        }
        let fact = |k: usize| match own.get(k).copied().flatten() {
            Some(fact) => Fact::new(fact.dtype(), fact.shape().clone()),
            None => Fact::new(DType::F32, [0]),
        };
        Ok((0..INPUTS).map(fact).collect())
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let own = inputs.get(WORTHS..).unwrap_or(&[]);
        let types: Vec<_> = own.iter().map(|tensor| tensor.map(Tensor::ty)).collect();
        let g = self.op.shape(&types)?;
        let [output, state] = [0, 1].map(|k| required(NAME, inputs, k).map(Tensor::to_f64));
        let (output, state) = (output?, state?);
        let scale = f64::from(self.op.scale(&g));
        let mut work = Sums::new(own);
        for batch in 0..g.batch {
            for (head, column) in (0..g.heads).flat_map(|head| (0..g.value_size).map(move |column| (head, column))) {
                work.column(&g, scale, [batch, head, column], [&output, &state]);
            }
        }
        let made = |(k, sums): (usize, &Vec<f64>)| match own.get(k).copied().flatten() {
            Some(tensor) => Tensor::from_f64(tensor.ty().clone(), sums),
            None => Ok(Tensor::zeros(TensorType::new(DType::F32, [0]))),
        };
        work.sums.iter().enumerate().map(made).collect()
    }
}
