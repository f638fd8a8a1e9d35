// Second step of Winograd's convolution F(4x4, 3x3) for adapters that are a CPU: products of transformed tiles and weights over
// the channels, one for each of the 36 values of a tile. All operands are textures; tiles travel by broadcast.
//
// A workgroup is one subgroup of LANES lanes and makes one value of ROWS (8, 16 or 32) tiles by 4 * LANES filters, four filters a
// lane. A step is four channels: every lane reads its four filters of four channels and, of each eight tiles, the four channels
// of its own. The grid runs over blocks of tiles (x, so that neighbours share weights), panels of filters (y), and values and
// groups (z).

struct Params {
    groups: u32,
    steps: u32, // four channels each
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var tiles: texture_storage_2d<rgba32float, read>; // [groups, blocks, steps, 36, ROWS], four channels each
@group(0) @binding(2) var w: texture_storage_2d<rgba32float, read>; // [36, groups, panels, steps, 4, LANES], four filters each
@group(0) @binding(3) var products: texture_storage_2d<rgba32float, write>; // [groups, blocks, panels, 36, ROWS, LANES], four filters each

fn store_rows(at: u32, rows: Rows) {
    textureStore(products, texel(at), rows.r0);
    textureStore(products, texel(at + LANES), rows.r1);
    textureStore(products, texel(at + 2u * LANES), rows.r2);
    textureStore(products, texel(at + 3u * LANES), rows.r3);
    textureStore(products, texel(at + 4u * LANES), rows.r4);
    textureStore(products, texel(at + 5u * LANES), rows.r5);
    textureStore(products, texel(at + 6u * LANES), rows.r6);
    textureStore(products, texel(at + 7u * LANES), rows.r7);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(num_workgroups) blocks: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let value = divide(block.z, params.groups);
    let tile_block = (block.z - value * params.groups) * blocks.x + block.x;
    // Lanes past the eighth read tiles that nobody asks them for.
    var from_tile = (tile_block * params.steps * 36u + value) * ROWS + lane % 8u;
    var from_w = (block.z * blocks.y + block.y) * params.steps * 4u * LANES + lane;
    var sums: TileSums;
    // A broadcast, since some software adapters compile a kernel anew, at each dispatch, for the value of a parameter that alone
    // bounds a loop.
    let steps = subgroupBroadcastFirst(params.steps);
    for (var step = 0u; step < steps; step++) {
        let weights = panel_block(w, texel(from_w));
        add_step(&sums, tiles, texel(from_tile), weights);
        from_tile += 36u * ROWS;
        from_w += 4u * LANES;
    }
    let to = ((tile_block * blocks.y + block.y) * 36u + value) * ROWS * LANES + lane;
    store_rows(to, sums.s0);
    if ROWS > 8u {
        store_rows(to + 8u * LANES, sums.s1);
    }
    if ROWS > 16u {
        store_rows(to + 16u * LANES, sums.s2);
        store_rows(to + 24u * LANES, sums.s3);
    }
}
