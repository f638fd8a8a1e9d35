// Matrix product for adapters that are a CPU: no workgroup memory, no barriers; values of A travel by broadcast.
//
// A workgroup is one subgroup of LANES lanes and makes ROWS (8, 16, 32 or 64) rows by 4 * LANES columns of C, four columns
// a lane. For each four k, every lane reads a 4x4 block of B and, of each eight rows, the four values of A of its own row;
// all four k of a row are added before the next row, which keeps the sums in registers. The grid runs over row tiles (x,
// so that neighbours share columns of B), column tiles (y) and batches (z).

@group(0) @binding(3) var<storage, read_write> output: array<Float>; // [batches, m, n]

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
    var sums: TileSums;
    // A broadcast, since some software adapters compile a kernel anew, at each dispatch, for the value of a parameter that alone
    // bounds a loop.
    let terms = subgroupBroadcastFirst(params.k);
    for (var k = 0u; k < terms; k += 4u) {
        let block = b_block(columns, k, true);
        sums.s0 = add_product(sums.s0, a_four(a0, k), block);
        if ROWS > 8u {
            sums.s1 = add_product(sums.s1, a_four(a1, k), block);
        }
        if ROWS > 16u {
            sums.s2 = add_product(sums.s2, a_four(a2, k), block);
            sums.s3 = add_product(sums.s3, a_four(a3, k), block);
        }
        if ROWS > 32u {
            sums.s4 = add_product(sums.s4, a_four(a4, k), block);
            sums.s5 = add_product(sums.s5, a_four(a5, k), block);
            sums.s6 = add_product(sums.s6, a_four(a6, k), block);
            sums.s7 = add_product(sums.s7, a_four(a7, k), block);
        }
    }
    let to = place(column);
    store_tile(&sums, (tile.z * params.m + row) * params.n + to.x, params.n, to.y, min(ROWS, params.m - row));
}
