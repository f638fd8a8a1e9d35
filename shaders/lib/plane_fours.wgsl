// Rows of planes whose width is a multiple of four, read in groups of four.
@group(0) @binding(1) var<storage, read> x: array<Four>; // [rows, input_width / 4]

// Four columns from `column` on, a multiple of four; zeros past the width.
fn load_four(row: u32, column: u32, width: u32) -> vec4<f32> {
    if column >= width {
        return vec4(0.0);
    }
    return four(x[(row * width + column) / 4u]);
}
