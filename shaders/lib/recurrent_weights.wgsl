// The weights of a recurrent layer as `recurrent_pack` orders them.
@group(0) @binding(2) var<storage, read> weights: array<Four>; // [directions, stride]

// Bias `half` (0 of the input product, 1 of the recurrent one) of a gate.
fn bias(place: Place, half: u32, gate: u32) -> vec4<f32> {
    return four(weights[place.direction * params.stride + ((4u * UNITS + half) * GATES + gate) * UNITS + place.unit]);
}

fn peephole(place: Place, which: u32) -> vec4<f32> {
    return four(weights[place.direction * params.stride + ((4u * UNITS + 2u) * GATES + which) * UNITS + place.unit]);
}

// Where the weights of a group of units begin.
fn weight_start(direction: u32, unit: u32) -> u32 {
    return direction * params.stride + unit;
}

// Weights of unit 4 * group + k of the state, of one gate.
fn weight_row(start: u32, group: u32, k: u32, gate: u32) -> vec4<f32> {
    return four(weights[start + ((group * 4u + k) * GATES + gate) * UNITS]);
}
