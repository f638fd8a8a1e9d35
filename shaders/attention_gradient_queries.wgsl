// Takes lowest (LOWEST); attention (CAUSAL, Head, UNSEEN, head_at, keys_seen, normalizer); four_vectors or four_words;
// attention_query_vectors or attention_query_scalars (query_group); attention_key_vectors or attention_key_scalars (key_group,
// value_group); attention_worth_vectors or attention_worth_scalars (worth_group); attention_gradient (first_products,
// last_products, mixed, score_of); attention_columns_tile or attention_columns_direct or attention_columns_lanes (first_eight,
// second_eight, take_columns).
// First of two kernels of attention's gradients (Dao et al. 2022, "FlashAttention", appendix B.2): what changes of the queries are
// worth, and what the second wants to know of each row of scores. No matrix of scores is ever in memory.
//
// With P the weights of a query's keys and dO what a change of its result is worth, a change of the product with key j is worth
// P_j (dO V_j - D) times the slope of the score, where D = dO O, the mean of all dO V_j by their weights; that of the query is the sum of these times K_j. The sum is made as
// the result is: along the keys, with the greatest score so far as reference, and divided by the sum of weights in the end.
//
// A workgroup takes WORKGROUP * OWN neighbouring queries of one head, the rows; an invocation holds every WORKGROUP-th of them from
// its own on, and their sums, in registers. The columns are keys, eight at a time; the prelude says how they come in.
const ROWS: u32 = WORKGROUP * OWN;
const FIRST_GROUPS: u32 = GROUPS;
const SECOND_GROUPS: u32 = VALUE_GROUPS;

@group(0) @binding(6) var<storage, read> outputs: array<f32>; // [batch, heads, queries, value size] by output_strides
// The gradient of each query, then its greatest score, one over its sum of weights, and D.
@group(0) @binding(8) var<storage, read_write> changes: array<vec4<f32>>; // [batch, heads, queries, GROUPS + 1]

fn first_column(head: Head, key: u32, group: u32) -> vec4<f32> {
    return key_group(head, min(key, head.keys - 1u), group);
}

fn second_column(head: Head, key: u32, group: u32) -> vec4<f32> {
    return value_group(head, min(key, head.keys - 1u), group);
}

fn output_group(head: Head, query: u32, group: u32) -> vec4<f32> {
    let start = head.output + query * head.output_stride;
    var loaded = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        if group * 4u + k < head.value_size {
            loaded[k] = outputs[start + group * 4u + k];
        }
    }
    return loaded;
}

fn greatest(a: vec4<f32>) -> f32 {
    return max(max(a.x, a.y), max(a.z, a.w));
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tiles = (params.queries + ROWS - 1u) / ROWS;
    let number = workgroup.x + workgroup.y * workgroups.x;
    if number / tiles >= params.rows {
        return;
    }
    let head = head_at(number / tiles);
    let first_query = number % tiles * ROWS;
    var query: array<u32, OWN>;
    var held: array<array<vec4<f32>, GROUPS>, OWN>;
    var worth: array<array<vec4<f32>, VALUE_GROUPS>, OWN>;
    var sums: array<array<vec4<f32>, GROUPS>, OWN>;
    var peak: array<f32, OWN>;
    var total: array<f32, OWN>;
    var mean: array<f32, OWN>; // D
    for (var own = 0u; own < OWN; own++) {
        // Invocations past the last query repeat it, since all take part in what is shared, and write nothing.
        query[own] = min(first_query + own * WORKGROUP + lane, head.queries - 1u);
        mean[own] = 0.0;
        for (var group = 0u; group < VALUE_GROUPS; group++) {
            worth[own][group] = worth_group(head, query[own], group);
            mean[own] += dot(worth[own][group], output_group(head, query[own], group));
        }
        for (var group = 0u; group < GROUPS; group++) {
            held[own][group] = query_group(head, query[own], group);
            sums[own][group] = vec4<f32>(0.0);
        }
        peak[own] = LOWEST;
        total[own] = 0.0;
    }

    // Keys that the last query of the workgroup does not see need not be looked at, unless they count nevertheless.
    var end = head.keys;
    if CAUSAL && UNSEEN == 0u {
        end = keys_seen(head, min(first_query + ROWS, head.queries) - 1u);
    }
    for (var first_key = 0u; first_key < end; first_key += 8u) {
        take_columns(head, first_key, lane);
        // Of the first four keys and of the last: products, then scores, weights, and what changes of the products are worth.
        var low: array<vec4<f32>, OWN>;
        var high: array<vec4<f32>, OWN>;
        // What changes of the weights are worth.
        var low_worth: array<vec4<f32>, OWN>;
        var high_worth: array<vec4<f32>, OWN>;
        var shrink: array<f32, OWN>;
        for (var own = 0u; own < OWN; own++) {
            low[own] = vec4<f32>(0.0);
            high[own] = vec4<f32>(0.0);
            low_worth[own] = vec4<f32>(0.0);
            high_worth[own] = vec4<f32>(0.0);
        }
        for (var group = 0u; group < GROUPS; group++) {
            let keys = first_eight(head, first_key, group, lane);
            for (var own = 0u; own < OWN; own++) {
                low[own] += first_products(held[own][group], keys);
                high[own] += last_products(held[own][group], keys);
            }
        }
        for (var group = 0u; group < VALUE_GROUPS; group++) {
            let values = second_eight(head, first_key, group, lane);
            for (var own = 0u; own < OWN; own++) {
                low_worth[own] += first_products(worth[own][group], values);
                high_worth[own] += last_products(worth[own][group], values);
            }
        }
        for (var own = 0u; own < OWN; own++) {
            var low_slope: vec4<f32>;
            var high_slope: vec4<f32>;
            for (var k = 0u; k < 4u; k++) {
                let near = score_of(low[own][k], head, query[own], first_key + k);
                let far = score_of(high[own][k], head, query[own], first_key + 4u + k);
                low[own][k] = near.value;
                low_slope[k] = near.slope;
                high[own][k] = far.value;
                high_slope[k] = far.slope;
            }
            let higher = max(peak[own], max(greatest(low[own]), greatest(high[own])));
            shrink[own] = exp(peak[own] - higher);
            peak[own] = higher;
            low[own] = exp(low[own] - higher);
            high[own] = exp(high[own] - higher);
            total[own] = total[own] * shrink[own] + dot(low[own] + high[own], vec4<f32>(1.0));
            low[own] *= (low_worth[own] - mean[own]) * low_slope;
            high[own] *= (high_worth[own] - mean[own]) * high_slope;
        }
        for (var group = 0u; group < GROUPS; group++) {
            let keys = first_eight(head, first_key, group, lane);
            for (var own = 0u; own < OWN; own++) {
                sums[own][group] = sums[own][group] * shrink[own] + mixed(low[own], high[own], keys);
            }
        }
    }

    for (var own = 0u; own < OWN; own++) {
        if first_query + own * WORKGROUP + lane < head.queries {
            let factor = normalizer(total[own]);
            let start = (number / tiles * head.queries + query[own]) * (GROUPS + 1u);
            for (var group = 0u; group < GROUPS; group++) {
                changes[start + group] = sums[own][group] * factor;
            }
            changes[start + GROUPS] = vec4<f32>(peak[own], factor, mean[own], 0.0);
        }
    }
}
