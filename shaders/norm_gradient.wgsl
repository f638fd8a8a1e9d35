// Takes reduce_shared or reduce_subgroup (reduce_sum); width1 or width4 (Float, WIDTH, sum_of); stored_width1 or stored_width4
// (Stored, floats); an epilogue.
// How a change of what is normalised is worth, for LayerNormalization and RMSNormalization, from what a change of the result is.
//
// With n = (x - mean) * inverse the normalised row, inverse one over its deviation, and h = worth * scale:
// (h - mean(h) - n * mean(h * n)) * inverse; without a mean its terms fall away.
//
// One workgroup per row, whose lanes take every WORKGROUP-th group of WIDTH values, in three walks: the mean; the deviation and both means of h;
// the result. Mean and inverse are left for the kernel of scale and bias.
override CENTERED: bool;

struct Params {
    rows: u32,
    columns: u32, // groups of WIDTH values in a row
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Stored>;                  // [rows, columns]
@group(0) @binding(2) var<storage, read> scale: array<Stored>;              // [columns]
@group(0) @binding(3) var<storage, read> worth: array<Stored>;              // [rows, columns]
@group(0) @binding(4) var<storage, read_write> gradient: array<Float>;      // [rows, columns]
@group(0) @binding(5) var<storage, read_write> moments: array<vec2<f32>>;   // [rows]: mean, inverse

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.x + group.y * groups.x;
    if row >= params.rows {
        return;
    }
    let start = row * params.columns;
    let end = start + params.columns;
    let count = f32(params.columns * WIDTH);
    var mean = 0.0;
    if CENTERED {
        var sums = Float(0.0);
        for (var at = start + lane; at < end; at += WORKGROUP) {
            sums += floats(x[at]);
        }
        mean = reduce_sum(sum_of(sums), lane) / count;
    }
    var squares = Float(0.0);
    var plain = Float(0.0);
    var along = Float(0.0);
    for (var at = start + lane; at < end; at += WORKGROUP) {
        let centered = floats(x[at]) - mean;
        let share = floats(worth[at]) * floats(scale[at - start]);
        squares += centered * centered;
        plain += share;
        along += share * centered;
    }
    let inverse = 1.0 / sqrt(reduce_sum(sum_of(squares), lane) / count + params.epsilon);
    let along_row = reduce_sum(sum_of(along), lane) * inverse / count;
    var plain_row = 0.0;
    if CENTERED {
        plain_row = reduce_sum(sum_of(plain), lane) / count;
    }
    for (var at = start + lane; at < end; at += WORKGROUP) {
        let normal = (floats(x[at]) - mean) * inverse;
        let share = floats(worth[at]) * floats(scale[at - start]);
        gradient[at] = epilogue((share - plain_row - normal * along_row) * inverse, at);
    }
    if lane == 0u {
        moments[row] = vec2<f32>(mean, inverse);
    }
}
