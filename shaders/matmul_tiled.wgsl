// Takes matmul (batch_start); place_column (place); store_width1 or store_width4 (store_four); matmul_a_rows or matmul_a_columns
// or matmul_a_scalar (a_block, a_places); matmul_b_rows or matmul_b_columns or matmul_b_scalar or matmul_b_panels or
// matmul_b_panels_f16 or matmul_b_bits or conv_gather (b_places); matmul_share_blocks or matmul_share_halves (BShare, B_SHARE,
// b_share); width1 or width4 (Float); perhaps matmul_panels; perhaps matmul_zero_middle or matmul_zero_points; perhaps
// matmul_b_bits4 or matmul_b_bits8; an epilogue.
// Matrix product for GPUs: tiles of A and B in workgroup memory, a block of C in the registers of each invocation.
//
// A workgroup of 8 by DOWN (8 or 16) invocations makes a tile of 4 * PARTS * DOWN rows by 32 * PARTS columns of C (PARTS is
// 1 or 2), each invocation 4 * PARTS by 4 * PARTS of it, in blocks of 4x4 that lie 4 * DOWN rows and 32 columns apart. It
// walks k in steps of STEP = 32 / PARTS; every invocation brings a 4x4 block of A, and of B as much as there is for each. A
// is kept as [k][row], so that both tiles are read in vectors of four. What a step needs is loaded while the one before is
// computed, unless it is gathered (`const GATHERED`), whose index arithmetic leaves no registers to hold it. What k has left
// over whole steps, or the last step where k ends within four terms, comes first, so that the steps test nothing; the last
// of them, which has nothing to load, stands by itself. The grid runs over column tiles (x), row tiles (y), and parts of k
// by batches (z): a workgroup adds `params.terms` terms of each sum.

@group(0) @binding(3) var<storage, read_write> output: array<Float>; // [parts of k, batches, m, n]

const STEP: u32 = 32u / PARTS;
// Vectors of four along the sides of a tile.
const ROWS: u32 = DOWN * PARTS;
const COLUMNS: u32 = 8u * PARTS;

var<workgroup> a_tile: array<vec4<f32>, STEP * ROWS>; // [STEP][ROWS]
var<workgroup> b_tile: array<vec4<f32>, STEP * COLUMNS>; // [STEP][COLUMNS]

struct Sums {
    s00: mat4x4<f32>,
    s01: mat4x4<f32>,
    s10: mat4x4<f32>,
    s11: mat4x4<f32>,
}

// A block of sums, row by row, and the outer product of four values of A and four of B.
fn add_product(sums: mat4x4<f32>, a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(sums[0] + a.x * b, sums[1] + a.y * b, sums[2] + a.z * b, sums[3] + a.w * b);
}

// Adds the products of row i of the tiles; the sum that needs the last of the loads goes first, which makes one wait of four.
fn add_term(sums: ptr<function, Sums>, i: u32, id: vec3<u32>) {
    let a0 = a_tile[i * ROWS + id.y];
    if PARTS == 1u {
        (*sums).s00 = add_product((*sums).s00, a0, b_tile[i * COLUMNS + id.x]);
        return;
    }
    let a1 = a_tile[i * ROWS + DOWN + id.y];
    let b0 = b_tile[i * COLUMNS + id.x];
    let b1 = b_tile[i * COLUMNS + 8u + id.x];
    (*sums).s11 = add_product((*sums).s11, a1, b1);
    (*sums).s10 = add_product((*sums).s10, a1, b0);
    (*sums).s01 = add_product((*sums).s01, a0, b1);
    (*sums).s00 = add_product((*sums).s00, a0, b0);
}

fn add_four_terms(sums: ptr<function, Sums>, i: u32, id: vec3<u32>) {
    add_term(sums, i, id);
    add_term(sums, i + 1u, id);
    add_term(sums, i + 2u, id);
    add_term(sums, i + 3u, id);
}

// Adds `terms` products, a multiple of four.
fn add_terms(sums: ptr<function, Sums>, terms: u32, id: vec3<u32>) {
    for (var i = 0u; i < terms; i += 4u) {
        add_four_terms(sums, i, id);
    }
}

