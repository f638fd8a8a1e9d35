//! RNN, GRU and LSTM.

use super::{Case, Random, Tolerance};
use gristmill::internals::ops::rnn::{
    Activation, ActivationFunction, Cell, Direction, Recurrent, recurrent, recurrent_gradient, recurrent_slopes,
};
use gristmill::{DType, Tensor};

/// Errors of a step go into the next.
pub const STEPS: Tolerance = Tolerance { relative: 1e-3, absolute: 1e-4 };

const GRU: Cell = Cell::Gru { linear_before_reset: true };
const GRU_RESET_FIRST: Cell = Cell::Gru { linear_before_reset: false };
const LSTM: Cell = Cell::Lstm { input_forget: false };

/// Extents: steps, batch, input size, hidden size.
type Extents = [usize; 4];

/// Which optional inputs a row gives.
#[derive(Clone, Copy, Default)]
struct Given {
    bias: bool,
    lengths: bool,
    state: bool,
    peepholes: bool,
}

const ALL: Given = Given { bias: true, lengths: true, state: true, peepholes: true };

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(0x62F);
    let mut cases = vec![];
    let sizes: &[(&str, Extents)] = &[
        ("small", [5, 3, 4, 8]),
        ("odd", [4, 2, 3, 7]),
        ("one", [1, 1, 1, 1]),
        ("no_steps", [0, 2, 3, 4]),
        ("no_batch", [3, 0, 3, 4]),
        ("batch_of_five", [3, 5, 6, 33]),
        ("batch_of_33", [3, 33, 6, 20]),
        ("batch_of_12", [2, 12, 6, 36]),
        ("one_step", [1, 8, 3, 40]),
        ("wide", [3, 1, 5, 300]),
        ("wider", [2, 2, 5, 512]),
    ];
    for (cell_name, cell) in [("rnn", Cell::Rnn), ("gru", GRU), ("gru_reset_first", GRU_RESET_FIRST), ("lstm", LSTM)] {
        // The extents are the same code in every cell; one takes them all, and those of many tiles one of two products.
        let many = |name: &str| cell == GRU_RESET_FIRST && ["batch_of_33", "wide"].contains(&name);
        for (k, (name, extents)) in sizes.iter().enumerate() {
            if k >= 3 && cell != GRU && !many(name) {
                continue;
            }
            let layer = Recurrent::new(cell);
            cases.push(case(&mut random, &format!("{cell_name}/{name}"), layer.clone(), *extents, Given::default()));
            let layer = Recurrent { direction: Direction::Bidirectional, ..layer };
            cases.push(case(&mut random, &format!("{cell_name}/{name}_all_inputs"), layer, *extents, ALL));
        }
        let reverse = Recurrent { direction: Direction::Reverse, batch_first: true, ..Recurrent::new(cell) };
        cases.push(case(&mut random, &format!("{cell_name}/reverse_batch_first"), reverse.clone(), [4, 3, 5, 9], ALL));
        let clipped = Recurrent { clip: Some(0.25), ..reverse };
        cases.push(case(&mut random, &format!("{cell_name}/clipped"), clipped, [4, 3, 5, 9], ALL));
    }
    // Weights that are packed at run time, of which rows of units begin and end anywhere.
    for (cell_name, cell) in [("rnn", Cell::Rnn), ("gru", GRU), ("gru_reset_first", GRU_RESET_FIRST), ("lstm", LSTM)] {
        let layer = Recurrent { direction: Direction::Bidirectional, ..Recurrent::new(cell) };
        for (name, extents) in [("learned", [3, 18, 5, 36]), ("learned_wide", [2, 9, 5, 150])] {
            cases.push(case(&mut random, &format!("{cell_name}/{name}"), layer.clone(), extents, ALL).weights(&[]));
        }
    }
    // More steps than the loops of one dispatch may take.
    for (cell_name, cell) in [("gru", GRU), ("lstm", LSTM)] {
        let bias = Given { bias: true, ..Given::default() };
        cases.push(case(&mut random, &format!("{cell_name}/many_steps"), Recurrent::new(cell), [1000, 1, 2, 130], bias));
    }
    let forget = Recurrent { direction: Direction::Bidirectional, ..Recurrent::new(Cell::Lstm { input_forget: true }) };
    cases.push(case(&mut random, "lstm/input_forget", forget, [4, 2, 3, 6], ALL));
    cases.extend(activations(&mut random));
    cases.extend(gradients(&mut random));
    cases
}

