// Attention without a matrix of scores in memory (Dao et al. 2022): softmax(scale * Q K^T + mask) V, the weights of four
// keys at a time, with the greatest score so far as reference.
//
// One invocation per query, which holds its query and its sum of values in registers; 64 queries of one head per
// workgroup. Serves any adapter and any size; GROUPS and VALUE_GROUPS count groups of four elements.
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
        let at = four_keys(head, key);
        var scores = vec4<f32>(0.0);
        for (var group = 0u; group < GROUPS; group++) {
            scores += products(
                held[group],
                key_group(head, at.x, group),
                key_group(head, at.y, group),
                key_group(head, at.z, group),
                key_group(head, at.w, group),
            );
        }
        let next = weighed(scores, head, query, key, peak, total);
        peak = next.peak;
        total = next.total;
        for (var group = 0u; group < VALUE_GROUPS; group++) {
            sums[group] = sums[group] * next.shrink
                + next.weights.x * value_group(head, at.x, group)
                + next.weights.y * value_group(head, at.y, group)
                + next.weights.z * value_group(head, at.z, group)
                + next.weights.w * value_group(head, at.w, group);
        }
    }
    let factor = normalizer(total);
    let start = head.output + query * head.output_stride;
    for (var group = 0u; group < VALUE_GROUPS; group++) {
        store_group(head, start, group, sums[group] * factor);
    }
}
