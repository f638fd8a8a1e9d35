// Pads the lines of an image and unfolds them along the kernel's width: unfolded[plane][line][tap][q] is the pixels under
// tap `tap` of output columns 4 q to 4 q + 3. Serves windows of any width.
//
// One group of four pixels per invocation, numbered row-major; the grid is one-dimensional, folded into y. Each plane gets
// `lines` lines, the first of them `begin_y` above the image. `put` says where a group goes.

struct Params {
    width: u32,
    height: u32,
    begin_x: u32, // may be negative, as two's complement
    begin_y: u32,
    taps: u32,
    stride: u32,
    dilation: u32,
    quads: u32,
    lines: u32,
    count: u32, // groups
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [planes, height, width]

// A pixel of a line, or the zero beside it; what lies before the line wraps round.
fn pixel(line_start: u32, column: u32) -> f32 {
    if column >= params.width {
        return 0.0;
    }
    return x[line_start + column];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let row = divide(index, params.quads);
    let line = divide(row, params.taps);
    let plane = divide(line, params.lines);
    let y = line - plane * params.lines - params.begin_y;
    if y >= params.height {
        put(index, vec4(0.0));
        return;
    }
    let start = (plane * params.height + y) * params.width;
    let tap = row - line * params.taps;
    let column = (index - row * params.quads) * 4u * params.stride + tap * params.dilation - params.begin_x;
    put(
        index,
        vec4(
            pixel(start, column),
            pixel(start, column + params.stride),
            pixel(start, column + 2u * params.stride),
            pixel(start, column + 3u * params.stride),
        ),
    );
}
