// The zero points of a quantized operand B are all `const ZERO`.
fn b_zero(at: u32) -> vec4<f32> {
    return vec4(f32(ZERO));
}
