// Takes lowest; attention (Head, head_at); four_vectors or four_words; attention_query_vectors or attention_query_scalars
// (query_group); attention_key_vectors or attention_key_scalars (key_group, value_group); attention_worth_vectors or
// attention_worth_scalars (worth_group); attention_gradient (first_products, last_products, mixed, score_of);
// attention_columns_tile or attention_columns_direct or attention_columns_lanes (first_eight, second_eight, take_columns).
// Second of two kernels of attention's gradients (Dao et al. 2022, "FlashAttention", appendix B.2): what changes of keys and values
// are worth. The weights are made anew from the products and what the first kernel found of each query.
//
// With P_i the weight of a key for query i and dO_i what a change of that query's result is worth, a change of the key's value is worth
// the sum of P_i dO_i, one of the key the sum of P_i (dO_i V - D_i) Q_i times the slope of the score; over all queries of all heads
// that share it, in their order.
//
// A workgroup takes WORKGROUP * OWN neighbouring keys of one key head, the rows; an invocation holds every WORKGROUP-th of them from
// its own on, and their sums, in registers. The columns are queries, eight at a time; the prelude says how they come in.
const ROWS: u32 = WORKGROUP * OWN;
const FIRST_GROUPS: u32 = GROUPS;
// What is known of a row of scores is one group more.
const SECOND_GROUPS: u32 = VALUE_GROUPS + 1u;

// A query sees no key before it has come to it, and one that sees none at all does not make NaN of all.
override SKIPS: bool;

// The gradient of each query, then its greatest score, one over its sum of weights, and D.
@group(0) @binding(6) var<storage, read> rows: array<vec4<f32>>; // [batch, heads, queries, GROUPS + 1]
@group(0) @binding(8) var<storage, read_write> changes: array<vec4<f32>>; // [batch, key heads, keys, GROUPS + VALUE_GROUPS]

// Where the rows of the head stand that the columns are of.
var<private> head_rows: u32;

fn first_column(head: Head, query: u32, group: u32) -> vec4<f32> {
    return query_group(head, min(query, head.queries - 1u), group);
}

