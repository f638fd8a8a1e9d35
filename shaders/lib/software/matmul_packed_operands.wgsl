// What matrix products of operands in textures share: their parameters, operand A, and where the operands of a workgroup start.

override BATCH_A: u32; // 0 where all batches share one A
override BATCH_B: u32;

struct Params {
    m: u32,
    n: u32,
    steps: u32,   // four terms each
    padded: u32,  // steps of the packed operands, a multiple of eight
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var a: texture_storage_2d<rgba32float, read>; // [batches, m / ROWS, padded, ROWS]

// Where a workgroup's tile of A (x) and panel of B (y) start; a grid of so many workgroups runs over tiles (x), panels (y) and batches.
fn packed_starts(tile: vec3<u32>, tiles: vec3<u32>) -> vec2<u32> {
    let batch = tile.z * vec2(BATCH_A, BATCH_B);
    return (batch * tiles.xy + tile.xy) * params.padded * vec2(ROWS, 4u * LANES);
}
