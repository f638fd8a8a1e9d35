// Rows of planes of any width, read element by element.
@group(0) @binding(1) var<storage, read> x: array<f32>; // [rows, input_width]

// Four columns from `column` on; zeros past the width.
fn load_four(row: u32, column: u32, width: u32) -> vec4<f32> {
    var values: vec4<f32>;
    for (var i = 0u; i < 4u; i++) {
        if column + i < width {
            values[i] = x[row * width + column + i];
        }
    }
    return values;
}
