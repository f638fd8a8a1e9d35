// Transposed convolution over up to three spatial axes by gathering: one output element per invocation, which sums the
// inputs whose windows cover it.
//
// Names are those of the convolution that is transposed: its input (extents, channels) is what is written here, its
// output (extents, filters) what is read. Element p is covered by tap k of window o where p + begin = o * stride +
// k * dilation. Invocations are numbered row-major over what is written; the grid is folded into y.

struct Params {
    input_extents: vec4<u32>, // depth, height, width, 1
    output_extents: vec4<u32>,
    kernel_extents: vec4<u32>,
    strides: vec4<u32>,
    dilations: vec4<u32>,
    begins: vec4<i32>,
    groups: u32,
    channels: u32, // written channels of one group
    filters: u32, // read channels of one group
    count: u32, // written elements
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [batches, groups * filters, output extents]
@group(0) @binding(2) var<storage, read> w: array<f32>; // [groups * filters, channels, kernel extents]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [batches, groups * channels, depth, height, width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let extent = params.input_extents;
    let line = index / extent.z;
    let plane = line / extent.y;
    let volume = plane / extent.x;
    let place = vec3(plane - volume * extent.x, line - plane * extent.y, index - line * extent.z);
    let all_channels = params.groups * params.channels;
    let batch = volume / all_channels;
    let channel = volume - batch * all_channels;
    let group = channel / params.channels;

    // What lies before the first window wraps round to a number that no window has.
    let shifted = place + vec3<u32>(params.begins.xyz);
    let out = params.output_extents.xyz;
    let taps = params.kernel_extents.xyz;
    let first_filter = group * params.filters;
    let w_step = params.channels * taps.x * taps.y * taps.z;
    let x_step = out.x * out.y * out.z;
    let w_start = first_filter * w_step + (channel - group * params.channels) * taps.x * taps.y * taps.z;
    let x_start = (batch * params.groups * params.filters + first_filter) * x_step;
    var sum = 0.0;
    for (var i = 0u; i < taps.x; i++) {
        for (var j = 0u; j < taps.y; j++) {
            for (var k = 0u; k < taps.z; k++) {
                let span = shifted - vec3(i, j, k) * params.dilations.xyz;
                let window = span / params.strides.xyz;
                if all(window * params.strides.xyz == span) && all(window < out) {
                    var from_x = x_start + (window.x * out.y + window.y) * out.z + window.z;
                    var from_w = w_start + (i * taps.y + j) * taps.z + k;
                    for (var f = 0u; f < params.filters; f++) {
                        sum += x[from_x] * w[from_w];
                        from_x += x_step;
                        from_w += w_step;
                    }
                }
            }
        }
    }
    y[index] = epilogue(sum, index);
}
