// Operand B of a convolution as a matrix product: row k is a channel and tap, column n an output pixel, read from lines
// that are padded and unfolded along the kernel's width, so that each tap of four neighbouring pixels is one vector.
// Columns count groups of four pixels, QUADS to a line of output. `const TERMS` is k, known when the kernel is compiled.
@group(0) @binding(2) var<storage, read> b: array<Four>; // [planes, PADDED_HEIGHT, KERNEL_WIDTH, QUADS]

alias BPlaces = u32;

const LINE: u32 = KERNEL_WIDTH * QUADS;

// Where tap 0 of four pixels stands; groups past the last are the last.
fn b_places(start: u32, column: u32) -> BPlaces {
    let quad = min(column / 4u, OUTPUT_HEIGHT * QUADS - 1u);
    let line = quad / QUADS;
    return start + line * STRIDE_HEIGHT * LINE + quad - line * QUADS;
}

fn b_row(places: BPlaces, k: u32) -> vec4<f32> {
    if TERMS % 4u != 0u && k >= TERMS {
        return vec4(0.0);
    }
    let line = k / KERNEL_WIDTH;
    let channel = line / KERNEL_HEIGHT;
    let row = channel * PADDED_HEIGHT + (line - channel * KERNEL_HEIGHT) * DILATION_HEIGHT;
    return four(b[places + row * LINE + (k - line * KERNEL_WIDTH) * QUADS]);
}

// Rows k to k + 3 of four pixels.
fn b_block(places: BPlaces, k: u32, edge: bool) -> mat4x4<f32> {
    return mat4x4(b_row(places, k), b_row(places, k + 1u), b_row(places, k + 2u), b_row(places, k + 3u));
}
