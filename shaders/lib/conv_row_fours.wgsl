// Rows of an image under the windows of four outputs, read in the groups of four columns that hold what these see.

// Columns of the first group that stand before them, and how many groups it takes.
const BEFORE: u32 = (4u - BEGIN_WIDTH % 4u) % 4u;
const GROUPS: u32 = (BEFORE + COLUMNS + 3u) / 4u;

fn load_row(plane: u32, y: u32, quad: u32, lane: u32) -> Row {
    // What lies before the image wraps round and so fails the test against its extents.
    let first = quad * 4u * STRIDE_WIDTH - BEGIN_WIDTH - BEFORE;
    let line = plane * params.input_height + y;
    var groups: array<vec4<f32>, GROUPS>;
    for (var i = 0u; i < GROUPS; i++) {
        groups[i] = vec4(0.0);
        if y < params.input_height {
            groups[i] = load_four(line, first + i * 4u, params.input_width);
        }
    }
    var row: Row;
    for (var i = 0u; i < COLUMNS; i++) {
        row[i] = groups[(BEFORE + i) / 4u][(BEFORE + i) % 4u];
    }
    return row;
}
