// Takes norm_chunks; row_chunks (chunk_at); reduce_shared or reduce_subgroup (reduce_sum); width1 or width4 (Float, WIDTH,
// sum_of); stored_width1 or stored_width4 (Stored, floats); perhaps four_vectors or four_words.
// First of two kernels that normalise long rows: mean of each chunk of a row, and sum of squared differences from it.
//
// One workgroup per row and chunk. Without CENTERED the mean counts as 0.
override CENTERED: bool;

@group(0) @binding(1) var<storage, read> x: array<Stored>; // [rows, columns]
@group(0) @binding(2) var<storage, read_write> statistics: array<vec2<f32>>; // [rows, chunks]: mean, squares

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
    let start = chunk.row * params.columns;
    var mean = 0.0;
    if CENTERED {
        var sums = Float(0.0);
        for (var k = chunk.first + lane; k < chunk.last; k += WORKGROUP) {
            sums += floats(x[start + k]);
        }
        mean = reduce_sum(sum_of(sums), lane) / f32((chunk.last - chunk.first) * WIDTH);
    }
    var squares = Float(0.0);
    for (var k = chunk.first + lane; k < chunk.last; k += WORKGROUP) {
        let difference = floats(x[start + k]) - mean;
        squares += difference * difference;
    }
    let total = reduce_sum(sum_of(squares), lane);
    if lane == 0u {
        statistics[number] = vec2<f32>(mean, total);
    }
}
