// An operand B of floats eight rows at a time. Goes with matmul_b_unleveled.
struct Pair {
    first: mat4x4<f32>,
    second: mat4x4<f32>,
}

// Rows k to k + 7 of four columns, which are there.
fn b_pair(places: BPlaces, level: BLevel, k: u32) -> Pair {
    return Pair(b_block(places, k, false), b_block(places, k + 4u, false));
}
