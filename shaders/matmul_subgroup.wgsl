// Matrix product for adapters that are a CPU: no workgroup memory, no barriers; values of A travel by broadcast.
//
// A workgroup is one subgroup of LANES lanes and makes ROWS (8, 16, 32 or 64) rows by 4 * LANES columns of C, four columns
// a lane. For each four k, every lane reads a 4x4 block of B and, of each eight rows, the four values of A of its own row;
// all four k of a row are added before the next row, which keeps the sums in registers. The grid runs over row tiles (x,
// so that neighbours share columns of B), column tiles (y) and batches (z).

@group(0) @binding(3) var<storage, read_write> output: array<Float>; // [batches, m, n]

fn store_row(batch: u32, row: u32, column: u32, value: vec4<f32>) {
    let at = place(column);
    if row < params.m && at.y > 0u {
        store_four((batch * params.m + row) * params.n + at.x, at.y, value);
    }
}

fn store_rows(batch: u32, row: u32, column: u32, sums: Rows) {
    store_row(batch, row, column, sums.r0);
    store_row(batch, row + 1u, column, sums.r1);
    store_row(batch, row + 2u, column, sums.r2);
    store_row(batch, row + 3u, column, sums.r3);
    store_row(batch, row + 4u, column, sums.r4);
    store_row(batch, row + 5u, column, sums.r5);
    store_row(batch, row + 6u, column, sums.r6);
    store_row(batch, row + 7u, column, sums.r7);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let start = batch_start(tile.z);
    let row = tile.x * ROWS;
    let column = (tile.y * LANES + lane) * 4u;
    // Lanes past the eighth read a row that nobody asks them for.
    let own = row + lane % 8u;
    let columns = b_places(start.y, column);
    let a0 = a_place(start.x, own);
    let a1 = a_place(start.x, own + 8u);
    let a2 = a_place(start.x, own + 16u);
    let a3 = a_place(start.x, own + 24u);
    let a4 = a_place(start.x, own + 32u);
    let a5 = a_place(start.x, own + 40u);
    let a6 = a_place(start.x, own + 48u);
    let a7 = a_place(start.x, own + 56u);
    var s0: Rows;
    var s1: Rows;
    var s2: Rows;
    var s3: Rows;
    var s4: Rows;
    var s5: Rows;
    var s6: Rows;
    var s7: Rows;
    // A broadcast, since some software adapters compile a kernel anew, at each dispatch, for the value of a parameter that alone
    // bounds a loop.
    let terms = subgroupBroadcastFirst(params.k);
    for (var k = 0u; k < terms; k += 4u) {
        let block = b_block(columns, k, true);
        s0 = add_product(s0, a_four(a0, k), block);
        if ROWS > 8u {
            s1 = add_product(s1, a_four(a1, k), block);
        }
        if ROWS > 16u {
            s2 = add_product(s2, a_four(a2, k), block);
            s3 = add_product(s3, a_four(a3, k), block);
        }
        if ROWS > 32u {
            s4 = add_product(s4, a_four(a4, k), block);
            s5 = add_product(s5, a_four(a5, k), block);
            s6 = add_product(s6, a_four(a6, k), block);
            s7 = add_product(s7, a_four(a7, k), block);
        }
    }
    store_rows(tile.z, row, column, s0);
    if ROWS > 8u {
        store_rows(tile.z, row + 8u, column, s1);
    }
    if ROWS > 16u {
        store_rows(tile.z, row + 16u, column, s2);
        store_rows(tile.z, row + 24u, column, s3);
    }
    if ROWS > 32u {
        store_rows(tile.z, row + 32u, column, s4);
        store_rows(tile.z, row + 40u, column, s5);
        store_rows(tile.z, row + 48u, column, s6);
        store_rows(tile.z, row + 56u, column, s7);
    }
}
