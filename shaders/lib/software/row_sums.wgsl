// Sums of products where the left operand travels by broadcast within a subgroup of eight lanes or more.

// Eight rows of sums, four columns each.
struct Rows {
    r0: vec4<f32>,
    r1: vec4<f32>,
    r2: vec4<f32>,
    r3: vec4<f32>,
    r4: vec4<f32>,
    r5: vec4<f32>,
    r6: vec4<f32>,
    r7: vec4<f32>,
}

// The sums of a tile of `const ROWS` (8, 16, 32 or 64) rows, which kernels of fewer rows leave alone in part.
struct TileSums {
    s0: Rows,
    s1: Rows,
    s2: Rows,
    s3: Rows,
    s4: Rows,
    s5: Rows,
    s6: Rows,
    s7: Rows,
}

// `sums` and the products of eight rows of A (lane i holds four values of row i) with a block of B.
fn add_product(sums: Rows, a: vec4<f32>, b: mat4x4<f32>) -> Rows {
    var s = sums;
    s.r0 += subgroupBroadcast(a.x, 0u) * b[0];
    s.r0 += subgroupBroadcast(a.y, 0u) * b[1];
    s.r0 += subgroupBroadcast(a.z, 0u) * b[2];
    s.r0 += subgroupBroadcast(a.w, 0u) * b[3];
    s.r1 += subgroupBroadcast(a.x, 1u) * b[0];
    s.r1 += subgroupBroadcast(a.y, 1u) * b[1];
    s.r1 += subgroupBroadcast(a.z, 1u) * b[2];
    s.r1 += subgroupBroadcast(a.w, 1u) * b[3];
    s.r2 += subgroupBroadcast(a.x, 2u) * b[0];
    s.r2 += subgroupBroadcast(a.y, 2u) * b[1];
    s.r2 += subgroupBroadcast(a.z, 2u) * b[2];
    s.r2 += subgroupBroadcast(a.w, 2u) * b[3];
    s.r3 += subgroupBroadcast(a.x, 3u) * b[0];
    s.r3 += subgroupBroadcast(a.y, 3u) * b[1];
    s.r3 += subgroupBroadcast(a.z, 3u) * b[2];
    s.r3 += subgroupBroadcast(a.w, 3u) * b[3];
    s.r4 += subgroupBroadcast(a.x, 4u) * b[0];
    s.r4 += subgroupBroadcast(a.y, 4u) * b[1];
    s.r4 += subgroupBroadcast(a.z, 4u) * b[2];
    s.r4 += subgroupBroadcast(a.w, 4u) * b[3];
    s.r5 += subgroupBroadcast(a.x, 5u) * b[0];
    s.r5 += subgroupBroadcast(a.y, 5u) * b[1];
    s.r5 += subgroupBroadcast(a.z, 5u) * b[2];
    s.r5 += subgroupBroadcast(a.w, 5u) * b[3];
    s.r6 += subgroupBroadcast(a.x, 6u) * b[0];
    s.r6 += subgroupBroadcast(a.y, 6u) * b[1];
    s.r6 += subgroupBroadcast(a.z, 6u) * b[2];
    s.r6 += subgroupBroadcast(a.w, 6u) * b[3];
    s.r7 += subgroupBroadcast(a.x, 7u) * b[0];
    s.r7 += subgroupBroadcast(a.y, 7u) * b[1];
    s.r7 += subgroupBroadcast(a.z, 7u) * b[2];
    s.r7 += subgroupBroadcast(a.w, 7u) * b[3];
    return s;
}
