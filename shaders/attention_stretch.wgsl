// First of two attention kernels for few queries over many keys on software adapters: each workgroup, a subgroup of eight
// lanes, takes one stretch of the keys of one key head and OWN of the queries that read it, and leaves for each its greatest
// score, its sum of weights and its weighted sum of values, which attention_join joins.
//
// A lane takes every eighth key of the stretch, so that each element is loaded once and serves OWN queries, and goes along with
// its own greatest score as reference; the lanes are joined at the end. Queries of all heads that share a key head count as
// one row of them.
const LANES: u32 = 8u;

@group(0) @binding(5) var<storage, read_write> states: array<vec4<f32>>; // [rows, queries, splits, 1 + VALUE_GROUPS]

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
    var heads: array<Head, OWN>;
    var query: array<u32, OWN>;
    var held: array<array<vec4<f32>, GROUPS>, OWN>;
    var sums: array<array<vec4<f32>, VALUE_GROUPS>, OWN>;
    var peak: array<f32, OWN>;
    var total: array<f32, OWN>;
    for (var own = 0u; own < OWN; own++) {
        // Past the last query it is repeated and not written.
        let at = min(tile * OWN + own, shared_queries - 1u);
        heads[own] = head_at(first_row + at / params.queries);
        query[own] = at % params.queries;
        for (var group = 0u; group < GROUPS; group++) {
            held[own][group] = query_group(heads[own], query[own], group);
        }
        for (var group = 0u; group < VALUE_GROUPS; group++) {
            sums[own][group] = vec4<f32>(0.0);
        }
        peak[own] = LOWEST;
        total[own] = 0.0;
    }
    let head = heads[0];
    let first = split * SPLIT;
    let end = min(first + SPLIT, head.keys);
    for (var block = first; block < end; block += LANES) {
        // Keys past the end repeat the last and weigh nothing.
        let key = min(block + lane, end - 1u);
        var products: array<f32, OWN>;
        for (var own = 0u; own < OWN; own++) {
            products[own] = 0.0;
        }
        for (var group = 0u; group < GROUPS; group++) {
            let loaded = key_group(head, key, group);
            for (var own = 0u; own < OWN; own++) {
                products[own] += dot(held[own][group], loaded);
            }
        }
        var shrink: array<f32, OWN>;
        for (var own = 0u; own < OWN; own++) {
            let found = score(products[own], heads[own], query[own], key);
            let value = select(minus_infinity(), found, block + lane < end);
            let higher = max(peak[own], value);
            shrink[own] = exp(peak[own] - higher);
            products[own] = exp(value - higher);
            peak[own] = higher;
            total[own] = total[own] * shrink[own] + products[own];
        }
        for (var group = 0u; group < VALUE_GROUPS; group++) {
            let loaded = value_group(head, key, group);
            for (var own = 0u; own < OWN; own++) {
                sums[own][group] = sums[own][group] * shrink[own] + loaded * products[own];
            }
        }
    }
    for (var own = 0u; own < OWN; own++) {
        let greatest = subgroupMax(peak[own]);
        let shrink = exp(peak[own] - greatest);
        let weights = subgroupAdd(total[own] * shrink);
        let at = tile * OWN + own;
        // Rows of one key head are neighbours, so that its queries are numbered through.
        let start = ((first_row * params.queries + at) * params.splits + split) * (1u + VALUE_GROUPS);
        if lane == 0u && at < shared_queries {
            states[start] = vec4<f32>(greatest, weights, 0.0, 0.0);
        }
        for (var group = 0u; group < VALUE_GROUPS; group++) {
            let mixed = subgroupAdd(sums[own][group] * shrink);
            if lane == 0u && at < shared_queries {
                states[start + 1u + group] = mixed;
            }
        }
    }
}
