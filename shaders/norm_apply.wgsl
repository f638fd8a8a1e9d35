// Second of two kernels that normalise long rows: joins the statistics of all chunks of a row (Chan, Golub and LeVeque
// 1979) and writes one chunk of the result.
//
// One workgroup per row and chunk, as in norm_statistics.
override HAS_BIAS: bool;

@group(0) @binding(1) var<storage, read> x: array<Stored>; // [rows, columns]
@group(0) @binding(4) var<storage, read> statistics: array<vec2<f32>>; // [rows, chunks]: mean, squares
@group(0) @binding(5) var<storage, read_write> y: array<Float>; // [rows, columns]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group.x + group.y * groups.x;
    if number >= params.rows * params.chunks {
        return;
    }
    let chunk = chunk_at(number, params.columns);
    let row = chunk.row;
    let count = f32(params.columns * WIDTH);
    var sum = 0.0;
    for (var k = lane; k < params.chunks; k += WORKGROUP) {
        sum += statistics[row * params.chunks + k].x * (count_of(k) / count);
    }
    let mean = reduce_sum(sum, lane);
    var squares = 0.0;
    for (var k = lane; k < params.chunks; k += WORKGROUP) {
        let part = statistics[row * params.chunks + k];
        squares += part.y + count_of(k) * (part.x - mean) * (part.x - mean);
    }
    let variance = reduce_sum(squares, lane) / count;
    let inverse = 1.0 / sqrt(variance + params.epsilon);
    let start = row * params.columns;
    for (var k = chunk.first + lane; k < chunk.last; k += WORKGROUP) {
        var value = (floats(x[start + k]) - mean) * inverse * scale_at(row, k);
        if HAS_BIAS {
            value += bias_at(row, k);
        }
        y[start + k] = epilogue(value, start + k);
    }
}
