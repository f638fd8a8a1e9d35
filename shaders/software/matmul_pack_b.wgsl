// Packs operand B of a matrix product into a texture: panels of PANEL columns, row after row. Columns past the last repeat
// it or others; rows past the last are zeros.
//
// An invocation moves four rows of four columns; the grid runs over columns (x), rows (y) and batches (z).

// Steps of four rows of the packed operand.
override PADDED: u32;

@group(0) @binding(1) var packed: texture_storage_2d<rgba32float, write>; // [batches, n / PANEL, PADDED, 4, PANEL / 4]

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let panels = (params.n + PANEL - 1u) / PANEL;
    let column = id.x * 4u;
    let step = id.y;
    if column >= panels * PANEL || step >= PADDED {
        return;
    }
    var block: mat4x4<f32>;
    if step * 4u < params.k {
        block = b_block(b_places(batch_start(id.z).y, column), step * 4u, true);
    }
    let at = ((id.z * panels + column / PANEL) * PADDED + step) * PANEL + column % PANEL / 4u;
    textureStore(packed, texel(at), block[0]);
    textureStore(packed, texel(at + PANEL / 4u), block[1]);
    textureStore(packed, texel(at + PANEL / 2u), block[2]);
    textureStore(packed, texel(at + PANEL / 4u * 3u), block[3]);
}
