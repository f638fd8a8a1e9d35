// Takes lowest (LOWEST); attention (Head, LENGTHS, head_at, minus_infinity, score); four_words; attention_query_vectors or
// attention_query_scalars (query_group); attention_key_vectors or attention_key_texels or attention_key_scalars (key_group,
// value_group); perhaps texels.
// First of two attention kernels for few queries over many keys on software adapters: each workgroup, a subgroup of eight
// lanes, takes one stretch of the keys of one key head and OWN of the queries that read it, and leaves for each its greatest
// score, its sum of weights and its weighted sum of values, which attention_join joins.
//
// Neighbouring lanes load neighbouring groups of four of each key and value, every eighth group one lane, so that memory is
// read in order; each element is loaded once and serves OWN queries. Of a block of eight keys each lane keeps the score of one.
// Queries of all heads that share a key head count as one row of them.
const LANES: u32 = 8u;
// Groups of one lane.
const CHUNKS: u32 = (GROUPS + LANES - 1u) / LANES;
const VALUE_CHUNKS: u32 = (VALUE_GROUPS + LANES - 1u) / LANES;

@group(0) @binding(6) var<storage, read_write> states: array<vec4<f32>>; // [rows, queries, splits, 1 + VALUE_GROUPS]

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let shared_queries = params.shared_by * params.queries;
    let tiles = (shared_queries + OWN - 1u) / OWN;
    let number = workgroup.x + workgroup.y * workgroups.x;
    let split = number % params.splits;
    let tile = number / params.splits % tiles;
    let first_row = number / params.splits / tiles * params.shared_by;
    if first_row >= params.rows {
        return;
    }
    let head = head_at(first_row);
    let first = split * SPLIT;
    // Past the keys there is nothing to leave: the second kernel looks no further than they go.
    if LENGTHS && first >= head.keys {
        return;
    }
    var heads: array<Head, OWN>;
    var query: array<u32, OWN>;
    var held: array<array<vec4<f32>, CHUNKS>, OWN>;
    var sums: array<array<vec4<f32>, VALUE_CHUNKS>, OWN>;
    var peak: array<f32, OWN>;
    var total: array<f32, OWN>;
    for (var own = 0u; own < OWN; own++) {
        // Past the last query it is repeated and not written.
        let at = min(tile * OWN + own, shared_queries - 1u);
        heads[own] = head_at(first_row + at / params.queries);
        query[own] = at % params.queries;
        for (var chunk = 0u; chunk < CHUNKS; chunk++) {
            // Zeros where a lane has no group.
            let group = chunk * LANES + lane;
            held[own][chunk] = select(vec4<f32>(0.0), query_group(heads[own], query[own], min(group, GROUPS - 1u)), group < GROUPS);
        }
        for (var chunk = 0u; chunk < VALUE_CHUNKS; chunk++) {
            sums[own][chunk] = vec4<f32>(0.0);
        }
        peak[own] = LOWEST;
        total[own] = 0.0;
    }
    let end = min(first + SPLIT, head.keys);
    for (var block = first; block < end; block += LANES) {
        var products: array<f32, OWN>;
        for (var k = 0u; k < LANES; k++) {
            // Keys past the end repeat the last and weigh nothing.
            let key = min(block + k, end - 1u);
            var part: array<vec4<f32>, OWN>;
            for (var chunk = 0u; chunk < CHUNKS; chunk++) {
                let loaded = key_group(head, key, min(chunk * LANES + lane, GROUPS - 1u));
                for (var own = 0u; own < OWN; own++) {
                    part[own] += held[own][chunk] * loaded;
                }
            }
            for (var own = 0u; own < OWN; own++) {
                let product = subgroupAdd(dot(part[own], vec4<f32>(1.0)));
                products[own] = select(products[own], product, lane == k);
            }
        }
        let key = min(block + lane, end - 1u);
        for (var own = 0u; own < OWN; own++) {
            let found = score(products[own], heads[own], query[own], key);
            let value = select(minus_infinity(), found, block + lane < end);
            let higher = max(peak[own], subgroupMax(value));
            let shrink = exp(peak[own] - higher);
            products[own] = exp(value - higher);
            peak[own] = higher;
            total[own] = total[own] * shrink + products[own];
            for (var chunk = 0u; chunk < VALUE_CHUNKS; chunk++) {
                sums[own][chunk] *= shrink;
            }
        }
        for (var k = 0u; k < LANES; k++) {
            var weight: array<f32, OWN>;
            for (var own = 0u; own < OWN; own++) {
                weight[own] = subgroupShuffle(products[own], k);
            }
            for (var chunk = 0u; chunk < VALUE_CHUNKS; chunk++) {
                // Lanes past the last group repeat it and write nothing.
                let group = min(chunk * LANES + lane, VALUE_GROUPS - 1u);
                let loaded = value_group(head, min(block + k, end - 1u), group);
                for (var own = 0u; own < OWN; own++) {
                    sums[own][chunk] += loaded * weight[own];
                }
            }
        }
    }
    for (var own = 0u; own < OWN; own++) {
        let weights = subgroupAdd(total[own]);
        let at = tile * OWN + own;
        if at < shared_queries {
            // Rows of one key head are neighbours, so that its queries are numbered through.
            let start = ((first_row * params.queries + at) * params.splits + split) * (1u + VALUE_GROUPS);
            if lane == 0u {
                states[start] = vec4<f32>(peak[own], weights, 0.0, 0.0);
            }
            for (var chunk = 0u; chunk < VALUE_CHUNKS; chunk++) {
                let group = chunk * LANES + lane;
                if group < VALUE_GROUPS {
                    states[start + 1u + group] = sums[own][chunk];
                }
            }
        }
    }
}