/// The way back through the steps, and the slopes that it takes.
fn gradients(random: &mut Random) -> Vec<Case> {
    let forget = Cell::Lstm { input_forget: true };
    let cells = [("rnn", Cell::Rnn), ("gru", GRU), ("gru_reset_first", GRU_RESET_FIRST), ("lstm", LSTM), ("input_forget", forget)];
    let mut cases = vec![];
    for (name, cell) in cells {
        let layer = Recurrent::new(cell);
        for (size, extents) in [("", [5, 3, 7]), ("_one", [1, 1, 1]), ("_batch_of_nine", [4, 9, 5]), ("_of_33", [3, 5, 33])] {
            cases.push(slopes(random, &format!("{name}/slopes{size}"), layer.clone(), extents, Given::default()));
            cases.push(back(random, &format!("{name}/gradient{size}"), layer.clone(), extents, Given::default()));
        }
        let reverse = Recurrent { direction: Direction::Reverse, clip: Some(0.5), ..layer.clone() };
        let both = Recurrent { direction: Direction::Bidirectional, batch_first: true, ..layer.clone() };
        for (what, layer, extents) in [("reverse", reverse, [6, 4, 9]), ("both_batch_first", both, [5, 10, 12])] {
            cases.push(slopes(random, &format!("{name}/slopes_{what}_all_inputs"), layer.clone(), extents, ALL));
            cases.push(back(random, &format!("{name}/gradient_{what}_all_inputs"), layer, extents, ALL));
        }
        for (size, extents) in [("of_64", [4, 33, 64]), ("of_200", [2, 12, 200]), ("wide", [3, 2, 300])] {
            cases.push(back(random, &format!("{name}/gradient_{size}"), layer.clone(), extents, ALL));
        }
    }
    // More steps than the loops of one dispatch may take.
    for (name, cell) in [("gru", GRU), ("lstm", LSTM)] {
        cases.push(back(random, &format!("{name}/gradient_many_steps"), Recurrent::new(cell), [300, 1, 130], ALL));
    }
    use ActivationFunction::{
        Affine, Elu, HardSigmoid, LeakyRelu, Relu, ScaledTanh, Sigmoid, Softplus, Softsign, Tanh, ThresholdedRelu,
    };
    for function in [Sigmoid, Tanh, Relu, Affine, LeakyRelu, ThresholdedRelu, ScaledTanh, HardSigmoid, Elu, Softsign, Softplus] {
        let layer = Recurrent { activations: vec![Activation { alpha: 0.3, beta: 0.2, function }], ..Recurrent::new(Cell::Rnn) };
        cases.push(slopes(random, &format!("rnn/slopes_{function:?}"), layer, [3, 2, 6], ALL));
    }
    cases
}

/// Uniform numbers of a scale.
fn scaled(random: &mut Random, shape: &[usize], scale: f64) -> Option<Tensor> {
    let values: Vec<f32> = random.floats(shape).to_f64().iter().map(|x| (x * scale) as f32).collect();
    Some(Tensor::new(shape, &values).expect("as many elements"))
}

/// The last direction of a layer, and its states and outputs of all steps.
fn sides(layer: &Recurrent, [steps, batch, hidden]: [usize; 3]) -> (usize, [usize; 3], [usize; 4]) {
    let directions = if layer.direction == Direction::Bidirectional { 2 } else { 1 };
    match layer.batch_first {
        true => (directions - 1, [batch, directions, hidden], [batch, steps, directions, hidden]),
        false => (directions - 1, [directions, batch, hidden], [steps, directions, batch, hidden]),
    }
}

fn slopes(random: &mut Random, name: &str, layer: Recurrent, extents: [usize; 3], given: Given) -> Case {
    let [steps, batch, hidden] = extents;
    let (direction, state, all) = sides(&layer, extents);
    let (cell, gates) = (layer.cell, layer.cell.gates());
    // Where there is a first state, the states before each step are given.
    let shifted = !given.state && cell != GRU_RESET_FIRST;
    let rows = steps * batch;
    let columns = if cell == GRU_RESET_FIRST { 2 * hidden } else { gates * hidden };
    let width = hidden.next_multiple_of(4);
    let packed = width * width * gates + 2 * gates * width + 3 * width;
    let seen: Option<&[usize]> = match cell {
        Cell::Rnn => None,
        Cell::Gru { .. } => Some(if shifted { &all } else { &[steps, batch, hidden] }),
        Cell::Lstm { .. } => given.state.then_some(&state),
    };
    let lengths = given.lengths.then(|| random.integers(DType::I32, &[batch], 0, steps as i64 + 1));
    let inputs = vec![
        scaled(random, &[rows, (direction + 1) * gates * hidden], 1.0),
        scaled(random, &[rows, columns], 1.0),
        scaled(random, &[direction + 1, packed], 0.5),
        lengths,
        seen.and_then(|shape| scaled(random, shape, 1.0)),
        if cell == GRU_RESET_FIRST { scaled(random, &[rows, hidden], 1.0) } else { None },
    ];
    let outputs = if matches!(cell, Cell::Lstm { .. }) { 2 } else { 1 };
    let op = recurrent_slopes(layer, direction, shifted, extents);
    let mut case = Case::new(format!("recurrent/{name}"), op, vec![]).outputs(outputs);
    case.inputs = inputs;
    case.tolerance(STEPS)
}

