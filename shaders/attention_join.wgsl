// Takes lowest (LOWEST).
// Second of two attention kernels for few queries over many keys: joins what the workgroups of the first left. One
// invocation per query and group of four elements.
@group(0) @binding(1) var<storage, read> states: array<vec4<f32>>; // [rows, queries, splits, 1 + groups]
@group(0) @binding(2) var<storage, read> lengths: array<i32>; // batch
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [batch, heads, queries, value size] by output_strides

override ZERO_UNSEEN: bool;
override LENGTHS: bool; // each batch element has a number of keys of its own

struct Params {
    rows: u32, // batch * heads
    heads: u32,
    queries: u32,
    splits: u32,
    split: u32, // keys of a split
    groups: u32, // groups of four elements of a value
    value_size: u32,
    batch_stride: u32,
    head_stride: u32,
    query_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    let number = invocation.x + invocation.y * workgroups.x * 64u;
    if number >= params.rows * params.queries * params.groups {
        return;
    }
    let group = number % params.groups;
    let query = number / params.groups % params.queries;
    let row = number / params.groups / params.queries;
    // Never another number, but one that Mesa's lavapipe does not take for a uniform alone; see head_at.
    let splits = min(params.splits, params.splits + number);
    let start = (row * params.queries + query) * splits * (1u + params.groups);
    var end = splits;
    if LENGTHS {
        // Splits past the keys of a batch element hold nothing.
        let length = u32(clamp(lengths[row / params.heads], 0, 1 << 29u));
        end = min(end, (length + params.split - 1u) / params.split);
    }
    var peak = LOWEST;
    var total = 0.0;
    var mixed = vec4<f32>(0.0);
    for (var split = 0u; split < end; split++) {
        let at = start + split * (1u + params.groups);
        let statistics = states[at];
        let higher = max(peak, statistics.x);
        let shrink = exp(peak - higher);
        let weight = exp(statistics.x - higher);
        total = total * shrink + statistics.y * weight;
        mixed = mixed * shrink + states[at + 1u + group] * weight;
        peak = higher;
    }
    var factor = 1.0 / total;
    if ZERO_UNSEEN && total == 0.0 {
        factor = 0.0;
    }
    let result = mixed * factor;
    let target_start = row / params.heads * params.batch_stride + row % params.heads * params.head_stride + query * params.query_stride;
    for (var k = 0u; k < 4u; k++) {
        if group * 4u + k < params.value_size {
            y[target_start + group * 4u + k] = result[k];
        }
    }
}
