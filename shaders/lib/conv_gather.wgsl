// Operand B of a convolution as a matrix product: row k is a channel and tap, column n an output pixel, gathered from the
// input where it lies. The constants are the extents of input, kernel and output, and the steps of the window. `const K_EDGE`
// is 1 where the kernel's steps run past k, which those that pass `edge` may do.
@group(0) @binding(2) var<storage, read> b: array<f32>; // [batches, groups * channels, INPUT_DEPTH, INPUT_HEIGHT, INPUT_WIDTH]

struct BPlaces {
    start: u32,
    corners: array<vec3<u32>, 4>,
}

// Input coordinates of tap 0 at an output pixel; what lies before the input wraps round.
fn corner(pixel: u32) -> vec3<u32> {
    let line = pixel / OUTPUT_WIDTH;
    let slice = line / OUTPUT_HEIGHT;
    let place = vec3(slice, line - slice * OUTPUT_HEIGHT, pixel - line * OUTPUT_WIDTH);
    return place * vec3(STRIDE_DEPTH, STRIDE_HEIGHT, STRIDE_WIDTH) - vec3(BEGIN_DEPTH, BEGIN_HEIGHT, BEGIN_WIDTH);
}

fn b_element(channel_start: u32, at: vec3<u32>) -> f32 {
    if at.x >= INPUT_DEPTH || at.y >= INPUT_HEIGHT || at.z >= INPUT_WIDTH {
        return 0.0;
    }
    return b[channel_start + (at.x * INPUT_HEIGHT + at.y) * INPUT_WIDTH + at.z];
}

// Where four pixels have their tap 0; what lies past the last pixel is of no consequence, as each tap is tested.
fn b_places(start: u32, column: u32) -> BPlaces {
    return BPlaces(start, array(corner(column), corner(column + 1u), corner(column + 2u), corner(column + 3u)));
}

// Row k of four pixels.
fn b_row(places: BPlaces, k: u32, edge: bool) -> vec4<f32> {
    if K_EDGE == 1u && edge && k >= params.k {
        return vec4(0.0);
    }
    let line = k / KERNEL_WIDTH;
    let slice = line / KERNEL_HEIGHT;
    let channel = slice / KERNEL_DEPTH;
    let tap = vec3(slice - channel * KERNEL_DEPTH, line - slice * KERNEL_HEIGHT, k - line * KERNEL_WIDTH);
    let shift = tap * vec3(DILATION_DEPTH, DILATION_HEIGHT, DILATION_WIDTH);
    let channel_start = places.start + channel * (INPUT_DEPTH * INPUT_HEIGHT * INPUT_WIDTH);
    return vec4(
        b_element(channel_start, places.corners[0] + shift),
        b_element(channel_start, places.corners[1] + shift),
        b_element(channel_start, places.corners[2] + shift),
        b_element(channel_start, places.corners[3] + shift),
    );
}

// Rows k to k + 3 of four pixels.
fn b_block(places: BPlaces, k: u32, edge: bool) -> mat4x4<f32> {
    let upper = mat2x4(b_row(places, k, edge), b_row(places, k + 1u, edge));
    return mat4x4(upper[0], upper[1], b_row(places, k + 2u, edge), b_row(places, k + 3u, edge));
}
