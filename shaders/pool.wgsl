// Pooling over up to three spatial axes, one output element per invocation.
//
// Invocations are numbered row-major over the output; the grid is one-dimensional, folded into y. `Params` say how the window
// moves, `element` finds an output element, `store_position` keeps where the largest value stands if anybody asks for it.

// What the values under the window become.
const MAX: u32 = 0u;
const AVERAGE: u32 = 1u; // padding does not count
const AVERAGE_PADDED: u32 = 2u; // padding counts as zeros
const LP: u32 = 3u; // (sum of |x|^power)^(1 / power)
override POOLING: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>; // [planes, depth, height, width]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [planes, output extents]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let place = element(index, params.output_extents.xyz);
    let extent = vec3<i32>(params.input_extents.xyz);
    let corner = vec3<i32>(place.at * params.strides.xyz) - params.begins.xyz;
    let taps = params.kernel_extents.xyz;
    let start = i32(place.volume) * extent.x * extent.y * extent.z;
    var sum = 0.0;
    var largest = 0.0;
    var position = vec3(0);
    var inside = 0u;
    var padded = 0u;
    for (var i = 0u; i < taps.x; i++) {
        for (var j = 0u; j < taps.y; j++) {
            for (var k = 0u; k < taps.z; k++) {
                let at = corner + vec3<i32>(vec3(i, j, k) * params.dilations.xyz);
                padded += u32(all(at < params.padded_extents.xyz));
                if all(at >= vec3(0)) && all(at < extent) {
                    let value = x[start + (at.x * extent.y + at.y) * extent.z + at.z];
                    inside++;
                    if inside == 1u || value > largest {
                        largest = value;
                        position = at;
                    }
                    if POOLING == LP {
                        // pow of zero is not reliable everywhere.
                        sum += select(pow(abs(value), params.power), 0.0, value == 0.0);
                    } else {
                        sum += value;
                    }
                }
            }
        }
    }
    var result = largest;
    if POOLING == AVERAGE {
        result = sum / f32(max(inside, 1u));
    } else if POOLING == AVERAGE_PADDED {
        result = sum / f32(max(padded, 1u));
    } else if POOLING == LP {
        result = select(pow(sum, 1.0 / params.power), 0.0, sum == 0.0);
    }
    store_position(index, start, position, extent);
    y[index] = epilogue(result, index);
}
