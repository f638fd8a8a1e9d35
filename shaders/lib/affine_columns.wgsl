// Scale and bias with one element per column of the rows that are normalised.
@group(0) @binding(2) var<storage, read> scale: array<Stored>; // [columns]
@group(0) @binding(3) var<storage, read> bias: array<Stored>; // [columns]

fn scale_at(row: u32, column: u32) -> Float {
    return floats(scale[column]);
}

fn bias_at(row: u32, column: u32) -> Float {
    return floats(bias[column]);
}
