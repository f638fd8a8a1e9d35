// Takes width1 or width4 (Float); stored_width1 or stored_width4 (Stored, floats); perhaps four_vectors or four_words.
// How a change of scale and bias is worth, for LayerNormalization and RMSNormalization, over some of the rows: with n the normalised
// input the sum of worth * n for each column of the scale, and of worth for each of the bias.
//
// An invocation sums a group of WIDTH columns over `chunk` rows, in their order; the grid is one-dimensional, folded into y.

struct Params {
    rows: u32,
    columns: u32, // groups of WIDTH values in a row
    chunk: u32,
    chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Stored>;             // [rows, columns]
@group(0) @binding(2) var<storage, read> worth: array<Stored>;         // [rows, columns]
@group(0) @binding(3) var<storage, read> moments: array<vec2<f32>>;    // [rows]: mean, inverse
@group(0) @binding(4) var<storage, read_write> parts: array<Float>;    // [2, chunks, columns]: of the scale, of the bias

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.chunks * params.columns {
        return;
    }
    let number = index / params.columns;
    let column = index - number * params.columns;
    let last = min((number + 1u) * params.chunk, params.rows);
    var along = Float(0.0);
    var plain = Float(0.0);
    for (var row = number * params.chunk; row < last; row++) {
        let at = row * params.columns + column;
        let share = floats(worth[at]);
        along += share * ((floats(x[at]) - moments[row].x) * moments[row].y);
        plain += share;
    }
    parts[index] = along;
    parts[params.chunks * params.columns + index] = plain;
}
