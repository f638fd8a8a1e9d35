// Takes reduce_shared or reduce_subgroup (reduce_sum); matmul (batch_start); place_column (place); store_width1 or store_width4
// (store_four); matmul_a_rows or matmul_a_scalar (a_four, a_place); matmul_b_columns or matmul_panels (b_columns); width1 or
// width4 (Float); perhaps matmul_b_panels_f16 or matmul_b_bits (b_places); perhaps matmul_zero_middle or matmul_zero_points;
// perhaps matmul_b_bits4 or matmul_b_bits8; an epilogue.
// Matrix product for few rows, bound by how fast B is read: each element of B is read once for ROWS rows.
//
// B lies (or is packed) as n columns of k neighbours. A workgroup of WORKGROUP invocations makes ROWS (1, 2 or 4) rows by
// 4 * GROUPS (1, 2 or 4; 1 where there are several rows) columns of C: its invocations split k, four terms at a time, and their
// sums are added at the end. The grid runs over column groups (x), rows (y) and batches (z).

@group(0) @binding(3) var<storage, read_write> output: array<Float>; // [batches, m, n]

// Four columns of sums, each over its own terms, and four more terms.
fn add_terms(sums: mat4x4<f32>, a: vec4<f32>, b: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4(sums[0] + a * b[0], sums[1] + a * b[1], sums[2] + a * b[2], sums[3] + a * b[3]);
}

// The sums of all invocations.
fn total(sums: mat4x4<f32>, lane: u32) -> vec4<f32> {
    let ones = vec4(1.0);
    let x = reduce_sum(dot(sums[0], ones), lane);
    let y = reduce_sum(dot(sums[1], ones), lane);
    let z = reduce_sum(dot(sums[2], ones), lane);
    let w = reduce_sum(dot(sums[3], ones), lane);
    return vec4(x, y, z, w);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let start = batch_start(tile.z);
    let row = tile.y * ROWS;
    let column = tile.x * GROUPS * 4u;
    let own = a_place(start.x, row);
    let own1 = a_place(start.x, row + 1u);
    let own2 = a_place(start.x, row + 2u);
    let own3 = a_place(start.x, row + 3u);
    let b0 = b_places(start.y, column);
    let b1 = b_places(start.y, column + 4u);
    let b2 = b_places(start.y, column + 8u);
    let b3 = b_places(start.y, column + 12u);
    // By groups of columns, or by rows.
    var s0: mat4x4<f32>;
    var s1: mat4x4<f32>;
    var s2: mat4x4<f32>;
    var s3: mat4x4<f32>;
    for (var k = lane * 4u; k < params.k; k += WORKGROUP * 4u) {
        let values = a_four(own, k);
        let block = b_columns(b0, k);
        s0 = add_terms(s0, values, block);
        if ROWS > 1u {
            s1 = add_terms(s1, a_four(own1, k), block);
        }
        if ROWS > 2u {
            s2 = add_terms(s2, a_four(own2, k), block);
            s3 = add_terms(s3, a_four(own3, k), block);
        }
        if GROUPS > 1u {
            s1 = add_terms(s1, values, b_columns(b1, k));
        }
        if GROUPS > 2u {
            s2 = add_terms(s2, values, b_columns(b2, k));
            s3 = add_terms(s3, values, b_columns(b3, k));
        }
    }
    // What is to be added up and stored is always the first, so that this is written out once. All invocations take part.
    let rows = min(ROWS, params.m - row);
    let groups = min(GROUPS, (params.n - column + 3u) / 4u);
    for (var next = 0u; next < rows * groups; next++) {
        let sum = total(s0, lane);
        // One of both is 1.
        let at = place(column + next % groups * 4u);
        if lane == 0u {
            store_four((tile.z * params.m + row + next / groups) * params.n + at.x, at.y, sum);
        }
        if ROWS * GROUPS > 1u {
            s0 = s1;
        }
        if ROWS * GROUPS > 2u {
            s1 = s2;
            s2 = s3;
        }
    }
}
