// Takes activation (activation); recurrent_gradient (Both, Params, both_f, both_g, length_of, row_of, slope).
// The way back through the steps of a recurrent layer: one workgroup per batch element, all of whose invocations walk the steps
// together from the last to the first. Each owns the units `local`, `local + WORKGROUP`, ..., makes the gradients of what goes
// into their gates, and adds up what the products with the state hand back to their units. Neighbours read neighbouring
// weights.
//
// `const CELL` is 0 for a plain cell, 1 for a gated recurrent unit, 2 for one whose reset gate scales the product, 3 for a long
// short-term memory, 4 for one whose forget gate is one minus the input gate. `const BLOCKS` counts what goes into the gates of
// a unit, `const MADE` what is written of it, `const OWNED` the units of an invocation, `const CHANGES` those of a workgroup
// times the blocks.
override HAS_LENGTHS: bool;
override HAS_STATE: bool;
override HAS_WORTH: bool;
override HAS_ENDS: bool;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<f32>; // [steps, batch, blocks, hidden]
@group(0) @binding(2) var<storage, read> weights: array<f32>; // [gates * hidden, hidden], then [3, hidden]
@group(0) @binding(3) var<storage, read> before: array<f32>; // [steps, batch, hidden] or, of an LSTM, the first [batch, hidden]
@group(0) @binding(4) var<storage, read> lengths: array<i32>; // [batch]
@group(0) @binding(5) var<storage, read> worth: array<f32>; // [steps, batch, hidden]
@group(0) @binding(6) var<storage, read> ends: array<f32>; // [states, batch, hidden]
@group(0) @binding(7) var<storage, read_write> made: array<f32>; // [steps, batch, made, hidden]
@group(0) @binding(8) var<storage, read_write> first: array<f32>; // [states, batch, hidden]; between dispatches, what is carried

var<workgroup> changes: array<f32, CHANGES>;
var<private> carried: array<f32, OWNED>;
var<private> memory: array<f32, OWNED>;

// What the rows `begin` to `end` of the weights hand back to a unit.
fn through_weights(unit: u32, start: u32, begin: u32, end: u32) -> f32 {
    var sum = 0.0;
    for (var k = begin; k < end; k++) {
        sum += weights[k * params.hidden + unit] * changes[start + k];
    }
    return sum;
}

fn sum_of(row: u32, block: u32, unit: u32) -> f32 {
    return sums[(row * BLOCKS + block) * params.hidden + unit];
}

fn peephole(gate: u32, unit: u32) -> f32 {
    return weights[(4u * params.hidden + gate) * params.hidden + unit];
}

fn put(block: u32, unit: u32, change: f32) {
    changes[block * params.hidden + unit] = change;
}

