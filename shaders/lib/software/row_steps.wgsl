// Sums of products of operands in textures. A step is four terms: of each eight rows of A, every lane reads the four values of its own
// row, which travel by broadcast, and all four terms of a row are added before the next row, which keeps the sums in registers.

// Adds a step to the sums of a tile of `const ROWS` rows: the values of A stand from `at` on, a row's beside those of the row before.
fn add_step(sums: ptr<function, TileSums>, a: texture_storage_2d<rgba32float, read>, at: vec2<u32>, block: mat4x4<f32>) {
    (*sums).s0 = add_product((*sums).s0, textureLoad(a, at), block);
    if ROWS > 8u {
        (*sums).s1 = add_product((*sums).s1, textureLoad(a, at + vec2(8u, 0u)), block);
    }
    if ROWS > 16u {
        (*sums).s2 = add_product((*sums).s2, textureLoad(a, at + vec2(16u, 0u)), block);
        (*sums).s3 = add_product((*sums).s3, textureLoad(a, at + vec2(24u, 0u)), block);
    }
    if ROWS > 32u {
        (*sums).s4 = add_product((*sums).s4, textureLoad(a, at + vec2(32u, 0u)), block);
        (*sums).s5 = add_product((*sums).s5, textureLoad(a, at + vec2(40u, 0u)), block);
        (*sums).s6 = add_product((*sums).s6, textureLoad(a, at + vec2(48u, 0u)), block);
        (*sums).s7 = add_product((*sums).s7, textureLoad(a, at + vec2(56u, 0u)), block);
    }
}
