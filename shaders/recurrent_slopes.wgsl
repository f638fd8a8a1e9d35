// Takes activation (activation).
// How what goes into the gates of a recurrent layer acts on its state, for the way back: slopes by which the gradient of the state
// after a step is multiplied, for all steps at once.
//
// One invocation per unit, batch element and step; of an LSTM, whose cell state it follows, one for all steps. `const CELL` is 0 for a
// plain cell, 1 for a gated recurrent unit, 2 for one whose reset gate scales the product, 3 for a long short-term memory, 4 for one
// whose forget gate is one minus the input gate; `const GATES` counts the gates, `const SLOPES` what is written of a unit.
override HAS_LENGTHS: bool;
override HAS_STATE: bool; // whether an LSTM has a first cell state
override SHIFTED: bool; // the states are those after each step, as the layer answers them

struct Params {
    steps: u32,
    batch: u32,
    hidden: u32,
    directions: u32,
    direction: u32,
    reversed: u32, // whether the direction runs from the last step to the first
    batch_first: u32,
    first_step: u32,
    last_step: u32,
    stride: u32, // packed weights of a direction
    width: u32, // units of a gate among them
    columns: u32, // of a row of `recurrent`
    clip: f32,
    f_alpha: f32,
    f_beta: f32,
    g_alpha: f32,
    g_beta: f32,
    h_alpha: f32,
    h_beta: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> products: array<f32>; // [steps and batch as in X, directions, GATES, hidden]
@group(0) @binding(2) var<storage, read> recurrent: array<f32>; // [steps, batch, columns]: of the states before or, shifted, after
@group(0) @binding(3) var<storage, read> weights: array<f32>; // [directions, stride], packed
@group(0) @binding(4) var<storage, read> lengths: array<i32>; // [batch]
@group(0) @binding(5) var<storage, read> states: array<f32>; // before each step, or as the layer has them; of an LSTM the first cell states
@group(0) @binding(6) var<storage, read> candidates: array<f32>; // [steps, batch, hidden]: of a cell of type 1
@group(0) @binding(7) var<storage, read_write> slopes: array<f32>; // [steps, batch, SLOPES, hidden]
@group(0) @binding(8) var<storage, read_write> memories: array<f32>; // [steps, batch, hidden]: of an LSTM, after each step

// A value and its derivative.
struct Both {
    value: f32,
    slope: f32,
}

// Where an invocation is.
struct Place {
    unit: u32,
    row: u32, // of what has steps before batch
    given: u32, // of the products of the inputs
    before: u32, // of the products of the states
    state: u32, // where the state before it stands
    has_before: bool,
}

fn slope(kind: u32, alpha: f32, beta: f32, x: f32) -> f32 {
    let positive = select(0.0, 1.0, x > 0.0);
    switch kind {
        case 0u: { // Sigmoid
            let s = 1.0 / (1.0 + exp(-x));
            return s * (1.0 - s);
        }
        case 1u: { // Tanh
            let t = tanh(clamp(x, -10.0, 10.0));
            return 1.0 - t * t;
        }
        case 2u: { // Relu
            return positive;
        }
        case 3u: { // Affine
            return alpha;
        }
        case 4u: { // LeakyRelu
            return select(alpha, 1.0, x > 0.0);
        }
        case 5u: { // ThresholdedRelu
            return select(0.0, 1.0, x > alpha);
        }
        case 6u: { // ScaledTanh
            let t = tanh(clamp(beta * x, -10.0, 10.0));
            return alpha * beta * (1.0 - t * t);
        }
        case 7u: { // HardSigmoid
            let y = alpha * x + beta;
            return select(0.0, alpha, y > 0.0 && y < 1.0);
        }
        case 8u: { // Elu
            return select(alpha * exp(min(x, 0.0)), 1.0, x > 0.0);
        }
        case 9u: { // Softsign
            let y = 1.0 + abs(x);
            return 1.0 / (y * y);
        }
        default: { // Softplus
            return 1.0 / (1.0 + exp(-x));
        }
    }
}

fn both(kind: u32, alpha: f32, beta: f32, x: f32) -> Both {
    let inside = clamp(x, -params.clip, params.clip);
    let value = activation(kind, alpha, beta, vec4<f32>(inside)).x;
    return Both(value, select(0.0, slope(kind, alpha, beta, x), inside == x));
}

fn both_f(x: f32) -> Both {
    return both(F, params.f_alpha, params.f_beta, x);
}

fn both_g(x: f32) -> Both {
    return both(G, params.g_alpha, params.g_beta, x);
}

fn time_of(step: u32, length: u32) -> u32 {
    return select(step, length - 1u - step, params.reversed != 0u && step < length);
}

fn place_at(element: u32, unit: u32, step: u32, length: u32) -> Place {
    let time = time_of(step, length);
    let row = time * params.batch + element;
    let batch_first = params.batch_first != 0u;
    let given = select(row, element * params.steps + time, batch_first);
    if !SHIFTED {
        return Place(unit, row, given, row, row * params.hidden + unit, true);
    }
    let last = time_of(max(step, 1u) - 1u, length);
    let by_step = (last * params.directions + params.direction) * params.batch + element;
    let by_element = (element * params.steps + last) * params.directions + params.direction;
    let state = select(by_step, by_element, batch_first) * params.hidden + unit;
    return Place(unit, row, given, last * params.batch + element, state, step > 0u);
}

// Bias `half` (0 of the input product, 1 of the recurrent one) of a gate; behind them stand the peepholes.
fn bias(place: Place, half: u32, gate: u32) -> f32 {
    let start = params.direction * params.stride + GATES * params.width * params.width;
    return weights[start + (half * GATES + gate) * params.width + place.unit];
}

fn peephole(place: Place, which: u32) -> f32 {
    return bias(place, 2u, which);
}

fn of_input(place: Place, gate: u32) -> f32 {
    let row = (place.given * params.directions + params.direction) * GATES + gate;
    return products[row * params.hidden + place.unit] + bias(place, 0u, gate);
}

fn of_state(place: Place, gate: u32) -> f32 {
    var product = 0.0;
    if place.has_before {
        product = recurrent[place.before * params.columns + gate * params.hidden + place.unit];
    }
    return product + bias(place, 1u, gate);
}

fn sum_of(place: Place, gate: u32) -> f32 {
    return of_input(place, gate) + of_state(place, gate);
}

fn put(place: Place, block: u32, value: f32) {
    slopes[(place.row * SLOPES + block) * params.hidden + place.unit] = value;
}

fn gated_unit(place: Place) {
    let update = both_f(sum_of(place, 0u));
    let reset = both_f(sum_of(place, 1u % GATES));
    var before = 0.0;
    if place.has_before {
        before = states[place.state];
    }
    var product = 0.0;
    var candidate: Both;
    if CELL == 2u {
        product = of_state(place, 2u % GATES);
        candidate = both_g(of_input(place, 2u % GATES) + reset.value * product);
    } else {
        let own = candidates[place.row * params.hidden + place.unit] + bias(place, 1u, 2u % GATES);
        candidate = both_g(of_input(place, 2u % GATES) + own);
    }
    let change = (1.0 - update.value) * candidate.slope;
    put(place, 0u, (before - candidate.value) * update.slope);
    put(place, 1u, select(before, change * product, CELL == 2u) * reset.slope);
    put(place, 2u, change);
    put(place, 3u, select(1.0, change, CELL == 2u) * reset.value);
    put(place, 4u, update.value);
}

// Answers the cell state after the step.
fn memory_unit(place: Place, last: f32) -> f32 {
    let input = both_f(sum_of(place, 0u) + peephole(place, 0u) * last);
    var forget = Both(1.0 - input.value, 0.0);
    if CELL == 3u {
        forget = both_f(sum_of(place, 2u % GATES) + peephole(place, 2u) * last);
    }
    let candidate = both_g(sum_of(place, 3u % GATES));
    let after = forget.value * last + input.value * candidate.value;
    let output = both_f(sum_of(place, 1u % GATES) + peephole(place, 1u) * after);
    // The cell state is not clipped on its way out.
    let shown = activation(H, params.h_alpha, params.h_beta, vec4<f32>(after)).x;
    let to_output = shown * output.slope;
    let to_input = (candidate.value - select(0.0, last, CELL == 4u)) * input.slope;
    let to_forget = last * forget.slope;
    put(place, 0u, to_input);
    put(place, 1u, to_output);
    put(place, 2u, to_forget);
    put(place, 3u, input.value * candidate.slope);
    put(place, 4u, output.value * slope(H, params.h_alpha, params.h_beta, after) + to_output * peephole(place, 1u));
    put(place, 5u, forget.value + to_input * peephole(place, 0u) + to_forget * peephole(place, 2u));
    return after;
}

// Nothing stands after the steps of a sequence.
fn clear(place: Place) {
    for (var block = 0u; block < SLOPES; block++) {
        put(place, block, 0.0);
    }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let number = id.x + id.y * groups.x * 64u;
    let states_there_are = params.batch * params.hidden;
    let unit = number % params.hidden;
    let element = number / params.hidden % params.batch;
    var length = params.steps;
    if HAS_LENGTHS {
        // The length comes from data: it is held to the steps there are.
        length = min(u32(max(lengths[element], 0)), params.steps);
    }
    if CELL < 3u {
        let step = number / states_there_are;
        if step >= params.steps {
            return;
        }
        let place = place_at(element, unit, step, length);
        if step >= length {
            clear(place);
        } else if CELL == 0u {
            put(place, 0u, both_f(sum_of(place, 0u)).slope);
        } else {
            gated_unit(place);
        }
        return;
    }
    if number >= states_there_are {
        return;
    }
    var memory = 0.0;
    if params.first_step > 0u {
        memory = memories[place_at(element, unit, params.first_step - 1u, length).row * params.hidden + unit];
    } else if HAS_STATE {
        let by_direction = params.direction * params.batch + element;
        let row = select(by_direction, element * params.directions + params.direction, params.batch_first != 0u);
        memory = states[row * params.hidden + unit];
    }
    for (var step = params.first_step; step < params.last_step; step++) {
        let place = place_at(element, unit, step, length);
        if step < length {
            memory = memory_unit(place, memory);
        } else {
            memory = 0.0;
            clear(place);
        }
        memories[place.row * params.hidden + unit] = memory;
    }
}
