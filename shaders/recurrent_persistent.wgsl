// Takes four_vectors or four_words; recurrent (Params, Place, is_backward, length_of, output_start, product_row, state_row);
// recurrent_groups or recurrent_scalars (memory_group); activation; cell_rnn or cell_gru or cell_lstm (GATES, HAS_MEMORY,
// TWO_PRODUCTS, next_state, scaled_state); recurrent_weights or recurrent_weights_blocks (bias, weight_row, weight_start);
// perhaps texels.
// The steps of a recurrent layer, one after another within one dispatch; a prelude holds the equations of the cell.
//
// One workgroup per direction (y) and TILE batch elements (x). The state lives in workgroup memory as groups of four
// hidden units, in two copies that take turns. Lane `l` of LANES owns groups `l`, `l + LANES`, ... of every gate; SLICES
// lanes share the sum over the state and the first of them adds up. Packed weights are read in fours of units, so
// neighbouring lanes read neighbouring memory, and each is used for TILE batch elements.
//
// `const UNITS` counts groups of units, `const OWNED` those of one lane, `const STATES` and `const PARTS` the groups of
// workgroup memory for states and for partial sums.
override HAS_LENGTHS: bool;
override HAS_CELL_STATE: bool;
override WRITES_STEPS: bool;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(4) var<storage, read> first_state: array<f32>; // [directions, batch, hidden], or batch first
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [steps, directions, batch, hidden], or batch, steps, directions
@group(0) @binding(7) var<storage, read_write> last_state: array<f32>; // as first_state
@group(0) @binding(8) var<storage, read_write> last_memory: array<f32>; // as first_state

var<workgroup> state: array<vec4<f32>, STATES>;
var<workgroup> parts: array<vec4<f32>, PARTS>;

// Products of state and weights, by gate and batch element.
var<private> sums: array<vec4<f32>, GATES * TILE>;
// What of them a second product must not overwrite.
var<private> kept: array<vec4<f32>, OWNED * TILE>;
// The cell state of an LSTM.
var<private> memory: array<vec4<f32>, OWNED * TILE>;

fn state_group(row: u32, unit: u32) -> vec4<f32> {
    var group = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        if unit * 4u + k < params.hidden {
            group[k] = first_state[row * params.hidden + unit * 4u + k];
        }
    }
    return group;
}

fn from_state(place: Place, gate: u32) -> vec4<f32> {
    return sums[gate * TILE + place.tile] + bias(place, 1u, gate);
}

// Adds to `sums` the products of gates `first` to `last` with the states that begin at `source`.
fn accumulate(direction: u32, unit: u32, slice: u32, source: u32, first: u32, last: u32) {
    for (var gate = first; gate < last; gate++) {
        for (var tile = 0u; tile < TILE; tile++) {
            sums[gate * TILE + tile] = vec4<f32>(0.0);
        }
    }
    let start = weight_start(direction, unit);
    for (var group = slice; group < UNITS; group += SLICES) {
        var inputs: array<vec4<f32>, TILE>;
        for (var tile = 0u; tile < TILE; tile++) {
            inputs[tile] = state[source + tile * UNITS + group];
        }
        for (var k = 0u; k < 4u; k++) {
            for (var gate = first; gate < last; gate++) {
                let weight = weight_row(start, group, k, gate);
                for (var tile = 0u; tile < TILE; tile++) {
                    sums[gate * TILE + tile] += weight * inputs[tile][k];
                }
            }
        }
    }
}

