// Takes lowest (LOWEST); attention (CAUSAL, MASK, UNSEEN, capped, head_at, keys_seen, mask_of, masked, normalizer, reached,
// unseen_count); four_words; attention_query_vectors or attention_query_scalars (query_group); texels (texel); attention_output
// (store_group).
// Second of two attention kernels for software adapters: softmax(scale * Q K^T + mask) V without a matrix of scores in memory
// (Dao et al. 2022), with the greatest score so far as reference. Keys and values come from the textures of attention_pack.
//
// A workgroup is one subgroup of eight lanes and takes 8 * OWN neighbouring queries of one head; a lane holds every eighth of
// them from its own on, and their sums of values, in registers. Of a block of eight keys each lane loads one key's groups
// of four elements, which travel by broadcast and serve OWN queries. All loops but that over the blocks are unrolled.
const QUERIES: u32 = 8u * OWN;

// The mask is the same for all queries of a head.
override SHARED_MASK: bool;

@group(0) @binding(2) var packed_keys: texture_storage_2d<rgba32float, read>; // [batch, key heads, blocks, GROUPS, 8]
@group(0) @binding(3) var packed_values: texture_storage_2d<rgba32float, read>; // [batch, key heads, blocks, VALUE_GROUPS, 8]

// A value of each of the eight lanes.
struct Eight {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
    e: vec4<f32>,
    f: vec4<f32>,
    g: vec4<f32>,
    h: vec4<f32>,
}

fn of_all_lanes(own: vec4<f32>) -> Eight {
    var all: Eight;
    all.a = subgroupBroadcast(own, 0u);
    all.b = subgroupBroadcast(own, 1u);
    all.c = subgroupBroadcast(own, 2u);
    all.d = subgroupBroadcast(own, 3u);
    all.e = subgroupBroadcast(own, 4u);
    all.f = subgroupBroadcast(own, 5u);
    all.g = subgroupBroadcast(own, 6u);
    all.h = subgroupBroadcast(own, 7u);
    return all;
}

