// Scalar functions that WGSL lacks, or that it defines too loosely, on values of either width.

fn infinity() -> f32 {
    // A constant expression may not be infinite; a variable may.
    var bits = 0x7f800000u;
    return bitcast<f32>(bits);
}

fn not_a_number() -> f32 {
    var bits = 0x7fc00000u;
    return bitcast<f32>(bits);
}
