// Operand B of a convolution as a matrix product: row k is a channel and tap, column n an output pixel, read from lines
// that are padded and unfolded along the kernel's width, so that each tap of four neighbouring pixels is one vector.
// Columns count groups of four pixels, QUADS to a line of output.
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>; // [planes, PADDED_HEIGHT, KERNEL_WIDTH, QUADS]

const LINE: u32 = KERNEL_WIDTH * QUADS;

fn b_row(corner: u32, k: u32) -> vec4<f32> {
    if k >= params.k {
        return vec4(0.0);
    }
    let line = k / KERNEL_WIDTH;
    let channel = line / KERNEL_HEIGHT;
    let row = channel * PADDED_HEIGHT + (line - channel * KERNEL_HEIGHT) * DILATION_HEIGHT;
    return b[corner + row * LINE + (k - line * KERNEL_WIDTH) * QUADS];
}

// Rows k to k + 3 of pixels column to column + 3; groups past the last are the last.
fn b_block(start: u32, k: u32, column: u32) -> mat4x4<f32> {
    let quad = min(column / 4u, OUTPUT_HEIGHT * QUADS - 1u);
    let line = quad / QUADS;
    let corner = start + line * STRIDE_HEIGHT * LINE + quad - line * QUADS;
    return mat4x4(b_row(corner, k), b_row(corner, k + 1u), b_row(corner, k + 2u), b_row(corner, k + 3u));
}
