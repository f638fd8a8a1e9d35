// Takes texels; matmul_b_texels_bits or matmul_b_unleveled (b_level); matmul_b_texels_bits4 or matmul_b_texels_bits8 or
// matmul_b_pairs; matmul (batch_start); place_column (place); store_width1 or store_width4 (store_four); matmul_a_rows or
// matmul_a_scalar (a_four, a_place); matmul_panels; matmul_b_texture or matmul_b_texels_places (b_places); width1 or width4
// (Float); perhaps matmul_zero_middle or matmul_zero_points; an epilogue.
// Matrix product of few rows for adapters that are a CPU, bound by how fast B is read: each element of B is read once for ROWS rows, and
// A where it lies.
//
// A workgroup is one subgroup of LANES (8 or more) lanes and makes ROWS (1, 2 or 4) rows by 4 * LANES columns of C, four columns a
// lane. A step is TERMS = 32 / ROWS terms: eight lanes read four terms each, neighbours those of different rows, which travel by broadcast.
// Terms left over whole steps go by fours. The grid runs over row tiles (x), column tiles (y) and batches (z).

@group(0) @binding(3) var<storage, read_write> output: array<Float>; // [batches, m, n]

// Which lane, beside the first of four terms, holds the second, third and fourth row.
const SECOND: u32 = 1u % ROWS;
const THIRD: u32 = 2u % ROWS;
const FOURTH: u32 = 3u % ROWS;

struct Rows {
    r0: vec4<f32>,
    r1: vec4<f32>,
    r2: vec4<f32>,
    r3: vec4<f32>,
}

fn add_row(sum: vec4<f32>, a: vec4<f32>, b: mat4x4<f32>) -> vec4<f32> {
    var s = sum;
    s += a.x * b[0];
    s += a.y * b[1];
    s += a.z * b[2];
    s += a.w * b[3];
    return s;
}

// Adds the products of four terms of each row and a block of B.
fn add_rows(rows: Rows, a0: vec4<f32>, a1: vec4<f32>, a2: vec4<f32>, a3: vec4<f32>, b: mat4x4<f32>) -> Rows {
    var s = rows;
    s.r0 = add_row(s.r0, a0, b);
    if ROWS > 1u {
        s.r1 = add_row(s.r1, a1, b);
    }
    if ROWS > 2u {
        s.r2 = add_row(s.r2, a2, b);
        s.r3 = add_row(s.r3, a3, b);
    }
    return s;
}

// Adds the products of `values`, as lanes 0 to ROWS - 1 hold them, and a block of B.
fn add_first(rows: Rows, values: vec4<f32>, b: mat4x4<f32>) -> Rows {
    let a0 = subgroupBroadcast(values, 0u);
    return add_rows(rows, a0, subgroupBroadcast(values, SECOND), subgroupBroadcast(values, THIRD), subgroupBroadcast(values, FOURTH), b);
}

// The same of the lanes after them.
fn add_second(rows: Rows, values: vec4<f32>, b: mat4x4<f32>) -> Rows {
    let a0 = subgroupBroadcast(values, ROWS);
    let a1 = subgroupBroadcast(values, ROWS + SECOND);
    return add_rows(rows, a0, a1, subgroupBroadcast(values, ROWS + THIRD), subgroupBroadcast(values, ROWS + FOURTH), b);
}

// The same for one or two rows of lanes 2 * ROWS on.
fn add_third(rows: Rows, values: vec4<f32>, b: mat4x4<f32>) -> Rows {
    let a0 = subgroupBroadcast(values, 2u * ROWS % 8u);
    let a1 = subgroupBroadcast(values, (2u * ROWS + SECOND) % 8u);
    return add_rows(rows, a0, a1, a1, a1, b);
}

fn add_fourth(rows: Rows, values: vec4<f32>, b: mat4x4<f32>) -> Rows {
    let a0 = subgroupBroadcast(values, 3u * ROWS % 8u);
    let a1 = subgroupBroadcast(values, (3u * ROWS + SECOND) % 8u);
    return add_rows(rows, a0, a1, a1, a1, b);
}

// The same for one row, of lanes 4 to 7.
fn add_last(rows: Rows, values: vec4<f32>, b0: mat4x4<f32>, b1: mat4x4<f32>, b2: mat4x4<f32>, b3: mat4x4<f32>) -> Rows {
    var s = rows;
    s.r0 = add_row(s.r0, subgroupBroadcast(values, 4u), b0);
    s.r0 = add_row(s.r0, subgroupBroadcast(values, 5u), b1);
    s.r0 = add_row(s.r0, subgroupBroadcast(values, 6u), b2);
    s.r0 = add_row(s.r0, subgroupBroadcast(values, 7u), b3);
    return s;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let start = batch_start(tile.z);
    let row = tile.x * ROWS;
    let column = (tile.y * LANES + lane) * 4u;
    let columns = b_places(start.y, column);
    let own = a_place(start.x, row + lane % ROWS);
    let ahead = lane % 8u / ROWS * 4u;
    var s: Rows;
    // A broadcast, since some software adapters compile a kernel anew, at each dispatch, for the value of a parameter that alone
    // bounds a loop.
    let terms = subgroupBroadcastFirst(params.k);
    let whole = terms / TERMS * TERMS;
    for (var k = 0u; k < whole; k += TERMS) {
        let values = a_four(own, k + ahead);
        let level = b_level(columns, k);
        let pair = b_pair(columns, level, k);
        s = add_first(s, values, pair.first);
        s = add_second(s, values, pair.second);
        if ROWS < 4u {
            let next = b_pair(columns, level, k + 8u);
            s = add_third(s, values, next.first);
            s = add_fourth(s, values, next.second);
        }
        if ROWS < 2u {
            let third = b_pair(columns, level, k + 16u);
            let fourth = b_pair(columns, level, k + 24u);
            s = add_last(s, values, third.first, third.second, fourth.first, fourth.second);
        }
    }
    for (var k = whole; k < terms; k += 4u) {
        s = add_first(s, a_four(own, k), b_block(columns, k, true));
    }
    let at = place(column);
    var to = (tile.z * params.m + row) * params.n + at.x;
    // The row to be stored is always the first, so that the epilogue is written out once.
    for (var left = min(ROWS, params.m - row); left > 0u; left--) {
        store_four(to, at.y, s.r0);
        to += params.n;
        s = Rows(s.r1, s.r2, s.r3, s.r3);
    }
}
