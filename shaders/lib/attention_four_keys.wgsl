// Softmax of one query as it goes along its keys, four at a time, with the greatest score so far as reference.
struct Weighed {
    weights: vec4<f32>,
    shrink: f32, // what the sums so far are multiplied with
    peak: f32,
    total: f32,
}

// Keys `key` to `key + 3`; those past the end repeat the last.
fn four_keys(head: Head, key: u32) -> vec4<u32> {
    return min(vec4<u32>(key, key + 1u, key + 2u, key + 3u), vec4<u32>(head.keys - 1u));
}

// Products of a query's group with the same group of four keys.
fn products(q: vec4<f32>, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(dot(q, a), dot(q, b), dot(q, c), dot(q, d));
}

// What four keys from `key` on weigh beside those before them; the score of keys past the end is minus infinity.
fn weighed(products: vec4<f32>, head: Head, query: u32, key: u32, peak: f32, total: f32) -> Weighed {
    var scores = products;
    for (var k = 0u; k < 4u; k++) {
        scores[k] = score(scores[k], head, query, key + k);
    }
    let higher = max(peak, max(max(scores.x, scores.y), max(scores.z, scores.w)));
    let shrink = exp(peak - higher);
    let weights = exp(scores - higher);
    return Weighed(weights, shrink, higher, total * shrink + (weights.x + weights.y) + (weights.z + weights.w));
}