// Adds the sums of all slices in slice 0. Every lane must call.
fn add_slices(lane: u32, slice: u32, first: u32, last: u32) {
    if SLICES == 1u {
        return;
    }
    if slice > 0u {
        for (var k = first * TILE; k < last * TILE; k++) {
            parts[((slice - 1u) * GATES * TILE + k) * LANES + lane] = sums[k];
        }
    }
    workgroupBarrier();
    if slice == 0u {
        for (var other = 0u; other < SLICES - 1u; other++) {
            for (var k = first * TILE; k < last * TILE; k++) {
                sums[k] += parts[(other * GATES * TILE + k) * LANES + lane];
            }
        }
    }
    workgroupBarrier();
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lane = local % LANES;
    let slice = local / LANES;
    let direction = params.first_direction + workgroup.y;
    let first_element = workgroup.x * TILE;
    let backward = is_backward(direction);

    for (var own = 0u; own < OWNED; own++) {
        let unit = lane + own * LANES;
        for (var tile = 0u; tile < TILE; tile++) {
            var h = vec4<f32>(0.0);
            var c = vec4<f32>(0.0);
            if first_element + tile < params.batch && unit < UNITS {
                let row = state_row(direction, first_element + tile);
                if params.has_state != 0u {
                    h = state_group(row, unit);
                }
                if HAS_CELL_STATE {
                    c = memory_group(row, unit);
                }
            }
            if unit < UNITS && slice == 0u {
                state[(params.first_step % 2u * TILE + tile) * UNITS + unit] = h;
            }
            memory[own * TILE + tile] = c;
        }
    }
    workgroupBarrier();

    for (var step = params.first_step; step < params.last_step; step++) {
        let now = step % 2u * TILE * UNITS;
        let next = (step + 1u) % 2u * TILE * UNITS;
        let scaled = 2u * TILE * UNITS;
        if TWO_PRODUCTS {
            for (var own = 0u; own < OWNED; own++) {
                let unit = lane + own * LANES;
                if unit < UNITS {
                    accumulate(direction, unit, slice, now, 0u, GATES - 1u);
                }
                add_slices(lane, slice, 0u, GATES - 1u);
                for (var tile = 0u; tile < TILE; tile++) {
                    kept[own * TILE + tile] = sums[tile];
                    let place = place_at(direction, unit, own, tile, first_element + tile, step, backward);
                    if unit < UNITS && slice == 0u {
                        var h = state[now + tile * UNITS + unit];
                        if first_element + tile < params.batch {
                            h = scaled_state(place, h);
                        }
                        state[scaled + tile * UNITS + unit] = h;
                    }
                }
            }
            workgroupBarrier();
        }
        for (var own = 0u; own < OWNED; own++) {
            let unit = lane + own * LANES;
            if unit < UNITS {
                if TWO_PRODUCTS {
                    accumulate(direction, unit, slice, scaled, GATES - 1u, GATES);
                } else {
                    accumulate(direction, unit, slice, now, 0u, GATES);
                }
            }
            if TWO_PRODUCTS {
                add_slices(lane, slice, GATES - 1u, GATES);
            } else {
                add_slices(lane, slice, 0u, GATES);
            }
            if unit < UNITS && slice == 0u {
                for (var tile = 0u; tile < TILE; tile++) {
                    if TWO_PRODUCTS {
                        sums[tile] = kept[own * TILE + tile];
                    }
                    take_step(direction, unit, own, tile, first_element + tile, step, backward, now, next);
                }
            }
        }
        workgroupBarrier();
    }

    let final_state = params.last_step % 2u * TILE * UNITS;
    for (var own = 0u; own < OWNED; own++) {
        let unit = lane + own * LANES;
        for (var tile = 0u; tile < TILE; tile++) {
            let start = state_row(direction, first_element + tile) * params.hidden;
            for (var k = 0u; k < 4u; k++) {
                if first_element + tile < params.batch && slice == 0u && unit * 4u + k < params.hidden {
                    last_state[start + unit * 4u + k] = state[final_state + tile * UNITS + unit][k];
                    if HAS_MEMORY {
                        last_memory[start + unit * 4u + k] = memory[own * TILE + tile][k];
                    }
                }
            }
        }
    }
}

fn place_at(direction: u32, unit: u32, own: u32, tile: u32, element: u32, step: u32, backward: bool) -> Place {
    let row = product_row(element, step, backward);
    return Place(unit, direction, tile, own * TILE + tile, row);
}

// Makes the next state of one group of units, and writes it as the output of its step.
fn take_step(direction: u32, unit: u32, own: u32, tile: u32, element: u32, step: u32, backward: bool, now: u32, next: u32) {
    let h = state[now + tile * UNITS + unit];
    if element >= params.batch {
        state[next + tile * UNITS + unit] = h;
        return;
    }
    let place = place_at(direction, unit, own, tile, element, step, backward);
    let inside = step < length_of(element);
    var after = h;
    var written = vec4<f32>(0.0);
    if inside {
        after = next_state(place, h);
        written = after;
    }
    state[next + tile * UNITS + unit] = after;
    if WRITES_STEPS {
        let start = output_start(place.row, direction, element) + unit * 4u;
        for (var k = 0u; k < 4u; k++) {
            if unit * 4u + k < params.hidden {
                y[start + k] = written[k];
            }
        }
    }
}
