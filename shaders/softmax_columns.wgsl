// Takes lowest (LOWEST); width1 or width4 (Float); stored_width1 or stored_width4 (Stored, floats); an epilogue.
// Softmax or LogSoftmax along an axis with others inside it: each invocation walks one row, whose values stand `stride`
// apart, and neighbouring invocations walk neighbouring rows. What is summed up is brought down to a higher peak once in four values.
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
fn main(
    @builtin(global_invocation_id) invocation: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let row = invocation.x + invocation.y * groups.x * 64u;
    if row >= params.rows {
        return;
    }
    let start = (row / params.stride) * params.length * params.stride + row % params.stride;
    var peak = Float(LOWEST);
    var total = Float(0.0);
    // Never another number, but one that Mesa's lavapipe does not take for a uniform alone: it would compile anew for each.
    let length = min(params.length, params.length + group.x);
    let steps = length / 4u;
    var from_x = start;
    for (var step = 0u; step < steps; step++) {
        let a = floats(x[from_x]);
        let b = floats(x[from_x + params.stride]);
        let c = floats(x[from_x + 2u * params.stride]);
        let d = floats(x[from_x + 3u * params.stride]);
        let higher = max(max(peak, max(a, b)), max(c, d));
        let four_powers = (exp(a - higher) + exp(b - higher)) + (exp(c - higher) + exp(d - higher));
        total = total * exp(peak - higher) + four_powers;
        peak = higher;
        from_x += 4u * params.stride;
    }
    for (var k = steps * 4u; k < length; k++) {
        let value = floats(x[start + k * params.stride]);
        let higher = max(peak, value);
        total = total * exp(peak - higher) + exp(value - higher);
        peak = higher;
    }
    let factor = 1.0 / total;
    let shift = log(total);
    for (var k = 0u; k < length; k++) {
        let at = start + k * params.stride;
        let below = floats(x[at]) - peak;
        y[at] = epilogue(select(exp(below) * factor, below - shift, LOGARITHM), at);
    }
}
