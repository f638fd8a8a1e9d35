// Takes lowest (LOWEST); softmax_chunks (row_start); row_chunks (chunk_at); reduce_shared or reduce_subgroup (reduce_max,
// reduce_sum); width1 or width4 (Float, max_of, sum_of); stored_width1 or stored_width4 (floats); perhaps four_vectors or
// four_words.
// First of two kernels for long rows: the greatest value of each chunk of a row, and the sum of exponentials below it.
//
// One workgroup per row and chunk. The values of a row stand `stride` apart.
@group(0) @binding(2) var<storage, read_write> statistics: array<vec2<f32>>; // [rows, chunks]: greatest, sum

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
    let chunk = chunk_at(number, params.length);
    let start = row_start(chunk.row);
    var most = Float(LOWEST);
    for (var k = chunk.first + lane; k < chunk.last; k += WORKGROUP) {
        most = max(most, floats(x[start + k * params.stride]));
    }
    let peak = reduce_max(max_of(most), lane);
    var sums = Float(0.0);
    for (var k = chunk.first + lane; k < chunk.last; k += WORKGROUP) {
        sums += exp(floats(x[start + k * params.stride]) - peak);
    }
    let total = reduce_sum(sum_of(sums), lane);
    if lane == 0u {
        statistics[number] = vec2<f32>(peak, total);
    }
}
