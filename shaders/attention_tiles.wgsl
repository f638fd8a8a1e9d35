// Takes lowest (LOWEST); attention (CAUSAL, UNSEEN, head_at, normalizer, score, unseen_count); four_vectors or four_words (four);
// attention_query_vectors or attention_query_scalars (query_group); attention_key_vectors or attention_key_scalars (key_group,
// value_group); attention_output (store_group).
// Attention for GPUs: tiles of keys and values pass through workgroup memory, and softmax goes along with the greatest
// score so far as reference (Dao et al. 2022, "FlashAttention").
//
// A workgroup of 64 has 16 teams of 4 lanes and QUERIES = 16 * OWN queries of one head; a team owns OWN neighbouring
// queries. Of a tile of KEYS keys, lane `p` of a team scores every fourth key from `p` on for all of the team's queries,
// and owns every fourth group of their sums of values, so that each group read from workgroup memory serves OWN queries.
// Queries stay in workgroup memory; keys and values take turns in the same one. GROUPS and VALUE_GROUPS count groups of
// four elements.
const TEAM: u32 = 4u;
const QUERIES: u32 = 16u * OWN;
// Keys that a lane scores, and groups of values it owns.
const SCORES: u32 = KEYS / TEAM;
const SUMS: u32 = (VALUE_GROUPS + TEAM - 1u) / TEAM;

var<workgroup> query_tile: array<vec4<f32>, QUERIES * GROUPS>; // [QUERIES, GROUPS]
var<workgroup> tile: array<vec4<f32>, KEYS * TILE_GROUPS>; // [KEYS, GROUPS] or [KEYS, VALUE_GROUPS]
var<workgroup> weights: array<vec4<f32>, QUERIES * SCORES>; // [QUERIES, KEYS], groups of four keys
var<workgroup> partial: array<vec4<f32>, QUERIES>; // one element per lane of a team

// The sum with a dot product, in a chain of multiply-adds.
fn multiply_add(a: vec4<f32>, b: vec4<f32>, sum: f32) -> f32 {
    return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tiles = (params.queries + QUERIES - 1u) / QUERIES;
    let number = workgroup.x + workgroup.y * workgroups.x;
    if number / tiles >= params.rows {
        return;
    }
    let head = head_at(number / tiles);
    let first_query = number % tiles * QUERIES;
    let part = local % TEAM;
    let own = local / TEAM * OWN;

    for (var k = local; k < QUERIES * GROUPS; k += 64u) {
        query_tile[k] = query_group(head, min(first_query + k / GROUPS, head.queries - 1u), k % GROUPS);
    }
    var sums: array<vec4<f32>, OWN * SUMS>;
    var peak: array<f32, OWN>;
    var total: array<f32, OWN>;
    for (var q = 0u; q < OWN; q++) {
        peak[q] = LOWEST;
        total[q] = 0.0;
        for (var k = 0u; k < SUMS; k++) {
            sums[q * SUMS + k] = vec4<f32>(0.0);
        }
    }

    // Keys that the last query of the tile does not see need not be looked at, unless they count nevertheless.
    var end = head.keys;
    if CAUSAL {
        let seen = i32(min(first_query + QUERIES, head.queries)) + head.causal_offset;
        end = min(end, u32(max(seen, 0)));
        if UNSEEN != 0u {
            end = max(end, min(head.keys, 1u));
        }
    }
    for (var first_key = 0u; first_key < end; first_key += KEYS) {
        workgroupBarrier();
        for (var k = local; k < KEYS * GROUPS; k += 64u) {
            tile[k] = key_group(head, min(first_key + k / GROUPS, head.keys - 1u), k % GROUPS);
        }
        workgroupBarrier();
        var scores: array<f32, OWN * SCORES>;
        for (var k = 0u; k < OWN * SCORES; k++) {
            scores[k] = 0.0;
        }
        for (var group = 0u; group < GROUPS; group++) {
            var keys: array<vec4<f32>, SCORES>;
            for (var k = 0u; k < SCORES; k++) {
                keys[k] = tile[(k * TEAM + part) * GROUPS + group];
            }
            for (var q = 0u; q < OWN; q++) {
                let query = query_tile[(own + q) * GROUPS + group];
                for (var k = 0u; k < SCORES; k++) {
                    scores[q * SCORES + k] = multiply_add(query, keys[k], scores[q * SCORES + k]);
                }
            }
        }
        for (var q = 0u; q < OWN; q++) {
            var most = LOWEST;
            for (var k = 0u; k < SCORES; k++) {
                let value = score(scores[q * SCORES + k], head, first_query + own + q, first_key + k * TEAM + part);
                scores[q * SCORES + k] = value;
                most = max(most, value);
            }
            partial[own + q][part] = most;
        }
        workgroupBarrier();
        for (var q = 0u; q < OWN; q++) {
            let most = partial[own + q];
            let higher = max(peak[q], max(max(most.x, most.y), max(most.z, most.w)));
            let shrink = exp(peak[q] - higher);
            peak[q] = higher;
            total[q] *= shrink;
            for (var k = 0u; k < SCORES; k++) {
                let weight = exp(scores[q * SCORES + k] - higher);
                total[q] += weight;
                weights[(own + q) * SCORES + k][part] = weight;
            }
            for (var k = 0u; k < SUMS; k++) {
                sums[q * SUMS + k] *= shrink;
            }
        }
        for (var k = local; k < KEYS * VALUE_GROUPS; k += 64u) {
            tile[k] = value_group(head, min(first_key + k / VALUE_GROUPS, head.keys - 1u), k % VALUE_GROUPS);
        }
        workgroupBarrier();
        for (var four = 0u; four < SCORES; four++) {
            for (var k = 0u; k < SUMS; k++) {
                let group = k * TEAM + part;
                if VALUE_GROUPS % TEAM == 0u || group < VALUE_GROUPS {
                    let start = four * 4u * VALUE_GROUPS + group;
                    let a = tile[start];
                    let b = tile[start + VALUE_GROUPS];
                    let c = tile[start + 2u * VALUE_GROUPS];
                    let d = tile[start + 3u * VALUE_GROUPS];
                    for (var q = 0u; q < OWN; q++) {
                        let weight = weights[(own + q) * SCORES + four];
                        sums[q * SUMS + k] = sums[q * SUMS + k] + weight.x * a + weight.y * b + weight.z * c + weight.w * d;
                    }
                }
            }
        }
        if CAUSAL && UNSEEN != 0u && first_key + KEYS >= end && end < head.keys {
            for (var q = 0u; q < OWN; q++) {
                partial[own + q][part] = peak[q];
            }
            workgroupBarrier();
            if local == 0u {
                for (var k = 1u; k < QUERIES; k++) {
                    partial[0] = min(partial[0], partial[k]);
                }
            }
            if unseen_count(workgroupUniformLoad(&partial[0]).x, head) {
                end = head.keys;
            }
        }
    }

    for (var q = 0u; q < OWN; q++) {
        partial[own + q][part] = total[q];
    }
    workgroupBarrier();
    for (var q = 0u; q < OWN; q++) {
        let query = first_query + own + q;
        if query < head.queries {
            let parts = partial[own + q];
            let factor = normalizer((parts.x + parts.y) + (parts.z + parts.w));
            let start = head.output + query * head.output_stride;
            for (var k = 0u; k < SUMS; k++) {
                store_group(head, start, k * TEAM + part, sums[q * SUMS + k] * factor);
            }
        }
    }
}
