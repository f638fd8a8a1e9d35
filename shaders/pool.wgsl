// Takes pool_values or pool_positions (store_position); window_params; volume_element (element); math (power); an epilogue.
// Pooling over up to three spatial axes, one output element per invocation.
//
// Invocations are numbered row-major over the output; the grid is one-dimensional, folded into y. `Params` say how the window
// moves, `element` finds an output element, `store_position` keeps where the largest value stands if anybody asks for it. The loops
// run over the taps that meet the input and over no others, so that no tap is asked where it is.

// What the values under the window become.
const MAX: u32 = 0u;
const AVERAGE: u32 = 1u; // padding does not count
const AVERAGE_PADDED: u32 = 2u; // padding counts as zeros
const LP: u32 = 3u; // (sum of |x|^power)^(1 / power)
override POOLING: u32;

// 1 where taps lie further apart than neighbours along any axis.
override DILATED: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>; // [planes, depth, height, width]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [planes, output extents]

// How many taps, from the first on, it takes to cover distances, of which those below zero are none.
fn taps_over(distances: vec3<i32>) -> vec3<i32> {
    let covered = max(distances, vec3(0));
    if DILATED == 0u {
        return covered;
    }
    let steps = vec3<i32>(params.dilations.xyz);
    return (covered + steps - 1) / steps;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let place = element(index, params.output_extents.xyz);
    let extent = vec3<i32>(params.input_extents.xyz);
    let corner = vec3<i32>(place.at * params.strides.xyz) - params.begins.xyz;
    let taps = vec3<i32>(params.kernel_extents.xyz);
    let step = vec3<i32>(params.dilations.xyz);
    let start = i32(place.volume) * extent.x * extent.y * extent.z;
    let first = taps_over(-corner);
    let end = min(taps_over(extent - corner), taps);
    var sum = 0.0;
    var largest = 0.0;
    var position = vec3(0);
    var is_first = true;
    for (var i = first.x; i < end.x; i++) {
        let slice = corner.x + i * step.x;
        for (var j = first.y; j < end.y; j++) {
            let line = corner.y + j * step.y;
            let row = start + (slice * extent.y + line) * extent.z;
            for (var k = first.z; k < end.z; k++) {
                let column = corner.z + k * step.z;
                let value = x[row + column];
                if POOLING == MAX {
                    let is_largest = is_first || value > largest;
                    largest = select(largest, value, is_largest);
                    position = select(position, vec3(slice, line, column), is_largest);
                    is_first = false;
                } else if POOLING == LP {
                    // pow of zero is not reliable everywhere.
                    sum += select(pow(abs(value), params.power), 0.0, value == 0.0);
                } else {
                    sum += value;
                }
            }
        }
    }
    var result = largest;
    if POOLING == AVERAGE {
        let inside = max(end - first, vec3(0));
        result = sum / f32(max(inside.x * inside.y * inside.z, 1));
    } else if POOLING == AVERAGE_PADDED {
        let padded = min(taps_over(params.padded_extents.xyz - corner), taps);
        result = sum / f32(max(padded.x * padded.y * padded.z, 1));
    } else if POOLING == LP {
        result = select(pow(sum, 1.0 / params.power), 0.0, sum == 0.0);
    }
    store_position(index, start, position, extent);
    y[index] = epilogue(result, index);
}
