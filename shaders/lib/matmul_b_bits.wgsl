// An operand B of a matrix product in 4 or 8 bits: where its columns stand, their scales and zero points. Each `const BLOCK`
// rows of a column have one of both: B = scale * (bits - zero point).
@group(0) @binding(4) var<storage, read> b_scales: array<Four>; // [n / PANEL, k / BLOCK, PANEL / 4]

// Where four columns start: their bits (x), their scales and zero points (y).
alias BPlaces = vec2<u32>;

// B = scale * bits + offset, in four columns.
struct BLevel {
    scale: vec4<f32>,
    offset: vec4<f32>,
}

// A panel past the last is the last.
fn b_places(start: u32, column: u32) -> BPlaces {
    let panel = min(column / PANEL, (params.n - 1u) / PANEL);
    let rows = (params.k + 31u) / 32u * 32u;
    return panel * (PANEL / 4u) * vec2(rows / 4u, (rows + BLOCK - 1u) / BLOCK) + column % PANEL / 4u;
}

fn b_level(places: BPlaces, k: u32) -> BLevel {
    let at = places.y + k / BLOCK * (PANEL / 4u);
    let scale = four(b_scales[at]);
    return BLevel(scale, -b_zero(at) * scale);
}

// Four columns of rows k to k + 3.
fn b_columns(places: BPlaces, k: u32) -> mat4x4<f32> {
    return transpose(b_block(places, k, true));
}
