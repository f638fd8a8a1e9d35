// One step of a recurrent layer for GPUs: a matrix product of states and weights, tile by tile, whose sums become the next
// state. A prelude holds the equations of the cell.
//
// A workgroup of 8 by 8 invocations makes 8 groups of four units (x) of every gate for 32 batch elements (y); each invocation
// one group for four batch elements, with a 4x4 block of sums per gate. It walks the units of the state before in steps of STEP,
// `const TERMS` (4 or STEP) of them spelled out; states are kept as [unit][batch in fours], so that both tiles are read in vectors
// of four, and what a step needs is loaded while the one before is computed. What is left over whole steps comes first, so
// that the steps test nothing; the last of them, which has nothing to load, stands by itself. The grid runs over groups of
// units (x), batch elements (y) and directions (z).
//
// `const PRODUCT` is 0 where a step is one product, of gates 0 to SUMMED. A cell that takes two makes two dispatches of a step:
// 1 is the product of the gates but the last, which leaves the state scaled by the reset gate, the sums of gate 0 and the
// state itself; 2 is that of the last gate with the scaled state.
override HAS_LENGTHS: bool;
override HAS_CELL_STATE: bool;
override WRITES_STEPS: bool;
override LAST: bool; // whether this is the last step

@group(0) @binding(0) var<uniform> params: Params;
// [directions, 4 * UNITS, batch in fours]; before a second product three of these: scaled state, sums of gate 0, state.
@group(0) @binding(4) var<storage, read> state: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [steps, directions, batch, hidden], or batch, steps, directions
// As the next dispatch takes the state, and after the last step [directions, batch, hidden], or batch first.
@group(0) @binding(7) var<storage, read_write> next: array<f32>;
@group(0) @binding(8) var<storage, read_write> last_memory: array<f32>; // [directions, batch, hidden], or batch first

const STEP: u32 = 16u;
const SIDE: u32 = 8u;
const ROWS: u32 = 4u * UNITS;

var<workgroup> state_tile: array<vec4<f32>, STEP * SIDE>; // [STEP][batch in fours]
var<workgroup> weight_tile: array<vec4<f32>, STEP * SUMMED * SIDE>; // [STEP][SUMMED][groups of units]

// Sums of four batch elements, by gate from FIRST_GATE on.
struct Sums {
    g0: mat4x4<f32>,
    g1: mat4x4<f32>,
    g2: mat4x4<f32>,
    g3: mat4x4<f32>,
}

// What one invocation brings of both tiles.
struct Brought {
    states: array<vec4<f32>, STEP / SIDE>,
    weights: array<vec4<f32>, STEP / SIDE * SUMMED>,
}

// What the cell's equations ask for: the sums of one batch element, and the cell state of an LSTM.
var<private> sums: array<vec4<f32>, 4>;
var<private> memory: array<vec4<f32>, 1>;

fn from_state(place: Place, gate: u32) -> vec4<f32> {
    return sums[gate] + bias(place, 1u, gate);
}

// A block of sums, batch element by batch element, and the outer product of their states and four weights.
fn add_product(sums: mat4x4<f32>, h: vec4<f32>, w: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(sums[0] + h.x * w, sums[1] + h.y * w, sums[2] + h.z * w, sums[3] + h.w * w);
}

// Adds the products of row i of the tiles; the gate that is loaded last goes first, which makes one wait of SUMMED.
fn add_term(all: ptr<function, Sums>, i: u32, id: vec3<u32>) {
    let h = state_tile[i * SIDE + id.y];
    var w: array<vec4<f32>, SUMMED>;
    for (var gate = 0u; gate < SUMMED; gate++) {
        w[gate] = weight_tile[(i * SUMMED + gate) * SIDE + id.x];
    }
    if SUMMED > 3u {
        (*all).g3 = add_product((*all).g3, h, w[SUMMED - 1u]);
    }
    if SUMMED > 2u {
        (*all).g2 = add_product((*all).g2, h, w[min(2u, SUMMED - 1u)]);
    }
    if SUMMED > 1u {
        (*all).g1 = add_product((*all).g1, h, w[min(1u, SUMMED - 1u)]);
    }
    (*all).g0 = add_product((*all).g0, h, w[0]);
}

fn add_four_terms(all: ptr<function, Sums>, i: u32, id: vec3<u32>) {
    add_term(all, i, id);
    add_term(all, i + 1u, id);
    add_term(all, i + 2u, id);
    add_term(all, i + 3u, id);
}

// Adds `terms` products, a multiple of four.
fn add_terms(all: ptr<function, Sums>, terms: u32, id: vec3<u32>) {
    for (var i = 0u; i < terms; i += 4u) {
        add_four_terms(all, i, id);
    }
}

// Two rows, from where the weights and the states begin; a row of states is `starts.z` long.
fn brought(starts: vec3<u32>, rows: vec2<u32>) -> Brought {
    var values: Brought;
    for (var i = 0u; i < STEP / SIDE; i++) {
        for (var gate = 0u; gate < SUMMED; gate++) {
            values.weights[i * SUMMED + gate] = four(weights[starts.x + (rows[i] * GATES + FIRST_GATE + gate) * UNITS]);
        }
        values.states[i] = state[starts.y + rows[i] * starts.z];
    }
    return values;
}

