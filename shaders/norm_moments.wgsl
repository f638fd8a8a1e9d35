// The outputs Mean and InvStdDev of LayerNormalization, from the statistics that norm_statistics made. One invocation
// per row.
@group(0) @binding(1) var<storage, read> statistics: array<vec2<f32>>; // [rows, chunks]: mean, squares
@group(0) @binding(2) var<storage, read_write> means: array<f32>; // [rows]
@group(0) @binding(3) var<storage, read_write> inverses: array<f32>; // [rows]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = invocation.x + invocation.y * groups.x * 64u;
    if row >= params.rows {
        return;
    }
    let count = f32(params.columns * WIDTH);
    var mean = 0.0;
    for (var k = 0u; k < params.chunks; k++) {
        mean += statistics[row * params.chunks + k].x * (count_of(k) / count);
    }
    var squares = 0.0;
    for (var k = 0u; k < params.chunks; k++) {
        let part = statistics[row * params.chunks + k];
        squares += part.y + count_of(k) * (part.x - mean) * (part.x - mean);
    }
    means[row] = mean;
    inverses[row] = 1.0 / sqrt(squares / count + params.epsilon);
}
