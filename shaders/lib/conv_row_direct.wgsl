// Rows of an image under the windows of four outputs, each invocation by itself: neighbours meet in the cache.
@group(0) @binding(1) var<storage, read> x: array<f32>; // [input planes, INPUT_HEIGHT, INPUT_WIDTH]

fn place(workgroup: u32, lane: u32) -> Place {
    let item = workgroup * LANES + lane;
    let segment = item / QUADS;
    let plane = segment / SEGMENTS;
    return Place(plane, segment - plane * SEGMENTS, item - segment * QUADS, true);
}

fn load_row(plane: u32, y: u32, quad: u32, lane: u32) -> Row {
    let first = quad * 4u * STRIDE_WIDTH - BEGIN_WIDTH;
    let start = (plane * INPUT_HEIGHT + y) * INPUT_WIDTH;
    var row: Row;
    for (var i = 0u; i < COLUMNS; i++) {
        row[i] = 0.0;
        if y < INPUT_HEIGHT && first + i < INPUT_WIDTH {
            row[i] = x[start + first + i];
        }
    }
    return row;
}