fn back(random: &mut Random, name: &str, layer: Recurrent, extents: [usize; 3], given: Given) -> Case {
    let [steps, batch, hidden] = extents;
    let (direction, state, all) = sides(&layer, extents);
    let (slopes, lstm) = match layer.cell {
        Cell::Rnn => (1, false),
        Cell::Gru { .. } => (5, false),
        Cell::Lstm { .. } => (6, true),
    };
    let lengths = given.lengths.then(|| random.integers(DType::I32, &[batch], 0, steps as i64 + 1));
    let inputs = vec![
        // What is handed back fades, as it does through gates.
        scaled(random, &[steps, batch, slopes * hidden], 0.8),
        scaled(random, &[direction + 1, layer.cell.gates() * hidden, hidden], 1.0 / (hidden as f64).sqrt()),
        lengths,
        scaled(random, &all, 1.0),
        if given.state { scaled(random, &state, 1.0) } else { None },
        if given.state && lstm { scaled(random, &state, 1.0) } else { None },
    ];
    let mut case = Case::new(format!("recurrent/{name}"), recurrent_gradient(layer, direction, extents), vec![]).outputs(2);
    case.inputs = inputs;
    case.tolerance(STEPS)
}

/// Every activation, two at a time: one for each direction.
fn activations(random: &mut Random) -> Vec<Case> {
    use ActivationFunction::{
        Affine, Elu, HardSigmoid, LeakyRelu, Relu, ScaledTanh, Sigmoid, Softplus, Softsign, Tanh, ThresholdedRelu,
    };
    let all = [Sigmoid, Tanh, Relu, Affine, LeakyRelu, ThresholdedRelu, ScaledTanh, HardSigmoid, Elu, Softsign, Softplus, Tanh];
    let row = |pair: &[ActivationFunction]| {
        let activations: Vec<Activation> = pair.iter().map(|f| Activation { alpha: 0.3, beta: 0.2, function: *f }).collect();
        let layer = Recurrent { activations, direction: Direction::Bidirectional, ..Recurrent::new(Cell::Rnn) };
        case(random, &format!("rnn/{:?}_{:?}", pair[0], pair[1]), layer, [3, 2, 4, 6], ALL)
    };
    all.chunks(2).map(row).collect()
}

fn case(random: &mut Random, name: &str, layer: Recurrent, [steps, batch, input, hidden]: Extents, given: Given) -> Case {
    let directions = if layer.direction == Direction::Bidirectional { 2 } else { 1 };
    let rows = layer.cell.gates() * hidden;
    let lstm = matches!(layer.cell, Cell::Lstm { .. });
    let clipped = layer.clip.is_some();
    // Weights as small as trained ones keep the state from saturating.
    let mut scaled = |shape: &[usize], scale: f64| {
        let values: Vec<f32> = random.floats(shape).to_f64().iter().map(|x| (x * scale) as f32).collect();
        Tensor::new(shape, &values).expect("as many elements")
    };
    let scale = 1.0 / (hidden as f64).sqrt();
    let (x, state) = if layer.batch_first {
        ([batch, steps, input], [batch, directions, hidden])
    } else {
        ([steps, batch, input], [directions, batch, hidden])
    };
    let mut inputs = vec![
        Some(scaled(&x, 1.0)),
        Some(scaled(&[directions, rows, input], 0.5)),
        Some(scaled(&[directions, rows, hidden], scale)),
        given.bias.then(|| scaled(&[directions, 2 * rows], 0.5)),
        None,
        given.state.then(|| scaled(&state, 1.0)),
    ];
    if lstm {
        inputs.push(given.state.then(|| scaled(&state, 1.0)));
        inputs.push(given.peepholes.then(|| scaled(&[directions, 3 * hidden], 0.5)));
    }
    inputs[4] = given.lengths.then(|| random.integers(DType::I32, &[batch], 0, steps as i64 + 1));
    let mut case = Case::new(format!("recurrent/{name}"), recurrent(layer), vec![]).outputs(if lstm { 3 } else { 2 });
    case.inputs = inputs;
    // Most rows have constant weights, the others pack them at run time.
    if !given.lengths || !clipped {
        case.weights = vec![1, 2, 3, 7];
    }
    case.tolerance(STEPS)
}
