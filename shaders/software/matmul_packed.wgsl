// Takes texels (texel); matmul_packed_operands (packed_starts); perhaps panel_texels; matmul_packed_floats or
// matmul_b_texels_bits; place_column (place); store_width1 or store_width4; row_sums (TileSums); row_steps (add_step); row_stores
// (store_tile); width1 or width4 (Float); perhaps matmul_zero_middle or matmul_zero_points; perhaps matmul_b_texels_bits4 or
// matmul_b_texels_bits8; perhaps matmul_packed_bits (panel_places, panel_steps); an epilogue.
// Matrix product for adapters that are a CPU, of operands packed into textures, which such adapters read many times faster
// than storage buffers; values of A travel by broadcast.
//
// A workgroup is one subgroup of LANES lanes and makes ROWS (8, 16 or 32) rows by 4 * LANES columns of C, four columns a
// lane. A turn is TERMS (4 or 8) terms; what four of them read of A lies in one row of its texture. The grid runs over row tiles
// (x, so that neighbours share columns of B), column tiles (y) and batches (z).

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
    let columns = panel_places(starts.y, lane);
    var sums: TileSums;
    // A broadcast, since some software adapters compile a kernel anew, at each dispatch, for the value of a parameter that alone
    // bounds a loop.
    let steps = subgroupBroadcastFirst(params.steps);
    for (var step = 0u; step < steps; step += TERMS / 4u) {
        let blocks = panel_steps(columns, step);
        add_step(&sums, a, texel(a_start + step * ROWS), blocks.first);
        if TERMS > 4u {
            // Zeros where that is past the last: operands are padded.
            add_step(&sums, a, texel(a_start + (step + 1u) * ROWS), blocks.second);
        }
    }
    let row = tile.x * ROWS;
    let column = (tile.y * LANES + lane) * 4u;
    let to = place(column);
    store_tile(&sums, (tile.z * params.m + row) * params.n + to.x, params.n, to.y, min(ROWS, params.m - row));
}
