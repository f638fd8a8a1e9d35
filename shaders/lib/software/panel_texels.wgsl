// Operand B of a product in a texture, in panels of four columns for each of `const LANES` lanes.

// Four columns of four rows, which stand in one row of the texture.
fn panel_block(b: texture_storage_2d<rgba32float, read>, at: vec2<u32>) -> mat4x4<f32> {
    return mat4x4(
        textureLoad(b, at),
        textureLoad(b, at + vec2(LANES, 0u)),
        textureLoad(b, at + vec2(2u * LANES, 0u)),
        textureLoad(b, at + vec2(3u * LANES, 0u)),
    );
}
