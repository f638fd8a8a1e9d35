// Takes perhaps four_words; perhaps plane_fours or plane_elements; divide; conv_row (Place, quads); conv_row_exchange or
// conv_row_alone; texels (texel); perhaps conv_row_direct (load_row).
// Pads the lines of an image and unfolds them along the kernel's width into a texture: unfolded[plane][line][tap][q] is the
// pixels under tap `tap` of output columns 4 q to 4 q + 3.
//
// An invocation makes all taps of four output columns of one line; what reads the input says of which.

struct Params {
    planes: u32, // input channels of the whole batch
    input_height: u32,
    input_width: u32,
    output_width: u32,
    lines: u32, // of a plane, the first of them BEGIN_HEIGHT above the image
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var unfolded: texture_storage_2d<rgba32float, write>; // [planes, lines, KERNEL_WIDTH, quads()]

// A line at a time.
fn segments() -> u32 {
    return params.lines;
}

fn run(at: Place, lane: u32) {
    // Lines above the image wrap round and so fail the test against the height.
    let row = load_row(at.plane, at.segment - BEGIN_HEIGHT, at.quad, lane);
    if at.owned {
        let start = (at.plane * params.lines + at.segment) * KERNEL_WIDTH * quads() + at.quad;
        for (var tap = 0u; tap < KERNEL_WIDTH; tap++) {
            let column = tap * DILATION_WIDTH;
            let pixels = vec4(
                row[column],
                row[column + STRIDE_WIDTH],
                row[column + 2u * STRIDE_WIDTH],
                row[column + 3u * STRIDE_WIDTH],
            );
            textureStore(unfolded, texel(start + tap * quads()), pixels);
        }
    }
}
