// The weights of a recurrent layer as `recurrent_pack` orders them.
@group(0) @binding(2) var<storage, read> weights: array<Four>; // [directions, stride]

// Bias `half` (0 of the input product, 1 of the recurrent one) of a gate.
fn bias(place: Place, half: u32, gate: u32) -> vec4<f32> {
    return four(weights[place.direction * params.stride + ((4u * UNITS + half) * GATES + gate) * UNITS + place.unit]);
}

fn peephole(place: Place, which: u32) -> vec4<f32> {
    return four(weights[place.direction * params.stride + ((4u * UNITS + 2u) * GATES + which) * UNITS + place.unit]);
}
