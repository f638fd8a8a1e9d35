// Matrix product for GPUs: tiles of A and B in workgroup memory, a block of C in the registers of each invocation.
//
// A workgroup of 8x8 invocations makes a tile of 32 * PARTS rows by 32 * PARTS columns of C (PARTS is 1 or 2), each
// invocation 4 * PARTS by 4 * PARTS of it, in blocks of 4x4 that lie 32 apart. It walks k in steps of STEP = 32 / PARTS; for
// each step every invocation brings one 4x4 block of A and one of B. A is kept as [k][row], so that both tiles are read
// in vectors of four. The grid runs over column tiles (x), row tiles (y) and batches (z).

@group(0) @binding(3) var<storage, read_write> output: array<Float>; // [batches, m, n]

const STEP: u32 = 32u / PARTS;
// Vectors of four along the side of a tile.
const SIDE: u32 = 8u * PARTS;

var<workgroup> a_tile: array<vec4<f32>, 256>; // [STEP][SIDE]
var<workgroup> b_tile: array<vec4<f32>, 256>; // [STEP][SIDE]

// A block of sums, row by row, and the outer product of four values of A and four of B.
fn add_product(sums: mat4x4<f32>, a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(sums[0] + a.x * b, sums[1] + a.y * b, sums[2] + a.z * b, sums[3] + a.w * b);
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

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let start = batch_start(tile.z);
    let row = tile.y * SIDE * 4u;
    let column = tile.x * SIDE * 4u;
    // The blocks this invocation brings: neighbours take neighbouring k of A, and neighbouring columns of B.
    let a_k = index % (STEP / 4u) * 4u;
    let a_row = index / (STEP / 4u);
    let b_column = index % SIDE;
    let b_k = index / SIDE * 4u;
    let a_from = a_places(start.x, row + a_row * 4u);
    let b_from = b_places(start.y, column + b_column * 4u);
    var s00: mat4x4<f32>;
    var s01: mat4x4<f32>;
    var s10: mat4x4<f32>;
    var s11: mat4x4<f32>;
    for (var k = 0u; k < params.k; k += STEP) {
        let a_values = a_block(a_from, k + a_k);
        let b_values = b_block(b_from, k + b_k);
        workgroupBarrier();
        for (var i = 0u; i < 4u; i++) {
            a_tile[(a_k + i) * SIDE + a_row] = a_values[i];
            b_tile[(b_k + i) * SIDE + b_column] = b_values[i];
        }
        workgroupBarrier();
        for (var i = 0u; i < STEP; i++) {
            let a0 = a_tile[i * SIDE + id.y];
            let b0 = b_tile[i * SIDE + id.x];
            s00 = add_product(s00, a0, b0);
            if PARTS > 1u {
                let a1 = a_tile[i * SIDE + 8u + id.y];
                let b1 = b_tile[i * SIDE + 8u + id.x];
                s01 = add_product(s01, a0, b1);
                s10 = add_product(s10, a1, b0);
                s11 = add_product(s11, a1, b1);
            }
        }
    }
    let own_row = row + id.y * 4u;
    let own_column = column + id.x * 4u;
    store_block(tile.z, own_row, own_column, s00);
    if PARTS > 1u {
        store_block(tile.z, own_row, own_column + 32u, s01);
        store_block(tile.z, own_row + 32u, own_column, s10);
        store_block(tile.z, own_row + 32u, own_column + 32u, s11);
    }
}