// The gradients of what goes into the gates of a unit, into `changes`; what stays for the state before the step without a
// product.
fn gates(element: u32, row: u32, step: u32, length: u32, unit: u32, own: u32) -> f32 {
    let h = carried[own];
    if CELL == 0u {
        put(0u, unit, h * both_f(sum_of(row, 0u, unit)).slope);
        return 0.0;
    }
    if CELL < 3u {
        let update = both_f(sum_of(row, 0u, unit));
        let reset = both_f(sum_of(row, 1u, unit));
        var product = 0.0;
        if CELL == 2u {
            product = sum_of(row, BLOCKS - 1u, unit);
        }
        let candidate = both_g(sum_of(row, 2u % BLOCKS, unit) + select(0.0, reset.value * product, CELL == 2u));
        let change = h * (1.0 - update.value) * candidate.slope;
        put(0u, unit, h * (before[row * params.hidden + unit] - candidate.value) * update.slope);
        put(2u % BLOCKS, unit, change);
        if CELL == 2u {
            put(1u % BLOCKS, unit, change * product * reset.slope);
            put(BLOCKS - 1u, unit, change * reset.value);
        }
        return h * update.value;
    }
    var last = 0.0;
    if step > 0u {
        last = made[(row_of(element, step - 1u, length) * MADE + 4u) * params.hidden + unit];
    } else if HAS_STATE {
        last = before[element * params.hidden + unit];
    }
    let after = made[(row * MADE + 4u) * params.hidden + unit];
    let input = both_f(sum_of(row, 0u, unit) + peephole(0u, unit) * last);
    var forget = Both(1.0 - input.value, 0.0);
    if CELL == 3u {
        forget = both_f(sum_of(row, 2u % BLOCKS, unit) + peephole(2u, unit) * last);
    }
    let candidate = both_g(sum_of(row, BLOCKS - 1u, unit));
    let output = both_f(sum_of(row, 1u % BLOCKS, unit) + peephole(1u, unit) * after);
    // The cell state is not clipped on its way out.
    let shown = activation(H, params.h_alpha, params.h_beta, vec4<f32>(after)).x;
    let of_output = h * shown * output.slope;
    let of_shown = h * output.value * slope(H, params.h_alpha, params.h_beta, after);
    let of_memory = memory[own] + of_shown + of_output * peephole(1u, unit);
    let coupled = select(0.0, of_memory * last, CELL == 4u);
    let of_input = (of_memory * candidate.value - coupled) * input.slope;
    let of_forget = of_memory * last * forget.slope;
    put(0u, unit, of_input);
    put(1u % BLOCKS, unit, of_output);
    put(2u % BLOCKS, unit, of_forget);
    put(BLOCKS - 1u, unit, of_memory * input.value * candidate.slope);
    memory[own] = of_memory * forget.value + of_input * peephole(0u, unit) + of_forget * peephole(2u, unit);
    return 0.0;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let element = workgroup.x;
    let length = length_of(element);
    let states = params.batch * params.hidden;
    let start = element * params.hidden;
    for (var own = 0u; own < OWNED; own++) {
        let unit = local + own * WORKGROUP;
        carried[own] = 0.0;
        memory[own] = 0.0;
        if unit < params.hidden {
            if params.last_step < params.steps {
                carried[own] = first[start + unit];
                if CELL >= 3u {
                    memory[own] = first[states + start + unit];
                }
            } else if HAS_ENDS {
                carried[own] = ends[start + unit];
                if CELL >= 3u {
                    memory[own] = ends[states + start + unit];
                }
            }
        }
    }

    for (var turn = params.last_step; turn > params.first_step; turn--) {
        let step = turn - 1u;
        let inside = step < length;
        let row = row_of(element, step, length);
        for (var own = 0u; own < OWNED; own++) {
            let unit = local + own * WORKGROUP;
            if unit < params.hidden {
                if inside {
                    if HAS_WORTH {
                        carried[own] += worth[row * params.hidden + unit];
                    }
                    carried[own] = gates(element, row, step, length, unit, own);
                } else {
                    for (var block = 0u; block < BLOCKS; block++) {
                        put(block, unit, 0.0);
                    }
                }
            }
        }
        workgroupBarrier();
        if CELL == 1u {
            // The candidate's product with the scaled state comes before the gate that scales it.
            for (var own = 0u; own < OWNED; own++) {
                let unit = local + own * WORKGROUP;
                if unit < params.hidden && inside {
                    let scaled = through_weights(unit, 0u, 2u * params.hidden, 3u * params.hidden);
                    let reset = both_f(sum_of(row, 1u % BLOCKS, unit));
                    put(1u % BLOCKS, unit, scaled * before[row * params.hidden + unit] * reset.slope);
                    carried[own] += scaled * reset.value;
                }
            }
            workgroupBarrier();
        }
        for (var own = 0u; own < OWNED; own++) {
            let unit = local + own * WORKGROUP;
            if unit < params.hidden {
                if inside {
                    if CELL == 0u {
                        carried[own] += through_weights(unit, 0u, 0u, params.hidden);
                    } else if CELL < 3u {
                        carried[own] += through_weights(unit, 0u, 0u, 2u * params.hidden);
                        if CELL == 2u {
                            // The product stands behind the candidate's own block.
                            carried[own] += through_weights(unit, params.hidden, 2u * params.hidden, 3u * params.hidden);
                        }
                    } else {
                        carried[own] += through_weights(unit, 0u, 0u, 4u * params.hidden);
                    }
                }
                for (var block = 0u; block < BLOCKS; block++) {
                    made[(row * MADE + block) * params.hidden + unit] = changes[block * params.hidden + unit];
                }
            }
        }
        workgroupBarrier();
    }

    for (var own = 0u; own < OWNED; own++) {
        let unit = local + own * WORKGROUP;
        if unit < params.hidden {
            first[start + unit] = carried[own];
            if CELL >= 3u {
                first[states + start + unit] = memory[own];
            }
        }
    }
}
