//! Recurrent layers: directions, batches, lengths, initial states, activations.

use super::{Draw, Net, property};
use crate::cases::Tolerance;
use gristmill::internals::ops::rnn::{Activation, ActivationFunction, Cell, Direction, Recurrent, recurrent};
use gristmill::{DType, Tensor};

/// Steps carry the rounding of those before.
const RECURRENT: Tolerance = Tolerance { relative: 5e-4, absolute: 5e-5 };

fn layer(draw: &mut Draw, net: &mut Net, cell: Cell) -> Vec<gristmill::internals::graph::ValueId> {
    let mut op = Recurrent::new(cell);
    op.direction = draw.pick(&[Direction::Forward, Direction::Reverse, Direction::Bidirectional]);
    op.batch_first = draw.rarely(4);
    op.clip = draw.rarely(5).then_some(0.6);
    let directions = if op.direction == Direction::Bidirectional { 2 } else { 1 };
    if draw.rarely(4) {
        let functions =
            [ActivationFunction::Tanh, ActivationFunction::Relu, ActivationFunction::HardSigmoid, ActivationFunction::Softsign];
        op.activations = (0..directions * cell.activations()).map(|_| Activation::from(draw.pick(&functions))).collect();
    }
    let (steps, batch) = (draw.pick(&[4, 1, 2, 7, 0]), draw.pick(&[1, 2, 3, 5, 9]));
    let (input, hidden) = (draw.pick(&[4, 1, 3, 33]), draw.pick(&[4, 1, 5, 16, 33]));
    let gates = cell.gates() * hidden;
    let constant = !draw.rarely(4);
    let x = if op.batch_first { [batch, steps, input] } else { [steps, batch, input] };
    let state = if op.batch_first { [batch, directions, hidden] } else { [directions, batch, hidden] };
    let mut inputs = vec![
        Some(net.floats(&x)),
        Some(net.weights(constant, &[directions, gates, input])),
        Some(net.weights(constant, &[directions, gates, hidden])),
    ];
    inputs.push(draw.flag().then(|| net.weights(constant, &[directions, 2 * gates])));
    inputs.push(draw.rarely(3).then(|| {
        let lengths = net.random.integers(DType::I32, &[batch], 0, steps as i64 + 1);
        net.input(lengths)
    }));
    inputs.push(draw.rarely(3).then(|| net.floats(&state)));
    let mut outputs = 2;
    if matches!(cell, Cell::Lstm { .. }) {
        inputs.push(draw.rarely(3).then(|| net.floats(&state)));
        inputs.push(draw.rarely(3).then(|| net.weights(constant, &[directions, 3 * hidden])));
        outputs = 3;
    }
    let made = net.apply_to(recurrent(op), &inputs, outputs);
    if draw.rarely(4) { vec![made[1]] } else { made }
}

#[test]
fn gru() {
    property(8, RECURRENT, |draw, net| {
        let cell = Cell::Gru { linear_before_reset: draw.flag() };
        layer(draw, net, cell)
    });
}

#[test]
fn lstm() {
    property(6, RECURRENT, |draw, net| {
        let cell = Cell::Lstm { input_forget: draw.rarely(5) };
        layer(draw, net, cell)
    });
}

#[test]
fn plain() {
    property(4, RECURRENT, |draw, net| layer(draw, net, Cell::Rnn));
}

/// Lengths that are known beforehand.
#[test]
fn constant_lengths() {
    property(4, RECURRENT, |draw, net| {
        let (steps, hidden) = (draw.pick(&[3, 5]), draw.pick(&[4, 7]));
        let inputs =
            [net.floats(&[steps, 2, 3]), net.weights(true, &[1, 3 * hidden, 3]), net.weights(true, &[1, 3 * hidden, hidden])];
        let lengths = net.constant(Tensor::vector(&[draw.within(0, steps) as i32, steps as i32]));
        let inputs = [Some(inputs[0]), Some(inputs[1]), Some(inputs[2]), None, Some(lengths)];
        net.apply_to(recurrent(Recurrent::new(Cell::Gru { linear_before_reset: true })), &inputs, 2)
    });
}
