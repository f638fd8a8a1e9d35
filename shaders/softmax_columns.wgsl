// Softmax or LogSoftmax along an axis with others inside it: each invocation walks one row, whose values stand `stride`
// apart, and neighbouring invocations walk neighbouring rows.
override LOGARITHM: bool;

struct Params {
    rows: u32,
    length: u32,
    stride: u32, // counted in groups of WIDTH values, as is `rows`
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Stored>; // [rows / stride, length, stride]
@group(0) @binding(2) var<storage, read_write> y: array<Float>; // as x

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = invocation.x + invocation.y * groups.x * 64u;
    if row >= params.rows {
        return;
    }
    let start = (row / params.stride) * params.length * params.stride + row % params.stride;
    var peak = Float(LOWEST);
    var total = Float(0.0);
    for (var k = 0u; k < params.length; k++) {
        let value = floats(x[start + k * params.stride]);
        let higher = max(peak, value);
        total = total * exp(peak - higher) + exp(value - higher);
        peak = higher;
    }
    let factor = 1.0 / total;
    let shift = log(total);
    for (var k = 0u; k < params.length; k++) {
        let at = start + k * params.stride;
        let below = floats(x[at]) - peak;
        y[at] = epilogue(select(exp(below) * factor, below - shift, LOGARITHM), at);
    }
}
