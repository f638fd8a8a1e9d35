// Takes lowest (LOWEST); attention (LENGTHS, head_at, score); four_vectors or four_words; attention_query_vectors or
// attention_query_scalars (query_group); attention_key_vectors or attention_key_scalars (key_group, value_group); reduce_shared
// or reduce_subgroup (reduce_max, reduce_sum).
// First of two attention kernels for few queries over many keys: each workgroup takes one query of one head and one
// stretch of the keys, and leaves its greatest score, its sum of weights and its weighted sum of values.
//
// Lane `l` scores keys `l`, `l + WORKGROUP`, ... of the stretch, whose weights go to workgroup memory. Then LANES_OF_KEY
// lanes side by side take a group of four elements each, and KEYS_AT_ONCE such rows take keys in turn.
const LANES_OF_KEY: u32 = min(VALUE_GROUPS, WORKGROUP);
const KEYS_AT_ONCE: u32 = WORKGROUP / LANES_OF_KEY;

@group(0) @binding(6) var<storage, read_write> states: array<vec4<f32>>; // [rows, queries, splits, 1 + VALUE_GROUPS]

var<workgroup> weights: array<f32, SPLIT>;
var<workgroup> sums: array<vec4<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = workgroup.x + workgroup.y * workgroups.x;
    let query = number / params.splits % params.queries;
    let row = number / params.splits / params.queries;
    if row >= params.rows {
        return;
    }
    let head = head_at(row);
    let first = number % params.splits * SPLIT;
    // Past the keys there is nothing to leave: the second kernel looks no further than they go.
    if LENGTHS && first >= head.keys {
        return;
    }
    let count = min(SPLIT, head.keys - first);
    var most = LOWEST;
    for (var k = lane; k < count; k += WORKGROUP) {
        var product = 0.0;
        for (var group = 0u; group < GROUPS; group++) {
            product += dot(query_group(head, query, group), key_group(head, first + k, group));
        }
        let value = score(product, head, query, first + k);
        weights[k] = value;
        most = max(most, value);
    }
    let peak = reduce_max(most, lane);
    var sum = 0.0;
    for (var k = lane; k < count; k += WORKGROUP) {
        let weight = exp(weights[k] - peak);
        weights[k] = weight;
        sum += weight;
    }
    let total = reduce_sum(sum, lane);
    workgroupBarrier();
    let start = number * (1u + VALUE_GROUPS);
    if lane == 0u {
        states[start] = vec4<f32>(peak, total, 0.0, 0.0);
    }
    for (var first_group = 0u; first_group < VALUE_GROUPS; first_group += LANES_OF_KEY) {
        let group = first_group + lane % LANES_OF_KEY;
        var mixed = vec4<f32>(0.0);
        if group < VALUE_GROUPS && lane < LANES_OF_KEY * KEYS_AT_ONCE {
            for (var k = lane / LANES_OF_KEY; k < count; k += KEYS_AT_ONCE) {
                mixed += weights[k] * value_group(head, first + k, group);
            }
        }
        sums[lane] = mixed;
        workgroupBarrier();
        if lane < LANES_OF_KEY && group < VALUE_GROUPS {
            for (var other = 1u; other < KEYS_AT_ONCE; other++) {
                mixed += sums[lane + other * LANES_OF_KEY];
            }
            states[start + 1u + group] = mixed;
        }
        workgroupBarrier();
    }
}
