// Puts the weights of a recurrent layer into the order in which `recurrent_persistent` reads them, hidden units in groups of four
// padded with zeros: per direction R as [4 * units][gates][units], B as [2][gates][units], peepholes as [3][units].
//
// One invocation per group of four packed weights.
override HAS_BIAS: bool;
override HAS_PEEPHOLES: bool;

struct Params {
    directions: u32,
    gates: u32,
    hidden: u32,
    units: u32,
    stride: u32, // groups of one direction
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> r: array<f32>; // [directions, gates * hidden, hidden]
@group(0) @binding(2) var<storage, read> b: array<f32>; // [directions, 2 * gates * hidden]
@group(0) @binding(3) var<storage, read> p: array<f32>; // [directions, 3 * hidden]
@group(0) @binding(4) var<storage, read_write> packed: array<vec4<f32>>; // [directions, stride]

fn weight(direction: u32, index: u32, unit: u32) -> f32 {
    let gates = params.gates;
    let rows = 4u * params.units * gates * params.units;
    if index < rows {
        let gate = index / params.units % gates;
        let k = index / params.units / gates;
        if k >= params.hidden {
            return 0.0;
        }
        return r[((direction * gates + gate) * params.hidden + unit) * params.hidden + k];
    }
    let rest = (index - rows) / params.units;
    if rest < 2u * gates {
        if HAS_BIAS {
            return b[(direction * 2u * gates + rest) * params.hidden + unit];
        }
        return 0.0;
    }
    if HAS_PEEPHOLES {
        return p[(direction * 3u + rest - 2u * gates) * params.hidden + unit];
    }
    return 0.0;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let number = invocation.x + invocation.y * groups.x * 64u;
    if number >= params.directions * params.stride {
        return;
    }
    let direction = number / params.stride;
    let index = number % params.stride;
    var group = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        let unit = index % params.units * 4u + k;
        if unit < params.hidden {
            group[k] = weight(direction, index, unit);
        }
    }
    packed[number] = group;
}
