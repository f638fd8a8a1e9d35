// Takes lowest (LOWEST); softmax_chunks (row_start); row_chunks (chunk_at); reduce_shared or reduce_subgroup (reduce_max,
// reduce_sum); width1 or width4 (Float); stored_width1 or stored_width4 (floats); an epilogue.
// Second of two kernels for long rows: softmax or LogSoftmax from the statistics of all chunks of a row.
//
// One workgroup per row and chunk, as in softmax_statistics.
override LOGARITHM: bool;

@group(0) @binding(2) var<storage, read> statistics: array<vec2<f32>>; // [rows, chunks]: greatest, sum
@group(0) @binding(3) var<storage, read_write> y: array<Float>; // as x

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
    var most = LOWEST;
    for (var k = lane; k < params.chunks; k += WORKGROUP) {
        most = max(most, statistics[chunk.row * params.chunks + k].x);
    }
    let peak = reduce_max(most, lane);
    var sum = 0.0;
    for (var k = lane; k < params.chunks; k += WORKGROUP) {
        let part = statistics[chunk.row * params.chunks + k];
        sum += part.y * exp(part.x - peak);
    }
    let total = reduce_sum(sum, lane);
    let factor = 1.0 / total;
    let shift = log(total);
    let start = row_start(chunk.row);
    for (var k = chunk.first + lane; k < chunk.last; k += WORKGROUP) {
        let at = start + k * params.stride;
        let below = floats(x[at]) - peak;
        y[at] = epilogue(select(exp(below) * factor, below - shift, LOGARITHM), at);
    }
}
