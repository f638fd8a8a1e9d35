// Puts the initial state of a recurrent layer, or zeros, into the texture in which `recurrent_broadcast` reads it.
//
// One invocation per group of four units of a batch element and direction.
override GIVEN: bool;

@group(0) @binding(2) var state: texture_storage_2d<rgba32float, write>; // [directions, tiles, units, together]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let number = invocation.x + invocation.y * groups.x * 64u;
    if number >= params.directions * params.batch * params.units {
        return;
    }
    let unit = number % params.units;
    let element = number / params.units % params.batch;
    let direction = number / params.units / params.batch;
    let start = given_start(direction, element);
    var group = vec4<f32>(0.0);
    for (var k = 0u; GIVEN && k < min(4u, params.hidden - unit * 4u); k++) {
        group[k] = given[start + unit * 4u + k];
    }
    let tile = direction * tiles_of_batch() + element / params.together;
    textureStore(state, texel((tile * params.units + unit) * params.together + element % params.together), group);
}
