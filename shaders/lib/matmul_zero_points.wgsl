// The zero points of a quantized operand B, four columns to a word, stand where the scales do.
@group(0) @binding(5) var<storage, read> b_zeros: array<u32>; // [n / PANEL, k / BLOCK, PANEL / 4]

fn b_zero(at: u32) -> vec4<f32> {
    return vec4<f32>((vec4(b_zeros[at]) >> vec4(0u, 8u, 16u, 24u)) & vec4(255u));
}
