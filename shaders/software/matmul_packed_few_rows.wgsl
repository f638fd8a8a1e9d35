// Matrix product of few rows for adapters that are a CPU, of operands packed into textures: bound by how fast B is read.
//
// A workgroup is one subgroup of LANES (8 or more) lanes and makes ROWS (1, 2 or 4) rows by 4 * LANES columns of C, four
// columns a lane. A step is sixteen terms: four lanes read four values of a row of A each, which travel by broadcast, and
// every lane reads its four columns of sixteen rows of B. The grid runs over row tiles (x), column tiles (y) and batches (z).

@group(0) @binding(3) var<storage, read_write> output: array<Float>; // [batches, m, n]

struct Rows {
    r0: vec4<f32>,
    r1: vec4<f32>,
    r2: vec4<f32>,
    r3: vec4<f32>,
}

// Sixteen terms of a row of A (lane i holds four) times four blocks of B.
fn add_terms(sum: vec4<f32>, a: vec4<f32>, b0: mat4x4<f32>, b1: mat4x4<f32>, b2: mat4x4<f32>, b3: mat4x4<f32>) -> vec4<f32> {
    var s = sum;
    s += subgroupBroadcast(a.x, 0u) * b0[0];
    s += subgroupBroadcast(a.y, 0u) * b0[1];
    s += subgroupBroadcast(a.z, 0u) * b0[2];
    s += subgroupBroadcast(a.w, 0u) * b0[3];
    s += subgroupBroadcast(a.x, 1u) * b1[0];
    s += subgroupBroadcast(a.y, 1u) * b1[1];
    s += subgroupBroadcast(a.z, 1u) * b1[2];
    s += subgroupBroadcast(a.w, 1u) * b1[3];
    s += subgroupBroadcast(a.x, 2u) * b2[0];
    s += subgroupBroadcast(a.y, 2u) * b2[1];
    s += subgroupBroadcast(a.z, 2u) * b2[2];
    s += subgroupBroadcast(a.w, 2u) * b2[3];
    s += subgroupBroadcast(a.x, 3u) * b3[0];
    s += subgroupBroadcast(a.y, 3u) * b3[1];
    s += subgroupBroadcast(a.z, 3u) * b3[2];
    s += subgroupBroadcast(a.w, 3u) * b3[3];
    return s;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) tile: vec3<u32>,
    @builtin(num_workgroups) tiles: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let starts = packed_starts(tile, tiles);
    let a_start = starts.x + lane % 4u * ROWS;
    let b_start = starts.y + lane;
    var s: Rows;
    // A broadcast, since some software adapters compile a kernel anew, at each dispatch, for the value of a parameter that alone
    // bounds a loop.
    let steps = subgroupBroadcastFirst(params.steps);
    for (var step = 0u; step < steps; step += 4u) {
        let at_a = texel(a_start + step * ROWS);
        let at_b = b_start + step * 4u * LANES;
        let b0 = panel_block(b, texel(at_b));
        let b1 = panel_block(b, texel(at_b + 4u * LANES));
        let b2 = panel_block(b, texel(at_b + 8u * LANES));
        let b3 = panel_block(b, texel(at_b + 12u * LANES));
        s.r0 = add_terms(s.r0, textureLoad(a, at_a), b0, b1, b2, b3);
        if ROWS > 1u {
            s.r1 = add_terms(s.r1, textureLoad(a, at_a + vec2(1u, 0u)), b0, b1, b2, b3);
        }
        if ROWS > 2u {
            s.r2 = add_terms(s.r2, textureLoad(a, at_a + vec2(2u, 0u)), b0, b1, b2, b3);
            s.r3 = add_terms(s.r3, textureLoad(a, at_a + vec2(3u, 0u)), b0, b1, b2, b3);
        }
    }
    let row = tile.x * ROWS;
    let column = (tile.y * LANES + lane) * 4u;
    let at = place(column);
    var to = (tile.z * params.m + row) * params.n + at.x;
    // The row to be stored is always the first, so that the epilogue is written out once.
    for (var left = min(ROWS, params.m - row); left > 0u; left--) {
        store_four(to, at.y, s.r0);
        to += params.n;
        s = Rows(s.r1, s.r2, s.r3, s.r3);
    }
}
