// Attention without a matrix of scores in memory (Dao et al. 2022): softmax(scale * Q K^T + mask) V, the weights of four
// keys at a time, with the greatest score so far as reference.
//
// One invocation per query, which holds its query and its sum of values in registers; 64 queries of one head per
// workgroup. Serves any adapter and any size; GROUPS and VALUE_GROUPS count groups of four elements.
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [batch, heads, queries, value size] by output_strides

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tiles = (params.queries + WORKGROUP - 1u) / WORKGROUP;
    let number = workgroup.x + workgroup.y * workgroups.x;
    let query = number % tiles * WORKGROUP + lane;
    if number / tiles >= params.rows || query >= params.queries {
        return;
    }
    let head = head_at(number / tiles);
    var held: array<vec4<f32>, GROUPS>;
    for (var group = 0u; group < GROUPS; group++) {
        held[group] = query_group(head, query, group);
    }
    var sums: array<vec4<f32>, VALUE_GROUPS>;
    for (var group = 0u; group < VALUE_GROUPS; group++) {
        sums[group] = vec4<f32>(0.0);
    }
    var peak = LOWEST;
    var total = 0.0;
    for (var key = 0u; key < head.keys; key += 4u) {
        // Keys past the end repeat the last; their score is minus infinity.
        let at = min(vec4<u32>(key, key + 1u, key + 2u, key + 3u), vec4<u32>(head.keys - 1u));
        var scores = vec4<f32>(0.0);
        for (var group = 0u; group < GROUPS; group++) {
            scores += vec4<f32>(
                dot(held[group], key_group(head, at.x, group)),
                dot(held[group], key_group(head, at.y, group)),
                dot(held[group], key_group(head, at.z, group)),
                dot(held[group], key_group(head, at.w, group)),
            );
        }
        for (var k = 0u; k < 4u; k++) {
            scores[k] = score(scores[k], head, query, key + k);
        }
        let higher = max(peak, max(max(scores.x, scores.y), max(scores.z, scores.w)));
        let shrink = exp(peak - higher);
        let weights = exp(scores - higher);
        peak = higher;
        total = total * shrink + (weights.x + weights.y) + (weights.z + weights.w);
        for (var group = 0u; group < VALUE_GROUPS; group++) {
            sums[group] = sums[group] * shrink
                + weights.x * value_group(head, at.x, group)
                + weights.y * value_group(head, at.y, group)
                + weights.z * value_group(head, at.z, group)
                + weights.w * value_group(head, at.w, group);
        }
    }
    let factor = normalizer(total);
    let start = head.output + query * head.output_stride;
    for (var group = 0u; group < VALUE_GROUPS; group++) {
        let result = sums[group] * factor;
        for (var k = 0u; k < 4u; k++) {
            if group * 4u + k < head.value_size {
                y[start + group * 4u + k] = result[k];
            }
        }
    }
}
