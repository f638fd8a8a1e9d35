// Convolution for adapters that are a CPU, as a product of weights and unfolded pixels, both read from textures: no workgroup
// memory, no barriers; weights travel by broadcast.
//
// A workgroup is one subgroup of LANES lanes and makes ROWS (8, 16, 32 or 64) filters by 4 * LANES pixels, four neighbours of
// a line a lane. Term k of a sum is a channel, a row and a column of the window. For each four terms every lane reads the
// pixels it needs and, of each eight filters, the four weights of its own; all four terms of a filter are added before the
// next filter, which keeps the sums in registers. The grid runs over filter tiles (x, so that neighbours share pixels), pixel
// tiles (y), and batches and groups (z).

struct Params {
    groups: u32,
    filters: u32, // of a group
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var w: texture_storage_2d<rgba32float, read>; // [groups, filter tiles, STEPS, ROWS], four terms each
@group(0) @binding(2) var unfolded: texture_storage_2d<rgba32float, read>; // [batches, groups, channels, LINES, KERNEL_WIDTH, QUADS]
@group(0) @binding(3) var<storage, read_write> output: array<Float>; // [batches, groups, filters, OUTPUT_HEIGHT, OUTPUT_WIDTH]

const TERMS: u32 = CHANNELS * KERNEL_HEIGHT * KERNEL_WIDTH;
const STEPS: u32 = (TERMS + 3u) / 4u;
const QUADS: u32 = (OUTPUT_WIDTH + 3u) / 4u;
const LINE: u32 = KERNEL_WIDTH * QUADS;

// Four pixels under term k, from where tap 0 of the first channel stands; zeros past the last term.
fn pixels(start: u32, k: u32) -> vec4<f32> {
    if TERMS % 4u != 0u && k >= TERMS {
        return vec4(0.0);
    }
    let row = k / KERNEL_WIDTH;
    let channel = row / KERNEL_HEIGHT;
    let line = channel * LINES + (row - channel * KERNEL_HEIGHT) * DILATION_HEIGHT;
    return textureLoad(unfolded, texel(start + line * LINE + (k - row * KERNEL_WIDTH) * QUADS));
}

fn store_row(plane: u32, filter_index: u32, line: u32, column: u32, value: vec4<f32>) {
    if filter_index < params.filters && line < OUTPUT_HEIGHT {
        let row = (plane * params.filters + filter_index) * OUTPUT_HEIGHT + line;
        store_four(row * OUTPUT_WIDTH + column, OUTPUT_WIDTH - column, value);
    }
}

fn store_rows(plane: u32, first: u32, line: u32, column: u32, sums: Rows) {
    store_row(plane, first, line, column, sums.r0);
    store_row(plane, first + 1u, line, column, sums.r1);
    store_row(plane, first + 2u, line, column, sums.r2);
    store_row(plane, first + 3u, line, column, sums.r3);
    store_row(plane, first + 4u, line, column, sums.r4);
    store_row(plane, first + 5u, line, column, sums.r5);
    store_row(plane, first + 6u, line, column, sums.r6);
    store_row(plane, first + 7u, line, column, sums.r7);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(num_workgroups) tiles: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let quad = tile.y * LANES + lane;
    let line = quad / QUADS;
    let column = quad - line * QUADS;
    // Lanes past the last line read the last one.
    let start = (tile.z * CHANNELS * LINES + min(line, OUTPUT_HEIGHT - 1u) * STRIDE_HEIGHT) * LINE + column;
    // Lanes past the eighth read weights that nobody asks them for.
    var from_w = ((tile.z % params.groups) * tiles.x + tile.x) * STEPS * ROWS + lane % 8u;
    var s0: Rows;
    var s1: Rows;
    var s2: Rows;
    var s3: Rows;
    var s4: Rows;
    var s5: Rows;
    var s6: Rows;
    var s7: Rows;
    for (var step = 0u; step < STEPS; step++) {
        let k = step * 4u;
        let block = mat4x4(pixels(start, k), pixels(start, k + 1u), pixels(start, k + 2u), pixels(start, k + 3u));
        let at = texel(from_w);
        s0 = add_product(s0, textureLoad(w, at), block);
        if ROWS > 8u {
            s1 = add_product(s1, textureLoad(w, at + vec2(8u, 0u)), block);
        }
        if ROWS > 16u {
            s2 = add_product(s2, textureLoad(w, at + vec2(16u, 0u)), block);
            s3 = add_product(s3, textureLoad(w, at + vec2(24u, 0u)), block);
        }
        if ROWS > 32u {
            s4 = add_product(s4, textureLoad(w, at + vec2(32u, 0u)), block);
            s5 = add_product(s5, textureLoad(w, at + vec2(40u, 0u)), block);
            s6 = add_product(s6, textureLoad(w, at + vec2(48u, 0u)), block);
            s7 = add_product(s7, textureLoad(w, at + vec2(56u, 0u)), block);
        }
        from_w += ROWS;
    }
    let first = tile.x * ROWS;
    store_rows(tile.z, first, line, column * 4u, s0);
    if ROWS > 8u {
        store_rows(tile.z, first + 8u, line, column * 4u, s1);
    }
    if ROWS > 16u {
        store_rows(tile.z, first + 16u, line, column * 4u, s2);
        store_rows(tile.z, first + 24u, line, column * 4u, s3);
    }
    if ROWS > 32u {
        store_rows(tile.z, first + 32u, line, column * 4u, s4);
        store_rows(tile.z, first + 40u, line, column * 4u, s5);
        store_rows(tile.z, first + 48u, line, column * 4u, s6);
        store_rows(tile.z, first + 56u, line, column * 4u, s7);
    }
}
