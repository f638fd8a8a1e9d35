// Takes store_width1 or store_width4 (store_four); width1 or width4 (Float); an epilogue.
// Convolution for GPUs as a product of weights and the pixels under the window: tiles of both in workgroup memory, a block
// of the output in the registers of each invocation.
//
// A workgroup of 8x8 invocations makes a tile of 64 filters by 64 output pixels, each invocation 8 by 8 of it in blocks of
// 4x4 that lie 32 apart. It walks the taps of the window, and for each tap the channels in steps of STEP. Where a pixel
// sees the input is worked out once for each tap: an invocation brings one pixel of all channels of a step, at a constant
// distance from each other. The grid runs over pixel tiles (x), filter tiles (y), and batches and groups (z).

struct Params {
    groups: u32,
    filters: u32, // of a group
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [batches, groups, CHANNELS, INPUT_DEPTH, INPUT_HEIGHT, INPUT_WIDTH]
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>; // [groups, filter tiles, TAPS, PADDED_CHANNELS, 64 / 4], packed
@group(0) @binding(3) var<storage, read_write> output: array<Float>; // [batches, groups, filters, PIXELS]

const STEP: u32 = 16u;
const PADDED_CHANNELS: u32 = (CHANNELS + STEP - 1u) / STEP * STEP;
const PLANE: u32 = INPUT_DEPTH * INPUT_HEIGHT * INPUT_WIDTH;
const PIXELS: u32 = OUTPUT_DEPTH * OUTPUT_HEIGHT * OUTPUT_WIDTH;
const TAPS: u32 = KERNEL_DEPTH * KERNEL_HEIGHT * KERNEL_WIDTH;

var<workgroup> a_tile: array<vec4<f32>, 256>; // [STEP][16], four filters each
var<workgroup> b_tile: array<array<f32, 64>, STEP>; // pixels

fn add_product(sums: mat4x4<f32>, a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(sums[0] + a.x * b, sums[1] + a.y * b, sums[2] + a.z * b, sums[3] + a.w * b);
}

// The sums of an invocation: blocks of its upper and lower filters by its left and right pixels.
struct Sums {
    upper_left: mat4x4<f32>,
    upper_right: mat4x4<f32>,
    lower_left: mat4x4<f32>,
    lower_right: mat4x4<f32>,
}

fn b_four(k: u32, pixel: u32) -> vec4<f32> {
    return vec4(b_tile[k][pixel], b_tile[k][pixel + 1u], b_tile[k][pixel + 2u], b_tile[k][pixel + 3u]);
}

// The sums with the products of row k of both tiles.
fn add_row(sums: Sums, k: u32, id: vec2<u32>) -> Sums {
    let a_upper = a_tile[k * 16u + id.y];
    let a_lower = a_tile[k * 16u + 8u + id.y];
    let b_left = b_four(k, id.x * 4u);
    let b_right = b_four(k, id.x * 4u + 32u);
    return Sums(
        add_product(sums.upper_left, a_upper, b_left),
        add_product(sums.upper_right, a_upper, b_right),
        add_product(sums.lower_left, a_lower, b_left),
        add_product(sums.lower_right, a_lower, b_right),
    );
}

fn store_block(plane: u32, filter_index: u32, pixel: u32, sums: mat4x4<f32>) {
    for (var i = 0u; i < 4u; i++) {
        if filter_index + i < params.filters && pixel < PIXELS {
            store_four((plane * params.filters + filter_index + i) * PIXELS + pixel, PIXELS - pixel, sums[i]);
        }
    }
}

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let group = tile.z % params.groups;
    let pixel = tile.x * 64u + index;
    let line = pixel / OUTPUT_WIDTH;
    let slice = line / OUTPUT_HEIGHT;
    // Coordinates before the input wrap round and so fail the test against its extent.
    let corner = vec3(slice, line - slice * OUTPUT_HEIGHT, pixel - line * OUTPUT_WIDTH)
        * vec3(STRIDE_DEPTH, STRIDE_HEIGHT, STRIDE_WIDTH) - vec3(BEGIN_DEPTH, BEGIN_HEIGHT, BEGIN_WIDTH);
    let x_start = tile.z * CHANNELS * PLANE;
    let tiles = (params.filters + 63u) / 64u;
    var from_w = (group * tiles + tile.y) * TAPS * PADDED_CHANNELS * 16u + index;
    var sums: Sums;
    for (var tap = 0u; tap < TAPS; tap++) {
        let row = tap / KERNEL_WIDTH;
        let level = row / KERNEL_HEIGHT;
        let shift = vec3(level, row - level * KERNEL_HEIGHT, tap - row * KERNEL_WIDTH);
        let at = corner + shift * vec3(DILATION_DEPTH, DILATION_HEIGHT, DILATION_WIDTH);
        let inside = pixel < PIXELS && at.x < INPUT_DEPTH && at.y < INPUT_HEIGHT && at.z < INPUT_WIDTH;
        var from_x = x_start + (at.x * INPUT_HEIGHT + at.y) * INPUT_WIDTH + at.z;
        for (var channel = 0u; channel < PADDED_CHANNELS; channel += STEP) {
            var b_values: array<f32, STEP>;
            if inside {
                for (var i = 0u; i < STEP; i++) {
                    if PADDED_CHANNELS == CHANNELS || channel + i < CHANNELS {
                        b_values[i] = x[from_x + i * PLANE];
                    }
                }
            }
            let a0 = w[from_w];
            let a1 = w[from_w + 64u];
            let a2 = w[from_w + 128u];
            let a3 = w[from_w + 192u];
            from_x += STEP * PLANE;
            from_w += STEP * 16u;
            workgroupBarrier();
            a_tile[index] = a0;
            a_tile[index + 64u] = a1;
            a_tile[index + 128u] = a2;
            a_tile[index + 192u] = a3;
            for (var i = 0u; i < STEP; i++) {
                b_tile[i][index] = b_values[i];
            }
            workgroupBarrier();
            for (var k = 0u; k < STEP; k += 4u) {
                sums = add_row(sums, k, id.xy);
                sums = add_row(sums, k + 1u, id.xy);
                sums = add_row(sums, k + 2u, id.xy);
                sums = add_row(sums, k + 3u, id.xy);
            }
        }
    }
    let filter_index = tile.y * 64u + id.y * 4u;
    let column = tile.x * 64u + id.x * 4u;
    store_block(tile.z, filter_index, column, sums.upper_left);
    store_block(tile.z, filter_index, column + 32u, sums.upper_right);
    store_block(tile.z, filter_index + 32u, column, sums.lower_left);
    store_block(tile.z, filter_index + 32u, column + 32u, sums.lower_right);
}
