// Scale and bias with one element per column of the rows that are normalised.
@group(0) @binding(2) var<storage, read> scale: array<Float>; // [columns]
@group(0) @binding(3) var<storage, read> bias: array<Float>; // [columns]

fn scale_at(row: u32, column: u32) -> Float {
    return scale[column];
}

fn bias_at(row: u32, column: u32) -> Float {
    return bias[column];
}
