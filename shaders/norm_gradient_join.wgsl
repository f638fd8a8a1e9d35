// Takes width1 or width4 (Float); stored_width1 or stored_width4 (Stored, floats); perhaps four_vectors or four_words.
// Adds up what norm_gradient_columns left: an invocation for each group of WIDTH columns, over all chunks in their order.

struct Params {
    rows: u32,
    columns: u32, // groups of WIDTH values in a row
    chunk: u32,
    chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<Stored>;                  // [2, chunks, columns]: of the scale, of the bias
@group(0) @binding(2) var<storage, read_write> scale_gradient: array<Float>;    // [columns]
@group(0) @binding(3) var<storage, read_write> bias_gradient: array<Float>;     // [columns]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let column = id.x + id.y * groups.x * 64u;
    if column >= params.columns {
        return;
    }
    let size = params.chunks * params.columns;
    var along = Float(0.0);
    var plain = Float(0.0);
    for (var at = column; at < size; at += params.columns) {
        along += floats(parts[at]);
        plain += floats(parts[size + at]);
    }
    scale_gradient[column] = along;
    bias_gradient[column] = plain;
}
