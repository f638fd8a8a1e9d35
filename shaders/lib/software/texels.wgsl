// Textures as arrays of groups of four floats, `const TEXTURE_WIDTH` of them in a row.

fn texel(group: u32) -> vec2<u32> {
    return vec2(group % TEXTURE_WIDTH, group / TEXTURE_WIDTH);
}
