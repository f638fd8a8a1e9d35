// Unfolded lines go to a texture.
@group(0) @binding(2) var unfolded: texture_storage_2d<rgba32float, write>; // [planes, lines, taps, quads]

fn put(index: u32, pixels: vec4<f32>) {
    textureStore(unfolded, texel(index), pixels);
}
