// Convolution over up to three spatial axes, or the transpose of one by gathering: one written element per invocation. The kernel
// of last resort.
//
// A convolution writes its output, and sums over the input under the window. Its transpose writes what is the input of the
// convolution that it transposes, and sums the outputs whose windows cover an element. Invocations are numbered row-major over
// what is written; the grid is one-dimensional, folded into y. `Params` say how the window moves, `element` finds an element.

override TRANSPOSED: u32; // 1 for the transpose

@group(0) @binding(1) var<storage, read> x: array<f32>; // [batches, groups * channels, input extents], or what is y below
@group(0) @binding(2) var<storage, read> w: array<f32>; // [groups * filters, channels, kernel extents]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [batches, groups * filters, output extents], or what is x above

// An element of the output: the sum over channels and taps. Taps outside the input count as zero.
fn convolve(place: Element) -> f32 {
    let all_filters = params.groups * params.filters;
    let batch = place.volume / all_filters;
    let filter_index = place.volume - batch * all_filters;
    let group = filter_index / params.filters;

    // Coordinates before the input wrap round and so fail the test against its extent.
    let corner = place.at * params.strides.xyz - vec3<u32>(params.begins.xyz);
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
    return sum;
}

// An element of the input: the sum over filters and the windows that cover it. Tap k of window o does where the element and begin
// are o * stride + k * dilation.
fn convolve_transposed(place: Element) -> f32 {
    let all_channels = params.groups * params.channels;
    let batch = place.volume / all_channels;
    let channel = place.volume - batch * all_channels;
    let group = channel / params.channels;

    // What lies before the first window wraps round to a number that no window has.
    let shifted = place.at + vec3<u32>(params.begins.xyz);
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
    return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    var sum: f32;
    if TRANSPOSED == 1u {
        sum = convolve_transposed(element(index, params.input_extents.xyz));
    } else {
        sum = convolve(element(index, params.output_extents.xyz));
    }
    y[index] = epilogue(sum, index);
}
