// Rows of an image of any width under the windows of four outputs, read element by element.
@group(0) @binding(1) var<storage, read> x: array<f32>; // [input planes, input_height, input_width]

fn load_row(plane: u32, y: u32, quad: u32, lane: u32) -> Row {
    let first = quad * 4u * STRIDE_WIDTH - BEGIN_WIDTH;
    let start = (plane * params.input_height + y) * params.input_width;
    var row: Row;
    for (var i = 0u; i < COLUMNS; i++) {
        row[i] = 0.0;
        if y < params.input_height && first + i < params.input_width {
            row[i] = x[start + first + i];
        }
    }
    return row;
}
