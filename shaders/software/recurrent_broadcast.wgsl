// Takes four_words; recurrent (Place, is_backward, product_row); recurrent_groups or recurrent_scalars; activation; cell_rnn or
// cell_gru or cell_lstm; texels (texel); row_sums (Rows, add_product); recurrent_weights_texels or recurrent_weights_blocks
// (BLOCK, weight_block, weight_start); recurrent_products (set_sums, take_product).
// One step of a recurrent layer, for adapters that are a CPU: no workgroup memory, no barriers; weights and state are read
// from textures, and values of the state travel by broadcast. A prelude holds the equations of the cell.
//
// A workgroup is one subgroup of LANES lanes; each lane owns one group of four units of every gate, for ROWS (1, 8, 16 or 32)
// batch elements. For each four units of the state before, every lane reads a 4x4 block of weights per gate and, of each
// eight batch elements, the four values of its own element; a single element needs no broadcast, since all lanes read it.
// The grid runs over groups of units (x), batch elements (y) and directions (z).
// [directions, tiles, UNITS, ROWS]; before a second product three of these.
@group(0) @binding(4) var state: texture_storage_2d<rgba32float, read>;
@group(0) @binding(7) var<storage, read_write> last_state: array<f32>; // [directions, batch, hidden], or batch first
@group(0) @binding(9) var next: texture_storage_2d<rgba32float, write>; // as the next dispatch takes the state

// Sums of eight batch elements, by gate from FIRST_GATE on.
struct Sums {
    g0: Rows,
    g1: Rows,
    g2: Rows,
    g3: Rows,
}

// Weights of four units of the state, likewise.
struct Block {
    g0: mat4x4<f32>,
    g1: mat4x4<f32>,
    g2: mat4x4<f32>,
    g3: mat4x4<f32>,
}

// `sums` and the products of four values of the state (lane i holds those of row i) with weights.
fn add_state(sums: Rows, h: vec4<f32>, w: mat4x4<f32>) -> Rows {
    if ROWS > 1u {
        return add_product(sums, h, w);
    }
    var s = sums;
    s.r0 += h.x * w[0];
    s.r0 += h.y * w[1];
    s.r0 += h.z * w[2];
    s.r0 += h.w * w[3];
    return s;
}

fn add_products(sums: Sums, h: vec4<f32>, w: Block) -> Sums {
    var s = sums;
    s.g0 = add_state(s.g0, h, w.g0);
    if SUMMED > 1u {
        s.g1 = add_state(s.g1, h, w.g1);
    }
    if SUMMED > 2u {
        s.g2 = add_state(s.g2, h, w.g2);
    }
    if SUMMED > 3u {
        s.g3 = add_state(s.g3, h, w.g3);
    }
    return s;
}

fn weight_blocks(start: u32) -> Block {
    var w: Block;
    w.g0 = weight_block(start, FIRST_GATE);
    if SUMMED > 1u {
        w.g1 = weight_block(start, 1u);
    }
    if SUMMED > 2u {
        w.g2 = weight_block(start, 2u);
    }
    if SUMMED > 3u {
        w.g3 = weight_block(start, 3u);
    }
    return w;
}

fn pick(rows: Rows, row: u32) -> vec4<f32> {
    var v = rows.r0;
    v = select(v, rows.r1, row == 1u);
    v = select(v, rows.r2, row == 2u);
    v = select(v, rows.r3, row == 3u);
    v = select(v, rows.r4, row == 4u);
    v = select(v, rows.r5, row == 5u);
    v = select(v, rows.r6, row == 6u);
    v = select(v, rows.r7, row == 7u);
    return v;
}

// Where the state of a batch element begins in the textures.
fn state_start(direction: u32, element: u32) -> u32 {
    let tiles = (params.batch + ROWS - 1u) / ROWS;
    return (direction * tiles + element / ROWS) * UNITS * ROWS + element % ROWS;
}

// The texel of state `which`, given where that of state 0 stands.
fn state_texel(at: u32, which: u32) -> vec2<u32> {
    let tiles = (params.batch + ROWS - 1u) / ROWS;
    return texel(at + which * params.directions * tiles * UNITS * ROWS);
}

fn load_state(at: u32, k: u32, which: u32) -> vec4<f32> {
    return textureLoad(state, state_texel(at, which));
}

fn store_state(at: u32, k: u32, which: u32, value: vec4<f32>) {
    textureStore(next, state_texel(at, which), value);
}

// Leaves one unit of the state as the layer's output, after the last step.
fn answer_state(at: u32, value: f32) {
    if params.last_step == params.steps {
        last_state[at] = value;
    }
}

// Takes up to eight batch elements from `first` on a product further, for one group of units.
fn take_products(all: Sums, direction: u32, first: u32, unit: u32) {
    for (var k = 0u; k < min(min(ROWS, 8u), params.batch - first); k++) {
        set_sums(pick(all.g0, k), pick(all.g1, k), pick(all.g2, k), pick(all.g3, k));
        let element = first + k;
        let place = Place(unit, direction, 0u, 0u, product_row(element, params.first_step, is_backward(direction)));
        take_product(place, element, state_start(direction, element) + unit * ROWS, k);
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let direction = params.first_direction + tile.z;
    let unit = tile.x * LANES + lane;
    let first = tile.y * ROWS;
    var s0: Sums;
    var s1: Sums;
    var s2: Sums;
    var s3: Sums;
    if params.has_state != 0u {
        // Lanes past the eighth read a row that nobody asks them for, and the rows past the last batch element are not used.
        var own = state_start(direction, first) + lane % min(ROWS, 8u);
        var block = weight_start(direction, unit);
        for (var group = 0u; group < UNITS; group++) {
            let w = weight_blocks(block);
            let at = texel(own);
            s0 = add_products(s0, textureLoad(state, at), w);
            if ROWS > 8u {
                s1 = add_products(s1, textureLoad(state, at + vec2(8u, 0u)), w);
            }
            if ROWS > 16u {
                s2 = add_products(s2, textureLoad(state, at + vec2(16u, 0u)), w);
                s3 = add_products(s3, textureLoad(state, at + vec2(24u, 0u)), w);
            }
            own += ROWS;
            block += BLOCK;
        }
    }
    if unit >= UNITS {
        return;
    }
    take_products(s0, direction, first, unit);
    if ROWS > 8u && first + 8u < params.batch {
        take_products(s1, direction, first + 8u, unit);
    }
    if ROWS > 16u {
        if first + 16u < params.batch {
            take_products(s2, direction, first + 16u, unit);
        }
        if first + 24u < params.batch {
            take_products(s3, direction, first + 24u, unit);
        }
    }
}
