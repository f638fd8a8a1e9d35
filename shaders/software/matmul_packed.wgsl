// Matrix product for adapters that are a CPU, of operands packed into textures, which such adapters read many times faster
// than storage buffers; values of A travel by broadcast.
//
// A workgroup is one subgroup of LANES lanes and makes ROWS (8, 16 or 32) rows by 4 * LANES columns of C, four columns a
// lane. A step is four terms: every lane reads its four columns of four rows of B and, of each eight rows of A, the four
// values of its own row; all four terms of a row are added before the next row, which keeps the sums in registers. What a
// step reads lies in one row of each texture. The grid runs over row tiles (x, so that neighbours share columns of B),
// column tiles (y) and batches (z).

override BATCH_A: u32; // 0 where all batches share one A
override BATCH_B: u32;

struct Params {
    m: u32,
    n: u32,
    steps: u32,   // four terms each
    padded: u32,  // steps of the packed operands
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var a: texture_storage_2d<rgba32float, read>; // [batches, m / ROWS, padded, ROWS]
@group(0) @binding(2) var b: texture_storage_2d<rgba32float, read>; // [batches, n / (4 * LANES), padded, 4, LANES]
@group(0) @binding(3) var<storage, read_write> output: array<Float>; // [batches, m, n]

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) tile: vec3<u32>,
    @builtin(num_workgroups) tiles: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let a_tile = tile.z * BATCH_A * tiles.x + tile.x;
    let b_tile = tile.z * BATCH_B * tiles.y + tile.y;
    // Lanes past the eighth read a row that nobody asks them for.
    let a_start = a_tile * params.padded * ROWS + lane % 8u;
    let b_start = b_tile * params.padded * 4u * LANES + lane;
    var s0: Rows;
    var s1: Rows;
    var s2: Rows;
    var s3: Rows;
    // A broadcast, since some software adapters compile a kernel anew, at each dispatch, for the value of a parameter that alone
    // bounds a loop.
    let steps = subgroupBroadcastFirst(params.steps);
    for (var step = 0u; step < steps; step++) {
        let at_a = texel(a_start + step * ROWS);
        let at_b = texel(b_start + step * 4u * LANES);
        let block = mat4x4(
            textureLoad(b, at_b),
            textureLoad(b, at_b + vec2(LANES, 0u)),
            textureLoad(b, at_b + vec2(2u * LANES, 0u)),
            textureLoad(b, at_b + vec2(3u * LANES, 0u)),
        );
        s0 = add_product(s0, textureLoad(a, at_a), block);
        if ROWS > 8u {
            s1 = add_product(s1, textureLoad(a, at_a + vec2(8u, 0u)), block);
        }
        if ROWS > 16u {
            s2 = add_product(s2, textureLoad(a, at_a + vec2(16u, 0u)), block);
            s3 = add_product(s3, textureLoad(a, at_a + vec2(24u, 0u)), block);
        }
    }
    let row = tile.x * ROWS;
    let column = (tile.y * LANES + lane) * 4u;
    let to = place(column);
    let rows = min(ROWS, params.m - row);
    var at = (tile.z * params.m + row) * params.n + to.x;
    for (var next = 0u; next < rows; next += 4u) {
        store_first(at, params.n, to.y, rows - next, s0);
        at += 4u * params.n;
        s0 = after_first(s0, s1);
        if ROWS > 8u {
            s1 = after_first(s1, s2);
        }
        if ROWS > 16u {
            s2 = after_first(s2, s3);
            s3 = after_first(s3, s3);
        }
    }
}
