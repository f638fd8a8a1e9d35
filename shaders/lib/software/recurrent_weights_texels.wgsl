// The weights of a recurrent layer in a texture, as `recurrent_pack` orders them, for kernels that walk the state in fours.
@group(0) @binding(2) var weights: texture_storage_2d<rgba32float, read>; // [directions, stride]

// Texels from the rows of four units of the state to those of the next.
const BLOCK: u32 = 4u * GATES * UNITS;

// Where a lane's weights begin.
fn weight_start(direction: u32, unit: u32) -> u32 {
    return direction * params.stride + unit;
}

// Bias `half` (0 of the input product, 1 of the recurrent one) of a gate.
fn bias(place: Place, half: u32, gate: u32) -> vec4<f32> {
    let at = weight_start(place.direction, place.unit) + UNITS * BLOCK + (half * GATES + gate) * UNITS;
    return textureLoad(weights, texel(at));
}

fn peephole(place: Place, which: u32) -> vec4<f32> {
    let at = weight_start(place.direction, place.unit) + UNITS * BLOCK + (2u * GATES + which) * UNITS;
    return textureLoad(weights, texel(at));
}

// Four rows of weights of one gate, which may lie in several rows of the texture.
fn weight_block(start: u32, gate: u32) -> mat4x4<f32> {
    let at = start + gate * UNITS;
    return mat4x4<f32>(
        textureLoad(weights, texel(at)),
        textureLoad(weights, texel(at + GATES * UNITS)),
        textureLoad(weights, texel(at + 2u * GATES * UNITS)),
        textureLoad(weights, texel(at + 3u * GATES * UNITS)),
    );
}
