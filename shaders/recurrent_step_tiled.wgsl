// One step of a recurrent layer for GPUs: a matrix product of states and weights, tile by tile, whose sums become the next
// state. A prelude holds the equations of the cell.
//
// A workgroup of 8 by 8 invocations makes 8 groups of four units (x) of every gate for 32 batch elements (y); each invocation
// one group for four batch elements, with a 4x4 block of sums per gate. It walks the units of the state before in steps of STEP,
// `const TERMS` (4 or STEP) of them spelled out; states are kept as [unit][batch in fours], so that both tiles are read in vectors
// of four, and what a step needs is loaded while the one before is computed. What is left over whole steps comes first, so
// that the steps test nothing; the last of them, which has nothing to load, stands by itself. The grid runs over groups of
// units (x), batch elements (y) and directions (z).
override LAST: bool; // whether this is the last step

// [directions, 4 * UNITS, batch in fours]; before a second product three of these.
@group(0) @binding(4) var<storage, read> state: array<vec4<f32>>;
// As the next dispatch takes the state, and after the last step [directions, batch, hidden], or batch first.
@group(0) @binding(7) var<storage, read_write> next: array<f32>;

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

// Fours of batch elements.
fn quads_of_batch() -> u32 {
    return (params.batch + 3u) / 4u;
}

// Where the first of four units of state `which` stands, given where that of state 0 does.
fn state_start(at: u32, which: u32) -> u32 {
    return at + which * params.directions * ROWS * quads_of_batch();
}

// Four units of batch element `k` of four.
fn load_state(at: u32, k: u32, which: u32) -> vec4<f32> {
    let from_unit = state_start(at, which);
    let quads = quads_of_batch();
    return vec4(
        state[from_unit][k],
        state[from_unit + quads][k],
        state[from_unit + 2u * quads][k],
        state[from_unit + 3u * quads][k],
    );
}

fn store_state(at: u32, k: u32, which: u32, value: vec4<f32>) {
    if LAST {
        return;
    }
    for (var i = 0u; i < 4u; i++) {
        next[(state_start(at, which) + i * quads_of_batch()) * 4u + k] = value[i];
    }
}

// Leaves one unit of the state in the order of the layer's output, if this is the last step.
fn answer_state(at: u32, value: f32) {
    if LAST {
        next[at] = value;
    }
}

fn pick(sums: mat4x4<f32>, k: u32) -> vec4<f32> {
    return select(select(sums[0], sums[1], k == 1u), select(sums[2], sums[3], k == 3u), k > 1u);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let direction = params.first_direction + tile.z;
    let quads = quads_of_batch();
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
    for (var k = 0u; k < min(4u, params.batch - quad * 4u); k++) {
        set_sums(pick(all.g0, k), pick(all.g1, k), pick(all.g2, k), pick(all.g3, k));
        let element = quad * 4u + k;
        let place = Place(unit, direction, 0u, 0u, product_row(element, params.first_step, is_backward(direction)));
        take_product(place, element, own, k);
    }
}
