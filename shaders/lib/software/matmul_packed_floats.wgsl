// Operand B of a product of packed operands, floats: what a step of four terms reads lies in one row of the texture.
@group(0) @binding(2) var b: texture_storage_2d<rgba32float, read>; // [batches, n / (4 * LANES), padded, 4, LANES]

alias BPlaces = u32;

struct Pair {
    first: mat4x4<f32>,
    second: mat4x4<f32>,
}

// Where a lane's columns start in the panel that starts there.
fn panel_places(start: u32, lane: u32) -> BPlaces {
    return start + lane;
}

// One step, and nothing for a second.
fn panel_steps(places: BPlaces, step: u32) -> Pair {
    return Pair(panel_block(b, texel(places + step * 4u * LANES)), mat4x4<f32>());
}
