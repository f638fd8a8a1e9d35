// Pads the lines of an image and unfolds them along the kernel's width: unfolded[plane][line][tap][q] is the pixels under
// tap `tap` of output columns 4 q to 4 q + 3.
//
// One vector of four per invocation, numbered row-major; the grid is one-dimensional, folded into y. Each plane gets
// LINES lines, the first of them `begin_y` above the image. TAPS, QUADS, LINES, STRIDE and DILATION are constants, since
// dividing by them is what this kernel does most.

struct Params {
    width: u32,
    height: u32,
    begin_x: u32, // may be negative, as two's complement
    begin_y: u32,
    count: u32, // vectors
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [planes, height, width]
@group(0) @binding(2) var<storage, read_write> unfolded: array<vec4<f32>>; // [planes, LINES, TAPS, QUADS]

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
    let row = index / QUADS;
    let line = row / TAPS;
    let plane = line / LINES;
    let y = line - plane * LINES - params.begin_y;
    if y >= params.height {
        unfolded[index] = vec4(0.0);
        return;
    }
    let start = (plane * params.height + y) * params.width;
    let column = (index - row * QUADS) * 4u * STRIDE + (row - line * TAPS) * DILATION - params.begin_x;
    unfolded[index] = vec4(pixel(start, column), pixel(start, column + STRIDE), pixel(start, column + 2u * STRIDE), pixel(start, column + 3u * STRIDE));
}
