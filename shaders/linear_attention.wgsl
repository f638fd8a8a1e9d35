// Takes four_vectors or four_words; linear_attention_vectors or linear_attention_scalars (key_group, query_group).
// Linear attention token by token: the state of a head, a matrix [size, value size], fades by the token's gate, takes in
// the product of key and value, and is read by the queries that share it. By the delta rule (Yang et al. 2024, "Parallelizing
// Linear Transformers with the Delta Rule") a value counts by how far it is from what the state holds for its key.
//
// Columns of the state know nothing of each other, so that a workgroup takes COLUMNS of them of one head of one batch element,
// and walks over the tokens with these in registers. SLICES lanes share a column: lane `slice * COLUMNS + column` owns groups
// `slice`, `slice + SLICES`, ... of four rows, OWNED of them; their sums are added up through workgroup memory. A dispatch takes
// tokens `first` to `last`; later ones go on from the state that those before them left.
//
// `const SIZE` counts the rows of a state, `const GROUPS` its groups of four.

override GATE: u32; // 0 none, 1 a number for each head, 2 one for each row of the state
override DELTA: bool;
override START: u32; // the state is 0 zero at first, 1 given, 2 what the dispatch before left

struct Params {
    rows: u32, // batch * heads
    heads: u32,
    shared_by: u32, // heads of queries that share a state
    steps: u32,
    first: u32,
    last: u32,
    value_size: u32,
    rates: u32, // update rates of a token: one for each head, or one
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> values: array<f32>; // batch, steps, heads, value size
@group(0) @binding(4) var<storage, read> past: array<f32>;   // batch, heads, size, value size
@group(0) @binding(5) var<storage, read> decay: array<f32>;  // batch, steps, heads, size or 1
@group(0) @binding(6) var<storage, read> beta: array<f32>;   // batch, steps, rates
@group(0) @binding(7) var<storage, read_write> output: array<f32>;  // batch, steps, heads * shared_by, value size
@group(0) @binding(8) var<storage, read_write> present: array<f32>; // as past

// Sums of two turns, since no lane may write those of a turn while another reads them.
var<workgroup> parts: array<f32, 2u * SLICES * COLUMNS>;

// The sum over the slices of a column. All lanes must call; `turn` counts the calls.
fn over_slices(part: f32, lane: u32, turn: u32) -> f32 {
    if SLICES == 1u {
        return part;
    }
    let first = turn % 2u * SLICES * COLUMNS;
    parts[first + lane] = part;
    workgroupBarrier();
    var sum = 0.0;
    for (var slice = 0u; slice < SLICES; slice++) {
        sum += parts[first + slice * COLUMNS + lane % COLUMNS];
    }
    return sum;
}

// The element of a state that a dispatch begins with; 0 past the last row.
fn first_state(row: u32, column: u32, state_row: u32) -> f32 {
    let at = (row * SIZE + state_row) * params.value_size + column;
    if START == 0u || state_row >= SIZE {
        return 0.0;
    }
    if START == 1u {
        return past[at];
    }
    return present[at];
}

// What a group of rows fades by.
fn gate_of(row: u32, group: u32) -> vec4<f32> {
    var gate = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        if group * 4u + k < SIZE {
            gate[k] = decay[row * SIZE + group * 4u + k];
        }
    }
    return exp(gate);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let blocks = (params.value_size + COLUMNS - 1u) / COLUMNS;
    let number = workgroup.x + workgroup.y * workgroups.x;
    let row = number / blocks;
    if row >= params.rows {
        return;
    }
    let batch = row / params.heads;
    let head = row % params.heads;
    let slice = lane / COLUMNS;
    let own_column = number % blocks * COLUMNS + lane % COLUMNS;
    // Lanes past the last column repeat it and write nothing.
    let column = min(own_column, params.value_size - 1u);
    let writes = own_column < params.value_size;

    var state: array<vec4<f32>, OWNED>;
    for (var own = 0u; own < OWNED; own++) {
        let at = (own * SLICES + slice) * 4u;
        let upper = vec2<f32>(first_state(row, column, at), first_state(row, column, at + 1u));
        state[own] = vec4<f32>(upper, first_state(row, column, at + 2u), first_state(row, column, at + 3u));
    }
    var turn = 0u;
    // Never other numbers, but ones that Mesa's lavapipe does not take for uniforms alone: it would compile anew for each.
    let last = min(params.last, params.last + number);
    let shared_by = min(params.shared_by, params.shared_by + number);
    for (var step = params.first; step < last; step++) {
        let token = batch * params.steps + step;
        let token_row = token * params.heads + head;
        var value = values[token_row * params.value_size + column];
        var gate = vec4<f32>(1.0);
        if GATE == 1u {
            gate = vec4<f32>(exp(decay[token_row]));
        }
        var key: array<vec4<f32>, OWNED>;
        var held = 0.0;
        for (var own = 0u; own < OWNED; own++) {
            let group = own * SLICES + slice;
            key[own] = vec4<f32>(0.0);
            if group < GROUPS {
                key[own] = key_group(token_row * SIZE, group);
            }
            if GATE == 2u {
                gate = gate_of(token_row, group);
            }
            state[own] *= gate;
            held += dot(state[own], key[own]);
        }
        if DELTA {
            let rate = beta[token * params.rates + min(head, params.rates - 1u)];
            value = rate * (value - over_slices(held, lane, turn));
            turn += 1u;
        }
        for (var own = 0u; own < OWNED; own++) {
            state[own] += key[own] * value;
        }
        for (var shared_head = 0u; shared_head < shared_by; shared_head++) {
            let query_row = token_row * shared_by + shared_head;
            var mixed = 0.0;
            for (var own = 0u; own < OWNED; own++) {
                let group = own * SLICES + slice;
                if group < GROUPS {
                    mixed += dot(query_group(query_row * SIZE, group), state[own]);
                }
            }
            let result = over_slices(mixed, lane, turn);
            turn += 1u;
            if writes && slice == 0u {
                output[query_row * params.value_size + column] = params.scale * result;
            }
        }
    }
    for (var own = 0u; own < OWNED; own++) {
        for (var k = 0u; k < 4u; k++) {
            let state_row = (own * SLICES + slice) * 4u + k;
            if writes && state_row < SIZE {
                present[(row * SIZE + state_row) * params.value_size + column] = state[own][k];
            }
        }
    }
}
