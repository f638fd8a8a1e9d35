// Takes lowest (LOWEST); attention (Head, head_at, normalizer); four_words; attention_query_vectors or attention_query_scalars
// (query_group); attention_key_vectors or attention_key_scalars (key_group, value_group); attention_four_keys (four_keys,
// products, weighed); attention_output (store_group).
// Attention for adapters whose workgroups are subgroups of eight lanes (software Vulkan): one query per lane, held in
// registers, and eight queries of one head per workgroup.
//
// Keys and values are the same for all lanes, so each lane loads an eighth of them and the rest comes by broadcast, which
// costs a twentieth of a load. The weights of four keys are taken at a time, with the greatest score so far as reference.
// CHUNKS and VALUE_CHUNKS count chunks of eight groups of four elements; GROUPS and VALUE_GROUPS those groups.

// One group of four values, weighted.
fn mixed(weights: vec4<f32>, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) -> vec4<f32> {
    return weights.x * a + weights.y * b + weights.z * c + weights.w * d;
}

// A chunk of a row of keys or values: lane `l` loads group `l` of it, 0 past the end.
fn key_chunk(head: Head, key: u32, chunk: u32, lane: u32) -> vec4<f32> {
    let group = chunk * 8u + lane;
    if GROUPS % 8u == 0u || group < GROUPS {
        return key_group(head, key, group);
    }
    return vec4<f32>(0.0);
}

fn value_chunk(head: Head, key: u32, chunk: u32, lane: u32) -> vec4<f32> {
    let group = chunk * 8u + lane;
    if VALUE_GROUPS % 8u == 0u || group < VALUE_GROUPS {
        return value_group(head, key, group);
    }
    return vec4<f32>(0.0);
}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let tiles = (params.queries + 7u) / 8u;
    let number = workgroup.x + workgroup.y * workgroups.x;
    if number / tiles >= params.rows {
        return;
    }
    // Lanes past the last query work on it too, since all lanes must broadcast, and write nothing.
    let query = number % tiles * 8u + lane;
    let row = min(query, params.queries - 1u);
    let head = head_at(number / tiles);
    var held: array<vec4<f32>, CHUNKS * 8u>;
    for (var group = 0u; group < CHUNKS * 8u; group++) {
        held[group] = vec4<f32>(0.0);
        if group < GROUPS {
            held[group] = query_group(head, row, group);
        }
    }
    var sums: array<vec4<f32>, VALUE_CHUNKS * 8u>;
    for (var group = 0u; group < VALUE_CHUNKS * 8u; group++) {
        sums[group] = vec4<f32>(0.0);
    }
    var peak = LOWEST;
    var total = 0.0;
    for (var key = 0u; key < head.keys; key += 4u) {
        let at = four_keys(head, key);
        var scores = vec4<f32>(0.0);
        for (var chunk = 0u; chunk < CHUNKS; chunk++) {
            let a = key_chunk(head, at.x, chunk, lane);
            let b = key_chunk(head, at.y, chunk, lane);
            let c = key_chunk(head, at.z, chunk, lane);
            let d = key_chunk(head, at.w, chunk, lane);
            let first = chunk * 8u;
            scores += products(held[first + 0u], subgroupBroadcast(a, 0u), subgroupBroadcast(b, 0u), subgroupBroadcast(c, 0u), subgroupBroadcast(d, 0u));
            scores += products(held[first + 1u], subgroupBroadcast(a, 1u), subgroupBroadcast(b, 1u), subgroupBroadcast(c, 1u), subgroupBroadcast(d, 1u));
            scores += products(held[first + 2u], subgroupBroadcast(a, 2u), subgroupBroadcast(b, 2u), subgroupBroadcast(c, 2u), subgroupBroadcast(d, 2u));
            scores += products(held[first + 3u], subgroupBroadcast(a, 3u), subgroupBroadcast(b, 3u), subgroupBroadcast(c, 3u), subgroupBroadcast(d, 3u));
            scores += products(held[first + 4u], subgroupBroadcast(a, 4u), subgroupBroadcast(b, 4u), subgroupBroadcast(c, 4u), subgroupBroadcast(d, 4u));
            scores += products(held[first + 5u], subgroupBroadcast(a, 5u), subgroupBroadcast(b, 5u), subgroupBroadcast(c, 5u), subgroupBroadcast(d, 5u));
            scores += products(held[first + 6u], subgroupBroadcast(a, 6u), subgroupBroadcast(b, 6u), subgroupBroadcast(c, 6u), subgroupBroadcast(d, 6u));
            scores += products(held[first + 7u], subgroupBroadcast(a, 7u), subgroupBroadcast(b, 7u), subgroupBroadcast(c, 7u), subgroupBroadcast(d, 7u));
        }
        let next = weighed(scores, head, row, key, peak, total);
        peak = next.peak;
        total = next.total;
        for (var chunk = 0u; chunk < VALUE_CHUNKS; chunk++) {
            let a = value_chunk(head, at.x, chunk, lane);
            let b = value_chunk(head, at.y, chunk, lane);
            let c = value_chunk(head, at.z, chunk, lane);
            let d = value_chunk(head, at.w, chunk, lane);
            let first = chunk * 8u;
            sums[first + 0u] = sums[first + 0u] * next.shrink + mixed(next.weights, subgroupBroadcast(a, 0u), subgroupBroadcast(b, 0u), subgroupBroadcast(c, 0u), subgroupBroadcast(d, 0u));
            sums[first + 1u] = sums[first + 1u] * next.shrink + mixed(next.weights, subgroupBroadcast(a, 1u), subgroupBroadcast(b, 1u), subgroupBroadcast(c, 1u), subgroupBroadcast(d, 1u));
            sums[first + 2u] = sums[first + 2u] * next.shrink + mixed(next.weights, subgroupBroadcast(a, 2u), subgroupBroadcast(b, 2u), subgroupBroadcast(c, 2u), subgroupBroadcast(d, 2u));
            sums[first + 3u] = sums[first + 3u] * next.shrink + mixed(next.weights, subgroupBroadcast(a, 3u), subgroupBroadcast(b, 3u), subgroupBroadcast(c, 3u), subgroupBroadcast(d, 3u));
            sums[first + 4u] = sums[first + 4u] * next.shrink + mixed(next.weights, subgroupBroadcast(a, 4u), subgroupBroadcast(b, 4u), subgroupBroadcast(c, 4u), subgroupBroadcast(d, 4u));
            sums[first + 5u] = sums[first + 5u] * next.shrink + mixed(next.weights, subgroupBroadcast(a, 5u), subgroupBroadcast(b, 5u), subgroupBroadcast(c, 5u), subgroupBroadcast(d, 5u));
            sums[first + 6u] = sums[first + 6u] * next.shrink + mixed(next.weights, subgroupBroadcast(a, 6u), subgroupBroadcast(b, 6u), subgroupBroadcast(c, 6u), subgroupBroadcast(d, 6u));
            sums[first + 7u] = sums[first + 7u] * next.shrink + mixed(next.weights, subgroupBroadcast(a, 7u), subgroupBroadcast(b, 7u), subgroupBroadcast(c, 7u), subgroupBroadcast(d, 7u));
        }
    }
    if query >= head.queries {
        return;
    }
    let factor = normalizer(total);
    let start = head.output + query * head.output_stride;
    for (var group = 0u; group < VALUE_GROUPS; group++) {
        store_group(head, start, group, sums[group] * factor);
    }
}
