// Takes divide (divide); texels (texel).
// Packs the channels of images by fours into a texture: packed[image and group][channel / 4][line][column] is what four channels
// have at one pixel. Lines and columns begin and end where the windows of a convolution do; pixels beside the image and channels
// past the last are zeros.
//
// One pixel of four channels per invocation, numbered row-major; the grid is one-dimensional, folded into y.

// 1 where the channels of a group are no multiple of four.
override CHANNEL_EDGE: u32;

struct Params {
    height: u32,
    width: u32,
    first_y: u32, // where in the image the first packed line and column stand; may be negative, as two's complement
    first_x: u32,
    step_y: u32, // from a packed line or column to the next
    step_x: u32,
    lines: u32,
    columns: u32,
    channels: u32, // of a group
    fours: u32,    // of channels of a group
    count: u32,    // packed pixels
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [batches * groups, channels, height, width]
@group(0) @binding(2) var packed: texture_storage_2d<rgba32float, write>; // [batches * groups, fours, lines, columns]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let row = divide(index, params.columns);
    let plane = divide(row, params.lines);
    let group = divide(plane, params.fours);
    // What lies before the image wraps round and so fails the test against its extents.
    let column = (index - row * params.columns) * params.step_x + params.first_x;
    let line = (row - plane * params.lines) * params.step_y + params.first_y;
    let channel = (plane - group * params.fours) * 4u;
    var pixel = vec4(0.0);
    if column < params.width && line < params.height {
        let area = params.height * params.width;
        let at = (group * params.channels + channel) * area + line * params.width + column;
        let left = params.channels - channel;
        pixel.x = x[at];
        if CHANNEL_EDGE == 0u || left > 1u {
            pixel.y = x[at + area];
        }
        if CHANNEL_EDGE == 0u || left > 2u {
            pixel.z = x[at + 2u * area];
        }
        if CHANNEL_EDGE == 0u || left > 3u {
            pixel.w = x[at + 3u * area];
        }
    }
    textureStore(packed, texel(index), pixel);
}
