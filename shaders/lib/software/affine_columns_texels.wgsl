// Scale and bias with one element per column of the rows that are normalised, in groups of four from textures.
@group(0) @binding(2) var scale: texture_storage_2d<rgba32float, read>; // [columns]
@group(0) @binding(3) var bias: texture_storage_2d<rgba32float, read>; // [columns]

fn scale_at(row: u32, column: u32) -> Float {
    return textureLoad(scale, texel(column));
}

fn bias_at(row: u32, column: u32) -> Float {
    return textureLoad(bias, texel(column));
}
