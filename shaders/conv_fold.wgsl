// Sums the columns of a transposed convolution into its output: columns[plane][tap][window] is what tap `tap` of the window at
// an input pixel adds to one element of the output, and each element of the output gathers what falls on it.
//
// Names are those of the convolution that is transposed: INPUT is what is written here, OUTPUT are the windows. Element p is
// covered by tap k of window o where p + BEGIN = o * STRIDE + k * DILATION. Where taps are neighbours only every STRIDE-th
// is looked at. One element per invocation, numbered row-major over what is written, where `element` finds it; the grid is folded
// into y.

struct Params {
    count: u32, // written elements
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> columns: array<f32>; // [batches, groups * channels, taps, windows]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [batches, groups * channels, INPUT extents]

// The first tap along an axis that may cover an element, and the step to the next.
fn first_tap(shifted: u32, stride: u32, dilation: u32) -> vec2<u32> {
    return select(vec2(0u, 1u), vec2(shifted % stride, stride), dilation == 1u);
}

// The window along an axis whose tap covers an element; past the last where there is none.
fn window_of(shifted: u32, tap: u32, stride: u32, dilation: u32, windows: u32) -> u32 {
    // What lies before the first window wraps round.
    let span = shifted - tap * dilation;
    let window = span / stride;
    return select(windows, window, span <= shifted && window * stride == span && window < windows);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let place = element(index, vec3(INPUT_DEPTH, INPUT_HEIGHT, INPUT_WIDTH));
    let shifted = place.at + vec3(BEGIN_DEPTH, BEGIN_HEIGHT, BEGIN_WIDTH);
    let taps_z = first_tap(shifted.x, STRIDE_DEPTH, DILATION_DEPTH);
    let taps_y = first_tap(shifted.y, STRIDE_HEIGHT, DILATION_HEIGHT);
    let taps_x = first_tap(shifted.z, STRIDE_WIDTH, DILATION_WIDTH);
    var sum = 0.0;
    for (var i = taps_z.x; i < KERNEL_DEPTH; i += taps_z.y) {
        let window_z = window_of(shifted.x, i, STRIDE_DEPTH, DILATION_DEPTH, OUTPUT_DEPTH);
        for (var j = taps_y.x; j < KERNEL_HEIGHT; j += taps_y.y) {
            let window_y = window_of(shifted.y, j, STRIDE_HEIGHT, DILATION_HEIGHT, OUTPUT_HEIGHT);
            for (var k = taps_x.x; k < KERNEL_WIDTH; k += taps_x.y) {
                let window_x = window_of(shifted.z, k, STRIDE_WIDTH, DILATION_WIDTH, OUTPUT_WIDTH);
                if window_z < OUTPUT_DEPTH && window_y < OUTPUT_HEIGHT && window_x < OUTPUT_WIDTH {
                    let tap = (i * KERNEL_HEIGHT + j) * KERNEL_WIDTH + k;
                    let row = place.volume * (KERNEL_DEPTH * KERNEL_HEIGHT * KERNEL_WIDTH) + tap;
                    sum += columns[((row * OUTPUT_DEPTH + window_z) * OUTPUT_HEIGHT + window_y) * OUTPUT_WIDTH + window_x];
                }
            }
        }
    }
    y[index] = epilogue(sum, index);
}
