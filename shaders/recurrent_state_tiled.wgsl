// Puts the initial state of a recurrent layer into the order in which `recurrent_step_tiled` reads it: four neighbouring batch
// elements together, zeros past the last unit.
//
// One invocation per unit, four batch elements and direction.
@group(0) @binding(2) var<storage, read_write> state: array<vec4<f32>>; // [directions, 4 * units, batch in fours]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let number = invocation.x + invocation.y * groups.x * 64u;
    let quads = tiles_of_batch();
    if number >= params.directions * params.units * 4u * quads {
        return;
    }
    let quad = number % quads;
    let unit = number / quads % (params.units * 4u);
    let direction = number / quads / (params.units * 4u);
    var four = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        let element = quad * 4u + k;
        if element < params.batch && unit < params.hidden {
            four[k] = given[given_start(direction, element) + unit];
        }
    }
    state[number] = four;
}
