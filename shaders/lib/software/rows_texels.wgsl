// What a kernel of rows reads, in groups of four, from a texture.
@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>; // [rows, COLUMNS]

fn x_at(index: u32) -> Float {
    return textureLoad(x, texel(index));
}
