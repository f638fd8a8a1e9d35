// As many multiply-adds as an adapter can do: nothing but registers is touched until the end.
//
// Each invocation runs ROUNDS rounds of eight steps over three independent vectors of four: enough chains to hide the latency
// of an addition, few enough for the registers of a CPU. Every chain goes towards 2 x, so nothing overflows and nothing can
// be left out. One invocation per vector of four; the grid is one-dimensional, folded into y. The loop's bound is `const
// ROUNDS` and no invocation leaves early, so that a software adapter neither loads a bound nor masks its lanes in it.

struct Params {
    count: u32, // vectors
    factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // [count]
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>; // [count]

fn four_steps(start: vec4<f32>, factor: f32, term: vec4<f32>) -> vec4<f32> {
    let first = fma(start, vec4(factor), term);
    let second = fma(first, vec4(factor), term);
    let third = fma(second, vec4(factor), term);
    return fma(third, vec4(factor), term);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    let term = x[min(index, params.count - 1u)];
    let factor = params.factor;
    var a = term;
    var b = -term;
    var c = 3.0 * term;
    for (var round = 0u; round < ROUNDS; round++) {
        a = four_steps(a, factor, term);
        b = four_steps(b, factor, term);
        c = four_steps(c, factor, term);
        a = four_steps(a, factor, term);
        b = four_steps(b, factor, term);
        c = four_steps(c, factor, term);
    }
    if index < params.count {
        y[index] = a + b + c;
    }
}
