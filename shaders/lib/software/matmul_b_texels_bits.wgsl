// An operand B of a matrix product in packed panels of 4 or 8 bits in a texture, a panel for each `const LANES` lanes: a texel holds four
// columns of DEPTH rows. Each `const BLOCK` rows of a column have a scale and a zero point: B = scale * (bits - zero point). Kernels
// take `const TERMS` rows at a step, a multiple of eight.
@group(0) @binding(2) var b: texture_storage_2d<rgba32float, read>; // [n / PANEL, k / DEPTH, LANES]
@group(0) @binding(4) var b_scales: texture_storage_2d<rgba32float, read>; // [n / PANEL, k / BLOCK, LANES]

// Where four columns start: their bits (x), their scales and zero points (y).
alias BPlaces = vec2<u32>;

// What stands in the texel of row k.
fn b_words(places: BPlaces, k: u32) -> vec4<u32> {
    return bitcast<vec4<u32>>(textureLoad(b, texel(places.x + k / DEPTH * LANES)));
}

fn b_level(places: BPlaces, k: u32) -> BLevel {
    let at = places.y + k / BLOCK * LANES;
    let scale = textureLoad(b_scales, texel(at));
    return level_of(scale, -b_zero(at) * scale);
}

// Rows k to k + 7 of four columns, in a step whose first row has this level.
fn b_pair(places: BPlaces, level: BLevel, k: u32) -> Pair {
    var first = level;
    if BLOCK % TERMS != 0u {
        first = b_level(places, k);
    }
    var second = first;
    if BLOCK % 8u != 0u {
        second = b_level(places, k + 4u);
    }
    return pair_of(places, k, first, second);
}

// Rows k to k + 3 of four columns.
fn b_block(places: BPlaces, k: u32, edge: bool) -> mat4x4<f32> {
    return block_of(b_words(places, k), k, b_level(places, k));
}
