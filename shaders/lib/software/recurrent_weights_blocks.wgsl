// The weights of a recurrent layer in blocks, for kernels that walk the state in fours: LANES groups of units together, so that the four
// rows of a block lie in one row of the texture. `const SLOTS` is the number of gates that a block has room for.
@group(0) @binding(2) var weights: texture_storage_2d<rgba32float, read>; // [directions, blocks of units, STRIDE], see ops/rnn/software.rs

// Texels from the block of four units of the state to that of the next.
const BLOCK: u32 = 4u * SLOTS * LANES;
// Texels of one direction and LANES groups of units: UNITS blocks of weights, and room for biases and peepholes in two more.
const STRIDE: u32 = (UNITS + 2u) * BLOCK;

// Where a lane's weights begin.
fn weight_start(direction: u32, unit: u32) -> u32 {
    return (direction * ((UNITS + LANES - 1u) / LANES) + unit / LANES) * STRIDE + unit % LANES;
}

// Bias `half` (0 of the input product, 1 of the recurrent one) of a gate.
fn bias(place: Place, half: u32, gate: u32) -> vec4<f32> {
    let at = weight_start(place.direction, place.unit) + UNITS * BLOCK + (half * GATES + gate) * LANES;
    return textureLoad(weights, texel(at));
}

fn peephole(place: Place, which: u32) -> vec4<f32> {
    let at = weight_start(place.direction, place.unit) + UNITS * BLOCK + (2u * GATES + which) * LANES;
    return textureLoad(weights, texel(at));
}

// Four rows of weights of one gate.
fn weight_block(start: u32, gate: u32) -> mat4x4<f32> {
    let at = texel(start) + vec2(gate * LANES, 0u);
    return mat4x4<f32>(
        textureLoad(weights, at),
        textureLoad(weights, at + vec2(SLOTS * LANES, 0u)),
        textureLoad(weights, at + vec2(2u * SLOTS * LANES, 0u)),
        textureLoad(weights, at + vec2(3u * SLOTS * LANES, 0u)),
    );
}

// One row of them, of unit 4 * group + k of the state.
fn weight_row(start: u32, group: u32, k: u32, gate: u32) -> vec4<f32> {
    return textureLoad(weights, texel(start + group * BLOCK) + vec2((k * SLOTS + gate) * LANES, 0u));
}