// What one invocation brings of both tiles.
struct Brought {
    a: mat4x4<f32>,
    b: BShare,
}

// Writes it to the tiles from vector `to.x` of A and `to.y` of B on, the last load first for one wait instead of eight.
fn put(values: Brought, to: vec2<u32>) {
    for (var i = 0u; i < B_SHARE; i++) {
        b_tile[to.y + (B_SHARE - 1u - i) * COLUMNS] = values.b[B_SHARE - 1u - i];
    }
    for (var i = 0u; i < 4u; i++) {
        a_tile[to.x + i * ROWS] = values.a[i];
    }
}

fn store_row(batch: u32, row: u32, column: u32, value: vec4<f32>) {
    let at = place(column);
    if row < params.m && at.y > 0u {
        store_four((batch * params.m + row) * params.n + at.x, at.y, value);
    }
}

fn store_block(batch: u32, row: u32, column: u32, sums: mat4x4<f32>) {
    store_row(batch, row, column, sums[0]);
    store_row(batch, row + 1u, column, sums[1]);
    store_row(batch, row + 2u, column, sums[2]);
    store_row(batch, row + 3u, column, sums[3]);
}

@compute @workgroup_size(8, DOWN)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let start = batch_start(tile.z % params.batches);
    let row = tile.y * ROWS * 4u;
    let column = tile.x * COLUMNS * 4u;
    // What this invocation brings: neighbours take neighbouring k of A, and neighbouring columns of B.
    let a_k = index % (STEP / 4u) * 4u;
    let a_row = index / (STEP / 4u);
    let b_column = index % COLUMNS;
    let b_k = index / COLUMNS * B_SHARE;
    let a_from = a_places(start.x, row + a_row * 4u);
    let b_from = b_places(start.y, column + b_column * 4u);
    let to = vec2(a_k * ROWS + a_row, b_k * COLUMNS + b_column);
    // Operands end in zeros at the next multiple of four.
    var k = tile.z / params.batches * params.terms;
    let end = min((params.k + 3u) / 4u * 4u, k + params.terms);
    let left = (end - k - K_EDGE) % STEP + K_EDGE;
    let whole = end - left;
    var sums: Sums;
    if left > 0u {
        let last = vec2(whole + a_k, whole + b_k);
        put(Brought(a_block(a_from, min(last.x, end - 4u), true), b_share(b_from, min(last.y, end - B_SHARE), true)), to);
        workgroupBarrier();
        add_terms(&sums, left, id);
        workgroupBarrier();
    }
    if GATHERED == 1u {
        for (; k < whole; k += STEP) {
            put(Brought(a_block(a_from, k + a_k, false), b_share(b_from, k + b_k, false)), to);
            workgroupBarrier();
            add_terms(&sums, STEP, id);
            workgroupBarrier();
        }
    } else if k < whole {
        put(Brought(a_block(a_from, k + a_k, false), b_share(b_from, k + b_k, false)), to);
        workgroupBarrier();
        for (k += STEP; k < whole; k += STEP) {
            let values = Brought(a_block(a_from, k + a_k, false), b_share(b_from, k + b_k, false));
            add_four_terms(&sums, 0u, id);
            add_four_terms(&sums, 4u, id);
            add_four_terms(&sums, 8u, id);
            add_four_terms(&sums, 12u, id);
            if PARTS == 1u {
                add_four_terms(&sums, 16u, id);
                add_four_terms(&sums, 20u, id);
                add_four_terms(&sums, 24u, id);
                add_four_terms(&sums, 28u, id);
            }
            workgroupBarrier();
            put(values, to);
            workgroupBarrier();
        }
        add_terms(&sums, STEP, id);
    }
    let own_row = row + id.y * 4u;
    let own_column = column + id.x * 4u;
    store_block(tile.z, own_row, own_column, sums.s00);
    if PARTS > 1u {
        store_block(tile.z, own_row, own_column + 32u, sums.s01);
        store_block(tile.z, own_row + DOWN * 4u, own_column, sums.s10);
        store_block(tile.z, own_row + DOWN * 4u, own_column + 32u, sums.s11);
    }
}
