// Convolution over up to three spatial axes, one output element per invocation. The kernel of last resort.
//
// Invocations are numbered row-major over the output; the grid is one-dimensional, folded into y. Output o and tap k meet
// at input o * stride + k * dilation - begin along each axis; taps outside the input count as zero.

struct Params {
    input_extents: vec4<u32>, // depth, height, width, 1
    output_extents: vec4<u32>,
    kernel_extents: vec4<u32>,
    strides: vec4<u32>,
    dilations: vec4<u32>,
    begins: vec4<i32>,
    groups: u32,
    channels: u32, // input channels of one group
    filters: u32, // output channels of one group
    count: u32, // output elements
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [batches, groups * channels, depth, height, width]
@group(0) @binding(2) var<storage, read> w: array<f32>; // [groups * filters, channels, kernel extents]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [batches, groups * filters, output extents]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let out = params.output_extents;
    let line = index / out.z;
    let plane = line / out.y;
    let volume = plane / out.x;
    let place = vec3(plane - volume * out.x, line - plane * out.y, index - line * out.z);
    let all_filters = params.groups * params.filters;
    let batch = volume / all_filters;
    let filter_index = volume - batch * all_filters;
    let group = filter_index / params.filters;

    // Coordinates before the input wrap round and so fail the test against its extent.
    let corner = place * params.strides.xyz - vec3<u32>(params.begins.xyz);
    let extent = params.input_extents.xyz;
    let taps = params.kernel_extents.xyz;
    var from_w = filter_index * params.channels * taps.x * taps.y * taps.z;
    var channel_start = (batch * params.groups + group) * params.channels * extent.x * extent.y * extent.z;
    var sum = 0.0;
    for (var channel = 0u; channel < params.channels; channel++) {
        for (var i = 0u; i < taps.x; i++) {
            let z = corner.x + i * params.dilations.x;
            for (var j = 0u; j < taps.y; j++) {
                let row = corner.y + j * params.dilations.y;
                let inside = z < extent.x && row < extent.y;
                let from_x = channel_start + (z * extent.y + row) * extent.z;
                for (var k = 0u; k < taps.z; k++) {
                    let column = corner.z + k * params.dilations.z;
                    if inside && column < extent.z {
                        sum += x[from_x + column] * w[from_w];
                    }
                    from_w++;
                }
            }
        }
        channel_start += extent.x * extent.y * extent.z;
    }
    y[index] = epilogue(sum, index);
}
