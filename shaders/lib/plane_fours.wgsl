// Rows of planes whose width is a multiple of four, read in groups of four.
@group(0) @binding(1) var<storage, read> x: array<Four>; // [rows, INPUT_WIDTH / 4]

// Four columns from `column` on, a multiple of four; zeros past the width.
fn load_four(row: u32, column: u32) -> vec4<f32> {
    if column >= INPUT_WIDTH {
        return vec4(0.0);
    }
    return four(x[(row * INPUT_WIDTH + column) / 4u]);
}
