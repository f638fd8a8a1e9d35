// Packs operand A of a matrix product into a texture: tiles of ROWS rows, in each of which the four values that every row
// has in a step of four terms are neighbours. Rows past the last repeat it; terms past the last are zeros.
//
// An invocation moves four rows of four terms; the grid runs over terms (x), rows (y) and batches (z).

// Steps of the packed operand.
override PADDED: u32;

@group(0) @binding(2) var packed: texture_storage_2d<rgba32float, write>; // [batches, m / ROWS, PADDED, ROWS]

fn store(tile: u32, row: u32, step: u32, value: vec4<f32>) {
    textureStore(packed, texel(((tile + row / ROWS) * PADDED + step) * ROWS + row % ROWS), value);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let tiles = (params.m + ROWS - 1u) / ROWS;
    let step = id.x;
    let row = id.y * 4u;
    if step >= PADDED || row >= tiles * ROWS {
        return;
    }
    var block: mat4x4<f32>;
    if step * 4u < params.k {
        block = transpose(a_block(a_places(batch_start(id.z).x, row), step * 4u, true));
    }
    let tile = id.z * tiles;
    store(tile, row, step, block[0]);
    // A tile of fewer than four rows ends within the block.
    if row + 1u < tiles * ROWS {
        store(tile, row + 1u, step, block[1]);
    }
    if row + 2u < tiles * ROWS {
        store(tile, row + 2u, step, block[2]);
    }
    if row + 3u < tiles * ROWS {
        store(tile, row + 3u, step, block[3]);
    }
}
