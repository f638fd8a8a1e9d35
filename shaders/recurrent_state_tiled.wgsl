// Puts the initial state of a recurrent layer into the order in which `recurrent_step_tiled` reads it: four neighbouring batch
// elements together, zeros past the last unit.
//
// One invocation per unit, four batch elements and direction.
struct Params {
    batch: u32,
    hidden: u32,
    directions: u32,
    batch_first: u32,
    units: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> given: array<f32>; // [directions, batch, hidden], or batch first
@group(0) @binding(2) var<storage, read_write> state: array<vec4<f32>>; // [directions, 4 * units, batch in fours]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let number = invocation.x + invocation.y * groups.x * 64u;
    let quads = (params.batch + 3u) / 4u;
    if number >= params.directions * params.units * 4u * quads {
        return;
    }
    let quad = number % quads;
    let unit = number / quads % (params.units * 4u);
    let direction = number / quads / (params.units * 4u);
    var four = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        let element = quad * 4u + k;
        let by_direction = direction * params.batch + element;
        let row = select(by_direction, element * params.directions + direction, params.batch_first != 0u);
        if element < params.batch && unit < params.hidden {
            four[k] = given[row * params.hidden + unit];
        }
    }
    state[number] = four;
}
