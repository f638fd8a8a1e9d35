// Scale and bias with one element per channel (or group of channels): `params.spatial` columns share one, and row `r`
// begins at element `r % params.period * params.step`.
@group(0) @binding(2) var<storage, read> scale: array<f32>; // [channels]
@group(0) @binding(3) var<storage, read> bias: array<f32>; // [channels]

fn channel_at(row: u32, column: u32) -> u32 {
    return row % params.period * params.step + column / params.spatial;
}

fn scale_at(row: u32, column: u32) -> Float {
    return Float(scale[channel_at(row, column)]);
}

fn bias_at(row: u32, column: u32) -> Float {
    return Float(bias[channel_at(row, column)]);
}