fn put(values: Brought, id: vec3<u32>) {
    for (var i = 0u; i < STEP / SIDE; i++) {
        let row = i * SIDE + id.y;
        for (var gate = 0u; gate < SUMMED; gate++) {
            weight_tile[(row * SUMMED + gate) * SIDE + id.x] = values.weights[i * SUMMED + gate];
        }
        state_tile[row * SIDE + id.x] = values.states[i];
    }
}

// Takes one batch element to its next state, for one group of units.
fn take_step(place: Place, element: u32, h: vec4<f32>) -> vec4<f32> {
    let at = state_row(place.direction, element);
    memory[0] = vec4<f32>(0.0);
    if HAS_CELL_STATE {
        memory[0] = memory_group(at, place.unit);
    }
    var after = h;
    var written = vec4<f32>(0.0);
    if params.first_step < length_of(element) {
        after = next_state(place, h);
        written = after;
    }
    let start = at * params.hidden + place.unit * 4u;
    let output = output_start(place.row, place.direction, element) + place.unit * 4u;
    for (var k = 0u; k < min(4u, params.hidden - place.unit * 4u); k++) {
        if LAST {
            next[start + k] = after[k];
        }
        if HAS_MEMORY {
            last_memory[start + k] = memory[0][k];
        }
        if WRITES_STEPS {
            y[output + k] = written[k];
        }
    }
    return after;
}

// Four units of one batch element, whose first stands at `at` of what is kept as states are.
fn state_at(at: u32, quads: u32, k: u32) -> vec4<f32> {
    return vec4(state[at][k], state[at + quads][k], state[at + 2u * quads][k], state[at + 3u * quads][k]);
}

fn pick(sums: mat4x4<f32>, k: u32) -> vec4<f32> {
    return select(select(sums[0], sums[1], k == 1u), select(sums[2], sums[3], k == 3u), k > 1u);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let direction = params.first_direction + tile.z;
    let quads = (params.batch + 3u) / 4u;
    let unit = tile.x * SIDE + id.x;
    let quad = tile.y * SIDE + id.y;
    // What this invocation brings; past the edges that of the last, which nobody stores.
    let weights_from = direction * params.stride + min(unit, UNITS - 1u);
    let states_from = direction * ROWS * quads + min(tile.y * SIDE + id.x, quads - 1u);
    let starts = vec3(weights_from, states_from, quads);
    var all: Sums;
    if params.has_state != 0u {
        let left = ROWS % STEP;
        if left > 0u {
            let last = vec2(ROWS - left + id.y, ROWS - left + id.y + SIDE);
            put(brought(starts, min(last, vec2(ROWS - 1u))), id);
            workgroupBarrier();
            add_terms(&all, left, id);
            workgroupBarrier();
        }
        if ROWS >= STEP {
            put(brought(starts, vec2(id.y, id.y + SIDE)), id);
            workgroupBarrier();
            for (var k = STEP; k + left < ROWS; k += STEP) {
                let values = brought(starts, vec2(k + id.y, k + id.y + SIDE));
                if TERMS == STEP {
                    add_four_terms(&all, 0u, id);
                    add_four_terms(&all, 4u, id);
                    add_four_terms(&all, 8u, id);
                    add_four_terms(&all, 12u, id);
                } else {
                    add_terms(&all, STEP, id);
                }
                workgroupBarrier();
                put(values, id);
                workgroupBarrier();
            }
            add_terms(&all, STEP, id);
        }
    }
    if unit >= UNITS || quad >= quads {
        return;
    }
    let own = (direction * ROWS + unit * 4u) * quads + quad;
    let all_states = params.directions * ROWS * quads;
    for (var k = 0u; k < min(4u, params.batch - quad * 4u); k++) {
        sums[FIRST_GATE] = pick(all.g0, k);
        if SUMMED > 1u {
            sums[1] = pick(all.g1, k);
        }
        if SUMMED > 2u {
            sums[2] = pick(all.g2, k);
        }
        if SUMMED > 3u {
            sums[3] = pick(all.g3, k);
        }
        var h = vec4<f32>(0.0);
        if params.has_state != 0u && PRODUCT == 2u {
            sums[0] = state_at(own + all_states, quads, k);
            h = state_at(own + 2u * all_states, quads, k);
        } else if params.has_state != 0u {
            h = state_at(own, quads, k);
        }
        let element = quad * 4u + k;
        let place = Place(unit, direction, 0u, 0u, product_row(element, params.first_step, is_backward(direction)));
        if PRODUCT == 1u {
            let scaled = scaled_state(place, h);
            for (var i = 0u; i < 4u; i++) {
                let at = own + i * quads;
                next[at * 4u + k] = scaled[i];
                next[(at + all_states) * 4u + k] = sums[0][i];
                next[(at + 2u * all_states) * 4u + k] = h[i];
            }
            continue;
        }
        let after = take_step(place, element, h);
        if !LAST {
            for (var i = 0u; i < 4u; i++) {
                next[(own + i * quads) * 4u + k] = after[i];
            }
        }
    }
}