fn greatest(a: vec4<f32>) -> f32 {
    return max(max(a.x, a.y), max(a.z, a.w));
}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let tiles = (params.queries + QUERIES - 1u) / QUERIES;
    let number = workgroup.x + workgroup.y * workgroups.x;
    let row = number / tiles;
    if row >= params.rows {
        return;
    }
    let head = head_at(row);
    let first_query = number % tiles * QUERIES;
    var held: array<array<vec4<f32>, GROUPS>, OWN>;
    var sums: array<array<vec4<f32>, VALUE_GROUPS>, OWN>;
    var peak: array<f32, OWN>;
    var total: array<f32, OWN>;
    var seen: array<u32, OWN>;
    for (var own = 0u; own < OWN; own++) {
        // Lanes past the last query repeat it, since all lanes must broadcast, and write nothing.
        let query = min(first_query + own * 8u + lane, head.queries - 1u);
        for (var group = 0u; group < GROUPS; group++) {
            held[own][group] = query_group(head, query, group) * head.scale;
        }
        for (var group = 0u; group < VALUE_GROUPS; group++) {
            sums[own][group] = vec4<f32>(0.0);
        }
        peak[own] = LOWEST;
        seen[own] = keys_seen(head, first_query + own * 8u + lane);
        total[own] = 0.0;
    }

    let blocks = (head.keys + 7u) / 8u;
    let first_block = row / params.shared_by * ((params.keys + 7u) / 8u);
    // Keys that the last query of the workgroup does not see need not be looked at, unless they count nevertheless.
    var end = blocks;
    if CAUSAL {
        end = (keys_seen(head, min(first_query + QUERIES, head.queries) - 1u) + 7u) / 8u;
        if UNSEEN != 0u {
            end = max(end, min(blocks, 1u));
        }
    }
    for (var block = 0u; block < end; block++) {
        let keys_at = (first_block + block) * GROUPS * 8u + lane;
        var low: array<vec4<f32>, OWN>; // products, then weights of the block's first four keys
        var high: array<vec4<f32>, OWN>; // of its last four
        for (var own = 0u; own < OWN; own++) {
            low[own] = vec4<f32>(0.0);
            high[own] = vec4<f32>(0.0);
        }
        for (var group = 0u; group < GROUPS; group++) {
            let keys = of_all_lanes(textureLoad(packed_keys, texel(keys_at + group * 8u)));
            for (var own = 0u; own < OWN; own++) {
                let query = held[own][group];
                low[own] += vec4<f32>(dot(query, keys.a), dot(query, keys.b), dot(query, keys.c), dot(query, keys.d));
                high[own] += vec4<f32>(dot(query, keys.e), dot(query, keys.f), dot(query, keys.g), dot(query, keys.h));
            }
        }
        let first_key = block * 8u;
        var low_mask: vec4<u32>;
        var high_mask: vec4<u32>;
        if SHARED_MASK {
            let word = mask_of(head, 0u, first_key + lane);
            low_mask = vec4<u32>(subgroupBroadcast(word, 0u), subgroupBroadcast(word, 1u), subgroupBroadcast(word, 2u), subgroupBroadcast(word, 3u));
            high_mask = vec4<u32>(subgroupBroadcast(word, 4u), subgroupBroadcast(word, 5u), subgroupBroadcast(word, 6u), subgroupBroadcast(word, 7u));
        }
        var shrink: array<f32, OWN>;
        for (var own = 0u; own < OWN; own++) {
            let query = first_query + own * 8u + lane;
            for (var k = 0u; k < 4u; k++) {
                low[own][k] = capped(low[own][k], head);
                high[own][k] = capped(high[own][k], head);
            }
            if MASK != 0u {
                if !SHARED_MASK {
                    for (var k = 0u; k < 4u; k++) {
                        low_mask[k] = mask_of(head, query, first_key + k);
                        high_mask[k] = mask_of(head, query, first_key + 4u + k);
                    }
                }
                for (var k = 0u; k < 4u; k++) {
                    low[own][k] = masked(low[own][k], low_mask[k], head);
                    high[own][k] = masked(high[own][k], high_mask[k], head);
                }
            }
            for (var k = 0u; k < 4u; k++) {
                low[own][k] = reached(low[own][k], first_key + k, seen[own], head);
                high[own][k] = reached(high[own][k], first_key + 4u + k, seen[own], head);
            }
            let higher = max(peak[own], max(greatest(low[own]), greatest(high[own])));
            shrink[own] = exp(peak[own] - higher);
            peak[own] = higher;
            low[own] = exp(low[own] - higher);
            high[own] = exp(high[own] - higher);
            total[own] = total[own] * shrink[own] + dot(low[own] + high[own], vec4<f32>(1.0));
        }
        let values_at = (first_block + block) * VALUE_GROUPS * 8u + lane;
        for (var group = 0u; group < VALUE_GROUPS; group++) {
            let values = of_all_lanes(textureLoad(packed_values, texel(values_at + group * 8u)));
            for (var own = 0u; own < OWN; own++) {
                let first = low[own];
                let last = high[own];
                sums[own][group] = sums[own][group] * shrink[own]
                    + first.x * values.a + first.y * values.b + first.z * values.c + first.w * values.d
                    + last.x * values.e + last.y * values.f + last.z * values.g + last.w * values.h;
            }
        }
        if CAUSAL && UNSEEN != 0u && block + 1u == end && end < blocks {
            var least = peak[0];
            for (var own = 1u; own < OWN; own++) {
                least = min(least, peak[own]);
            }
            if unseen_count(subgroupMin(least), head) {
                end = blocks;
            }
        }
    }

    for (var own = 0u; own < OWN; own++) {
        let query = first_query + own * 8u + lane;
        if query < head.queries {
            let factor = normalizer(total[own]);
            let start = head.output + query * head.output_stride;
            for (var group = 0u; group < VALUE_GROUPS; group++) {
                store_group(head, start, group, sums[own][group] * factor);
            }
        }
    }
}
