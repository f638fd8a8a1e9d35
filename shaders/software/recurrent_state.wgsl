// Puts the initial state of a recurrent layer, or zeros, into the texture in which `recurrent_step_broadcast` reads it.
//
// One invocation per group of four units of a batch element and direction.
override GIVEN: bool;

struct Params {
    batch: u32,
    hidden: u32,
    directions: u32,
    batch_first: u32,
    units: u32,
    rows: u32, // batch elements of a tile
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> given: array<f32>; // [directions, batch, hidden], or batch first
@group(0) @binding(2) var state: texture_storage_2d<rgba32float, write>; // [directions, tiles, units, rows]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let number = invocation.x + invocation.y * groups.x * 64u;
    if number >= params.directions * params.batch * params.units {
        return;
    }
    let unit = number % params.units;
    let element = number / params.units % params.batch;
    let direction = number / params.units / params.batch;
    let by_direction = direction * params.batch + element;
    let row = select(by_direction, element * params.directions + direction, params.batch_first != 0u);
    var group = vec4<f32>(0.0);
    for (var k = 0u; GIVEN && k < min(4u, params.hidden - unit * 4u); k++) {
        group[k] = given[row * params.hidden + unit * 4u + k];
    }
    let tiles = (params.batch + params.rows - 1u) / params.rows;
    let tile = direction * tiles + element / params.rows;
    textureStore(state, texel((tile * params.units + unit) * params.rows + element % params.rows), group);
}
