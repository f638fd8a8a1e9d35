// What the kernels share that go back through the steps of a recurrent layer: parameters, where things stand, and how the gradient
// of a state becomes those of what goes into the gates. Hidden units go in groups of four; `const UNITS` counts the groups.
//
// `const CELL` is 0 for a plain cell, 1 for a gated recurrent unit, 2 for one whose reset gate scales the product, 3 for a long
// short-term memory. Of a unit `const GATES` counts what the product with the state takes, `const SLOPES` the slopes, `const MADE`
// the gradients that are written: those of the gates and, of cell 2, the same again with the product's in the candidate's place.
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
}

override HAS_LENGTHS: bool;
override HAS_WORTH: bool;
override HAS_END_STATE: bool;
override HAS_END_MEMORY: bool;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> lengths: array<i32>; // [batch]
@group(0) @binding(7) var<storage, read_write> made: array<f32>; // [steps, batch, MADE, hidden]
@group(0) @binding(8) var<storage, read_write> first: array<f32>; // [states, batch, hidden]; between dispatches, what is carried

// Four units of what goes into each gate; a cell of type 2 has its product as the fourth.
var<private> gates: array<vec4<f32>, 4>;
// Four units of the gradient of the cell state.
var<private> memory_back: vec4<f32>;

fn length_of(element: u32) -> u32 {
    if HAS_LENGTHS {
        // The length comes from data: it is held to the steps there are.
        return min(u32(max(lengths[element], 0)), params.steps);
    }
    return params.steps;
}

// Which row of all steps a batch element takes at a step.
fn row_of(element: u32, step: u32, length: u32) -> u32 {
    var time = step;
    if params.reversed != 0u && step < length {
        time = length - 1u - step;
    }
    return time * params.batch + element;
}

// Four units of what a change of the output of a row is worth.
fn worth_at(element: u32, row: u32, unit: u32) -> vec4<f32> {
    if !HAS_WORTH {
        return vec4<f32>(0.0);
    }
    let time = row / params.batch;
    let by_step = (time * params.directions + params.direction) * params.batch + element;
    let by_element = (element * params.steps + time) * params.directions + params.direction;
    return worth_group(select(by_step, by_element, params.batch_first != 0u), unit);
}

fn first_group(which: u32, element: u32, unit: u32) -> vec4<f32> {
    let start = (which * params.batch + element) * params.hidden + unit * 4u;
    var group = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        if unit * 4u + k < params.hidden {
            group[k] = first[start + k];
        }
    }
    return group;
}

fn put_first(which: u32, element: u32, unit: u32, group: vec4<f32>) {
    let start = (which * params.batch + element) * params.hidden + unit * 4u;
    for (var k = 0u; k < 4u; k++) {
        if unit * 4u + k < params.hidden {
            first[start + k] = group[k];
        }
    }
}

// Four units of the gradient of the state after the last of these steps, that of the cell state in `memory_back`.
fn handed_back(element: u32, unit: u32) -> vec4<f32> {
    var h = vec4<f32>(0.0);
    memory_back = vec4<f32>(0.0);
    let by_direction = params.direction * params.batch + element;
    let row = select(by_direction, element * params.directions + params.direction, params.batch_first != 0u);
    if params.last_step < params.steps {
        h = first_group(0u, element, unit);
        if CELL == 3u {
            memory_back = first_group(1u, element, unit);
        }
    } else {
        if HAS_END_STATE {
            h = end_state_group(row, unit);
        }
        if HAS_END_MEMORY {
            memory_back = end_memory_group(row, unit);
        }
    }
    return h;
}

fn put_made(row: u32, block: u32, unit: u32, group: vec4<f32>) {
    let start = (row * MADE + block) * params.hidden + unit * 4u;
    for (var k = 0u; k < 4u; k++) {
        if unit * 4u + k < params.hidden {
            made[start + k] = group[k];
        }
    }
}

// What the product with the state takes in place of a gate.
fn change(gate: u32) -> vec4<f32> {
    if CELL == 2u && gate == 2u {
        return gates[3];
    }
    return gates[gate];
}

// Takes four units back to before a step: what the gates are given into `gates` and `made`. Answers what goes to the state before
// without a product; `memory_back` becomes the gradient of the cell state before.
fn go_back(element: u32, step: u32, unit: u32, carried: vec4<f32>) -> vec4<f32> {
    let length = length_of(element);
    let row = row_of(element, step, length);
    var kept = carried;
    for (var gate = 0u; gate < 4u; gate++) {
        gates[gate] = vec4<f32>(0.0);
    }
    if step < length {
        let h = carried + worth_at(element, row, unit);
        kept = vec4<f32>(0.0);
        if CELL == 0u {
            gates[0] = h * slope_group(row, 0u, unit);
        } else if CELL < 3u {
            gates[0] = h * slope_group(row, 0u, unit);
            gates[2] = h * slope_group(row, 2u, unit);
            if CELL == 2u {
                gates[1] = h * slope_group(row, 1u, unit);
                gates[3] = h * slope_group(row, 3u, unit);
            }
            kept = h * slope_group(row, 4u, unit);
        } else {
            let of_memory = memory_back + h * slope_group(row, 4u, unit);
            gates[0] = of_memory * slope_group(row, 0u, unit);
            gates[1] = h * slope_group(row, 1u, unit);
            gates[2] = of_memory * slope_group(row, 2u, unit);
            gates[3] = of_memory * slope_group(row, 3u, unit);
            memory_back = of_memory * slope_group(row, 5u, unit);
        }
    }
    for (var gate = 0u; gate < GATES; gate++) {
        put_made(row, gate, unit, gates[gate]);
        if CELL == 2u {
            put_made(row, GATES + gate, unit, change(gate));
        }
    }
    return kept;
}

// A cell of type 1, once the gradient of the scaled state is known: that of the reset gate, which is written and answered as x, and what
// goes to the state before as y.
fn through_reset(element: u32, step: u32, unit: u32, scaled: vec4<f32>) -> mat2x4<f32> {
    let length = length_of(element);
    if step >= length {
        return mat2x4<f32>();
    }
    let row = row_of(element, step, length);
    let reset = scaled * slope_group(row, 1u, unit);
    put_made(row, 1u, unit, reset);
    return mat2x4<f32>(reset, scaled * slope_group(row, 3u, unit));
}
