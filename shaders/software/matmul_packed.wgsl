// Matrix product for adapters that are a CPU, of operands packed into textures, which such adapters read many times faster
// than storage buffers; values of A travel by broadcast.
//
// A workgroup is one subgroup of LANES lanes and makes ROWS (8, 16 or 32) rows by 4 * LANES columns of C, four columns a
// lane. What a step of four terms reads lies in one row of each texture. The grid runs over row tiles (x, so that neighbours
// share columns of B), column tiles (y) and batches (z).

@group(0) @binding(3) var<storage, read_write> output: array<Float>; // [batches, m, n]

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) tile: vec3<u32>,
    @builtin(num_workgroups) tiles: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let starts = packed_starts(tile, tiles);
    // Lanes past the eighth read a row that nobody asks them for.
    let a_start = starts.x + lane % 8u;
    let b_start = starts.y + lane;
    var sums: TileSums;
    // A broadcast, since some software adapters compile a kernel anew, at each dispatch, for the value of a parameter that alone
    // bounds a loop.
    let steps = subgroupBroadcastFirst(params.steps);
    for (var step = 0u; step < steps; step++) {
        let block = panel_block(b, texel(b_start + step * 4u * LANES));
        add_step(&sums, a, texel(a_start + step * ROWS), block);
    }
    let row = tile.x * ROWS;
    let column = (tile.y * LANES + lane) * 4u;
    let to = place(column);
    store_tile(&sums, (tile.z * params.m + row) * params.n + to.x, params.n, to.y, min(ROWS, params.m - row));
}