fn second_column(head: Head, query: u32, group: u32) -> vec4<f32> {
    let at = min(query, head.queries - 1u);
    if group < VALUE_GROUPS {
        return worth_group(head, at, group);
    }
    let known = rows[(head_rows + at) * (GROUPS + 1u) + GROUPS];
    // Queries past the end weigh nothing.
    return select(vec4<f32>(known.x, 0.0, known.z, 0.0), known, query < head.queries);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tiles = (params.keys + ROWS - 1u) / ROWS;
    let number = workgroup.x + workgroup.y * workgroups.x;
    let first_row = number / tiles * params.shared_by;
    if first_row >= params.rows {
        return;
    }
    let first_key = number % tiles * ROWS;
    let shared_head = head_at(first_row);
    var key: array<u32, OWN>;
    var held: array<array<vec4<f32>, GROUPS>, OWN>;
    var held_value: array<array<vec4<f32>, VALUE_GROUPS>, OWN>;
    var of_key: array<array<vec4<f32>, GROUPS>, OWN>;
    var of_value: array<array<vec4<f32>, VALUE_GROUPS>, OWN>;
    for (var own = 0u; own < OWN; own++) {
        key[own] = first_key + own * WORKGROUP + lane;
        // Invocations past the last key repeat it, since all take part in what is shared.
        let at = min(key[own], max(shared_head.keys, 1u) - 1u);
        for (var group = 0u; group < GROUPS; group++) {
            held[own][group] = key_group(shared_head, at, group);
            of_key[own][group] = vec4<f32>(0.0);
        }
        for (var group = 0u; group < VALUE_GROUPS; group++) {
            held_value[own][group] = value_group(shared_head, at, group);
            of_value[own][group] = vec4<f32>(0.0);
        }
    }

    // These never differ from the parameters, see `head_at`.
    let sharing = min(params.shared_by, params.shared_by + number);
    let queries = min(params.queries, params.queries + number);
    for (var sharer = 0u; sharer < sharing; sharer++) {
        let head = head_at(first_row + sharer);
        head_rows = (first_row + sharer) * params.queries;
        var first_query = 0u;
        if SKIPS {
            first_query = u32(max(i32(first_key) - head.causal_offset, 0)) / 8u * 8u;
        }
        // Keys past the length of their batch element count for nothing.
        let end = select(0u, queries, first_key < head.keys);
        for (; first_query < end; first_query += 8u) {
            take_columns(head, first_query, lane);
            // Of the first four queries and of the last: products, then scores, weights, and what changes of the products are worth.
            var low: array<vec4<f32>, OWN>;
            var high: array<vec4<f32>, OWN>;
            // What changes of the weights are worth.
            var low_worth: array<vec4<f32>, OWN>;
            var high_worth: array<vec4<f32>, OWN>;
            for (var own = 0u; own < OWN; own++) {
                low[own] = vec4<f32>(0.0);
                high[own] = vec4<f32>(0.0);
                low_worth[own] = vec4<f32>(0.0);
                high_worth[own] = vec4<f32>(0.0);
            }
            for (var group = 0u; group < GROUPS; group++) {
                let columns = first_eight(head, first_query, group, lane);
                for (var own = 0u; own < OWN; own++) {
                    low[own] += first_products(held[own][group], columns);
                    high[own] += last_products(held[own][group], columns);
                }
            }
            for (var group = 0u; group < VALUE_GROUPS; group++) {
                let columns = second_eight(head, first_query, group, lane);
                for (var own = 0u; own < OWN; own++) {
                    low_worth[own] += first_products(held_value[own][group], columns);
                    high_worth[own] += last_products(held_value[own][group], columns);
                }
            }
            let known = second_eight(head, first_query, VALUE_GROUPS, lane);
            let low_peak = vec4<f32>(known.a.x, known.b.x, known.c.x, known.d.x);
            let high_peak = vec4<f32>(known.e.x, known.f.x, known.g.x, known.h.x);
            let low_factor = vec4<f32>(known.a.y, known.b.y, known.c.y, known.d.y);
            let high_factor = vec4<f32>(known.e.y, known.f.y, known.g.y, known.h.y);
            let low_mean = vec4<f32>(known.a.z, known.b.z, known.c.z, known.d.z);
            let high_mean = vec4<f32>(known.e.z, known.f.z, known.g.z, known.h.z);
            var low_change: array<vec4<f32>, OWN>;
            var high_change: array<vec4<f32>, OWN>;
            for (var own = 0u; own < OWN; own++) {
                var low_slope: vec4<f32>;
                var high_slope: vec4<f32>;
                for (var k = 0u; k < 4u; k++) {
                    let near = score_of(low[own][k], head, min(first_query + k, queries - 1u), key[own]);
                    let far = score_of(high[own][k], head, min(first_query + 4u + k, queries - 1u), key[own]);
                    low[own][k] = near.value;
                    low_slope[k] = near.slope;
                    high[own][k] = far.value;
                    high_slope[k] = far.slope;
                }
                low[own] = exp(low[own] - low_peak) * low_factor;
                high[own] = exp(high[own] - high_peak) * high_factor;
                low_change[own] = low[own] * (low_worth[own] - low_mean) * low_slope;
                high_change[own] = high[own] * (high_worth[own] - high_mean) * high_slope;
            }
            for (var group = 0u; group < GROUPS; group++) {
                let columns = first_eight(head, first_query, group, lane);
                for (var own = 0u; own < OWN; own++) {
                    of_key[own][group] += mixed(low_change[own], high_change[own], columns);
                }
            }
            for (var group = 0u; group < VALUE_GROUPS; group++) {
                let columns = second_eight(head, first_query, group, lane);
                for (var own = 0u; own < OWN; own++) {
                    of_value[own][group] += mixed(low[own], high[own], columns);
                }
            }
        }
    }

    for (var own = 0u; own < OWN; own++) {
        if key[own] < params.keys {
            let start = (number / tiles * params.keys + key[own]) * (GROUPS + VALUE_GROUPS);
            for (var group = 0u; group < GROUPS; group++) {
                changes[start + group] = of_key[own][group];
            }
            for (var group = 0u; group < VALUE_GROUPS; group++) {
                changes[start + GROUPS + group] = of_value[own][group];
            }
        }
    }
}
