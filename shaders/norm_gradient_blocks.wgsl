// Takes width1 or width4 (Float); stored_width1 or stored_width4 (Stored, floats); perhaps four_vectors or four_words.
// How a change of scale and bias is worth, for LayerNormalization and RMSNormalization: with n the normalised input the sum of worth * n for each
// column of the scale, and of worth for each of the bias.
//
// A workgroup for sixteen neighbouring groups of WIDTH columns, its lanes sixteen to a group, strided over the rows and joined through workgroup
// memory.
const GROUPS: u32 = 16u;
const LANES: u32 = 16u; // of a group

struct Params {
    rows: u32,
    columns: u32, // groups of WIDTH values in a row
    chunk: u32,
    chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Stored>;              // [rows, columns]
@group(0) @binding(2) var<storage, read> worth: array<Stored>;          // [rows, columns]
@group(0) @binding(3) var<storage, read> moments: array<vec2<f32>>;     // [rows]: mean, inverse
@group(0) @binding(4) var<storage, read_write> of_scale: array<Float>;  // [columns]
@group(0) @binding(5) var<storage, read_write> of_bias: array<Float>;   // [columns]

var<workgroup> along_scratch: array<Float, 256>; // [LANES, GROUPS]
var<workgroup> plain_scratch: array<Float, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let column = (group.x + group.y * groups.x) * GROUPS + lane % GROUPS;
    let is_column = column < params.columns;
    var along = Float(0.0);
    var plain = Float(0.0);
    if is_column {
        for (var row = lane / GROUPS; row < params.rows; row += LANES) {
            let at = row * params.columns + column;
            let share = floats(worth[at]);
            along += share * ((floats(x[at]) - moments[row].x) * moments[row].y);
            plain += share;
        }
    }
    along_scratch[lane] = along;
    plain_scratch[lane] = plain;
    for (var width = LANES / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width * GROUPS {
            along_scratch[lane] += along_scratch[lane + width * GROUPS];
            plain_scratch[lane] += plain_scratch[lane + width * GROUPS];
        }
    }
    if lane < GROUPS && is_column {
        of_scale[column] = along_scratch[lane];
        of_bias[column] = plain_scratch[lane];
    }
}
