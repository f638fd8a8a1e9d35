// Takes lowest (LOWEST); attention (CAUSAL, UNSEEN, head_at, normalizer, score, unseen_count); four_vectors or four_words (four);
// attention_query_vectors or attention_query_scalars (query_group); attention_key_vectors or attention_key_scalars (key_group,
// value_group); attention_output (store_group).
// Attention for GPUs: tiles of queries, keys and values pass through workgroup memory, and softmax goes along with the greatest
// score so far as reference (Dao et al. 2022, "FlashAttention").
//
// A workgroup of 64 has 16 teams of 4 lanes and QUERIES = 16 * OWN queries of one head; a team owns every sixteenth query. Of
// KEYS keys, lane `p` of a team scores every fourth from `p` on for all of the team's queries, CHUNK groups of elements of
// queries and keys at a time; their weights are added up PORTION keys at a time, where it owns every fourth group of the values.
// So each group read from workgroup memory serves several queries or keys, and queries and weights, keys and values take turns in
// the same memory, so that many workgroups fit a core. GROUPS and VALUE_GROUPS count groups of four elements.
const TEAM: u32 = 4u;
const TEAMS: u32 = 16u;
const QUERIES: u32 = TEAMS * OWN;
const CHUNK: u32 = min(GROUPS, 4u);
// Keys that a lane scores, and groups of four keys of a portion.
const SCORES: u32 = KEYS / TEAM;
const FOURS: u32 = min(SCORES, 4u);
const PORTION: u32 = FOURS * TEAM;
// Groups of values that a lane owns.
const SUMS: u32 = (VALUE_GROUPS + TEAM - 1u) / TEAM;

var<workgroup> of_queries: array<vec4<f32>, QUERIES * max(CHUNK, FOURS)>; // queries [CHUNK, QUERIES] or weights [FOURS, QUERIES]
var<workgroup> of_keys: array<vec4<f32>, max(KEYS * CHUNK, PORTION * VALUE_GROUPS)>; // keys [CHUNK, KEYS] or values [PORTION, VALUE_GROUPS]
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
    let team = local / TEAM;

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
        var scores: array<f32, OWN * SCORES>;
        for (var k = 0u; k < OWN * SCORES; k++) {
            scores[k] = 0.0;
        }
        for (var first_group = 0u; first_group < GROUPS; first_group += CHUNK) {
            workgroupBarrier();
            for (var k = local; k < QUERIES * CHUNK; k += 64u) {
                let group = first_group + k % CHUNK;
                var found = vec4<f32>(0.0);
                if GROUPS % CHUNK == 0u || group < GROUPS {
                    found = query_group(head, min(first_query + k / CHUNK, head.queries - 1u), group);
                }
                of_queries[k % CHUNK * QUERIES + k / CHUNK] = found;
            }
            for (var k = local; k < KEYS * CHUNK; k += 64u) {
                let group = first_group + k % CHUNK;
                var found = vec4<f32>(0.0);
                if GROUPS % CHUNK == 0u || group < GROUPS {
                    found = key_group(head, min(first_key + k / CHUNK, head.keys - 1u), group);
                }
                of_keys[k % CHUNK * KEYS + k / CHUNK] = found;
            }
            workgroupBarrier();
            for (var group = 0u; group < CHUNK; group++) {
                var queries: array<vec4<f32>, OWN>;
                for (var q = 0u; q < OWN; q++) {
                    queries[q] = of_queries[group * QUERIES + q * TEAMS + team];
                }
                for (var k = 0u; k < SCORES; k++) {
                    let key = of_keys[group * KEYS + k * TEAM + part];
                    for (var q = 0u; q < OWN; q++) {
                        scores[q * SCORES + k] = multiply_add(queries[q], key, scores[q * SCORES + k]);
                    }
                }
            }
        }
        for (var q = 0u; q < OWN; q++) {
            let query = q * TEAMS + team;
            var most = LOWEST;
            for (var k = 0u; k < SCORES; k++) {
                let value = score(scores[q * SCORES + k], head, first_query + query, first_key + k * TEAM + part);
                scores[q * SCORES + k] = value;
                most = max(most, value);
            }
            partial[query][part] = most;
        }
        workgroupBarrier();
        for (var q = 0u; q < OWN; q++) {
            let most = partial[q * TEAMS + team];
            let higher = max(peak[q], max(max(most.x, most.y), max(most.z, most.w)));
            let shrink = exp(peak[q] - higher);
            peak[q] = higher;
            total[q] *= shrink;
            for (var k = 0u; k < SCORES; k++) {
                let weight = exp(scores[q * SCORES + k] - higher);
                total[q] += weight;
                scores[q * SCORES + k] = weight;
            }
            for (var k = 0u; k < SUMS; k++) {
                sums[q * SUMS + k] *= shrink;
            }
        }
        for (var first = 0u; first < KEYS; first += PORTION) {
            if first > 0u {
                workgroupBarrier();
            }
            for (var q = 0u; q < OWN; q++) {
                for (var k = 0u; k < FOURS; k++) {
                    of_queries[k * QUERIES + q * TEAMS + team][part] = scores[q * SCORES + k];
                }
                // The weights of the next portion are always the first.
                for (var k = FOURS; k < SCORES; k++) {
                    scores[q * SCORES + k - FOURS] = scores[q * SCORES + k];
                }
            }
            for (var k = local; k < PORTION * VALUE_GROUPS; k += 64u) {
                of_keys[k] = value_group(head, min(first_key + first + k / VALUE_GROUPS, head.keys - 1u), k % VALUE_GROUPS);
            }
            workgroupBarrier();
            for (var four = 0u; four < FOURS; four++) {
                var weights: array<vec4<f32>, OWN>;
                for (var q = 0u; q < OWN; q++) {
                    weights[q] = of_queries[four * QUERIES + q * TEAMS + team];
                }
                for (var k = 0u; k < SUMS; k++) {
                    let group = k * TEAM + part;
                    if VALUE_GROUPS % TEAM == 0u || group < VALUE_GROUPS {
                        let start = four * 4u * VALUE_GROUPS + group;
                        let a = of_keys[start];
                        let b = of_keys[start + VALUE_GROUPS];
                        let c = of_keys[start + 2u * VALUE_GROUPS];
                        let d = of_keys[start + 3u * VALUE_GROUPS];
                        for (var q = 0u; q < OWN; q++) {
                            let weight = weights[q];
                            sums[q * SUMS + k] = sums[q * SUMS + k] + weight.x * a + weight.y * b + weight.z * c + weight.w * d;
                        }
                    }
                }
            }
        }
        if CAUSAL && UNSEEN != 0u && first_key + KEYS >= end && end < head.keys {
            for (var q = 0u; q < OWN; q++) {
                partial[q * TEAMS + team][part] = peak[q];
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
        partial[q * TEAMS + team][part] = total[q];
    }
    workgroupBarrier();
    for (var q = 0u; q < OWN; q++) {
        let query = first_query + q * TEAMS + team;
        if query < head.queries {
            let parts = partial[q * TEAMS + team];
            let factor = normalizer((parts.x + parts.y) + (parts.z + parts.w));
            let start = head.output + query * head.output_stride;
            for (var k = 0u; k < SUMS; k++) {
                store_group(head, start, k * TEAM + part, sums[q * SUMS + k] * factor);
            }
        }
    }
}
