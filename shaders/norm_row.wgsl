// Takes rows_stored or rows_texels (x_at); affine_columns or affine_columns_texels or affine_channels (bias_at, scale_at);
// reduce_shared or reduce_subgroup (reduce_sum); width1 or width4 (Float, WIDTH, sum_of); perhaps texels; an epilogue.
// Normalises rows, each short enough for the registers of its workgroup:
// (x - mean) / sqrt(variance + epsilon) * scale + bias.
//
// One workgroup per ROWS neighbouring rows, one after the other. Lane `l` holds groups of WIDTH values `l`,
// `l + WORKGROUP`, ... of the row, so that memory is read once and the variance is taken of differences from the mean.
// `const COLUMNS` is the number of such groups in a row, `const HELD` how many of them a lane holds at most. With more than
// one row, which must share scale and bias, a lane holds those of its columns too. A prelude binds x.
override CENTERED: bool;
override HAS_BIAS: bool;

struct Params {
    rows: u32,
    period: u32,
    step: u32,
    spatial: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(4) var<storage, read_write> y: array<Float>; // [rows, COLUMNS]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = (group.x + group.y * groups.x) * ROWS;
    let last = min(first + ROWS, params.rows);
    let count = f32(COLUMNS * WIDTH);
    var scales: array<Float, HELD>;
    var biases: array<Float, HELD>;
    if ROWS > 1u {
        for (var k = 0u; k < HELD; k++) {
            let column = lane + k * WORKGROUP;
            if k < COLUMNS / WORKGROUP || column < COLUMNS {
                scales[k] = scale_at(0u, column);
                if HAS_BIAS {
                    biases[k] = bias_at(0u, column);
                }
            }
        }
    }
    for (var row = first; row < last; row++) {
        let start = row * COLUMNS;
        var held: array<Float, HELD>;
        var sums = Float(0.0);
        for (var k = 0u; k < HELD; k++) {
            let column = lane + k * WORKGROUP;
            if k < COLUMNS / WORKGROUP || column < COLUMNS {
                held[k] = x_at(start + column);
                sums += held[k];
            }
        }
        var mean = 0.0;
        if CENTERED {
            mean = reduce_sum(sum_of(sums), lane) / count;
        }
        var squares = Float(0.0);
        for (var k = 0u; k < HELD; k++) {
            let column = lane + k * WORKGROUP;
            if k < COLUMNS / WORKGROUP || column < COLUMNS {
                held[k] -= mean;
                squares += held[k] * held[k];
            }
        }
        let variance = reduce_sum(sum_of(squares), lane) / count;
        let inverse = 1.0 / sqrt(variance + params.epsilon);
        for (var k = 0u; k < HELD; k++) {
            let column = lane + k * WORKGROUP;
            if k < COLUMNS / WORKGROUP || column < COLUMNS {
                var value = held[k] * inverse;
                if ROWS > 1u {
                    value *= scales[k];
                    if HAS_BIAS {
                        value += biases[k];
                    }
                } else {
                    value *= scale_at(row, column);
                    if HAS_BIAS {
                        value += bias_at(row, column);
                    }
                }
                y[start + column] = epilogue(value, start + column);
            }
        }
    }
}
