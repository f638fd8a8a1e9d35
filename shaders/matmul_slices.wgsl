// Takes matmul_b_bits or matmul_b_unleveled (b_level, b_leveled); matmul (batch_start); place_column (place); store_width1 or
// store_width4 (store_four); matmul_a_rows or matmul_a_scalar (a_four, a_place); perhaps matmul_b_rows or matmul_b_columns or
// matmul_b_scalar or matmul_b_panels or matmul_b_panels_f16 (b_places); width1 or width4 (Float); perhaps matmul_panels; perhaps
// matmul_zero_middle or matmul_zero_points; perhaps matmul_b_bits4 or matmul_b_bits8; an epilogue.
// Matrix product for few rows on GPUs, bound by how fast B is read: each element of B is read once for ROWS rows.
//
// A workgroup of 16 by SLICES invocations makes ROWS (at most SLICES) rows by 64 columns of C: invocation x has four columns,
// and slice y takes RUN terms of k in turn with the others, four where B is floats; where it is few bits a run has one scale, which is
// read once. The slices' sums meet in workgroup memory, a row at a time; slice
// r adds up and stores row r. The grid runs over column tiles (x), row tiles (y), and parts of k by batches (z): a workgroup
// adds `params.terms` terms of each sum.

@group(0) @binding(3) var<storage, read_write> output: array<Float>; // [parts of k, batches, m, n]

var<workgroup> scratch: array<vec4<f32>, 16u * SLICES>; // [SLICES][16]

alias Sums = array<vec4<f32>, ROWS>;

// Adds four terms from k on to the sums of rows of A that start there.
fn add_terms(sums: ptr<function, Sums>, rows: ptr<function, array<u32, ROWS>>, block: mat4x4<f32>, k: u32) {
    for (var r = 0u; r < ROWS; r++) {
        let values = a_four((*rows)[r], k);
        (*sums)[r] += values.x * block[0];
        (*sums)[r] += values.y * block[1];
        (*sums)[r] += values.z * block[2];
        (*sums)[r] += values.w * block[3];
    }
}

@compute @workgroup_size(16, SLICES)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let start = batch_start(tile.z % params.batches);
    let row = tile.y * ROWS;
    let column = (tile.x * 16u + id.x) * 4u;
    let columns = b_places(start.y, column);
    var rows: array<u32, ROWS>;
    for (var r = 0u; r < ROWS; r++) {
        rows[r] = a_place(start.x, row + r);
    }
    var sums: Sums;
    let first = tile.z / params.batches * params.terms;
    let end = min(params.k, first + params.terms);
    for (var run = first + id.y * RUN; run < end; run += SLICES * RUN) {
        let level = b_level(columns, run);
        if RUN == 4u {
            add_terms(&sums, &rows, b_leveled(columns, level, run), run);
        } else {
            for (var k = run; k < min(run + RUN, end); k += 4u) {
                add_terms(&sums, &rows, b_leveled(columns, level, k), k);
            }
        }
    }
    let at = place(column);
    for (var r = 0u; r < ROWS; r++) {
        scratch[id.y * 16u + id.x] = sums[r];
        workgroupBarrier();
        if id.y == r {
            var sum = scratch[id.x];
            for (var slice = 1u; slice < SLICES; slice++) {
                sum += scratch[slice * 16u + id.x];
            }
            if row + r < params.m && at.y > 0u {
                store_four((tile.z * params.m + row + r) * params.n + at.x, at.y, sum);
            }
        }
        workgroupBarrier();
    }
}
