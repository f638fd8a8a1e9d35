// What all attention kernels share: parameters, the mask, and what becomes of the product of a query and a key.
override CAUSAL: bool;
override SOFTCAP: bool;
override MASK: u32; // 0 none, 1 floats that are added, 2 bool
override ZERO_UNSEEN: bool;

struct Params {
    // Strides of batch, head, position and element; those of vector loads count groups of four.
    query_strides: array<vec4<i32>, 1>,
    key_strides: array<vec4<i32>, 1>,
    value_strides: array<vec4<i32>, 1>,
    mask_strides: array<vec4<i32>, 1>, // batch, head, query, key
    output_strides: array<vec4<u32>, 1>, // batch, head, query, 1
    query_offset: i32,
    key_offset: i32,
    value_offset: i32,
    mask_offset: i32,
    rows: u32, // batch * heads
    heads: u32,
    shared_by: u32, // heads that share a key head
    queries: u32,
    keys: u32,
    size: u32,
    value_size: u32,
    causal_offset: i32,
    scale: f32,
    softcap: f32,
    splits: u32, // workgroups that share the keys of a query (attention_split only)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(4) var<storage, read> mask: array<u32>;

// Below every score that counts, yet finite: differences from it are no NaN.
const LOWEST: f32 = -3.4028234e38;

// One head of one batch element: where its queries, keys, values, mask and output begin.
struct Head {
    query: i32,
    key: i32,
    value: i32,
    mask: i32,
    output: u32,
}

fn head_at(row: u32) -> Head {
    let batch = row / params.heads;
    let head = row % params.heads;
    let at = vec2<i32>(i32(batch), i32(head));
    let shared_at = vec2<i32>(i32(batch), i32(head / params.shared_by));
    let query = params.query_offset + dot(at, params.query_strides[0].xy);
    let key = params.key_offset + dot(shared_at, params.key_strides[0].xy);
    let value = params.value_offset + dot(shared_at, params.value_strides[0].xy);
    let start = params.mask_offset + dot(at, params.mask_strides[0].xy);
    let output = batch * params.output_strides[0].x + head * params.output_strides[0].y;
    return Head(query, key, value, start, output);
}

fn minus_infinity() -> f32 {
    // A constant expression may not be infinite; a variable may.
    var bits = 0xff800000u;
    return bitcast<f32>(bits);
}

// The score of a key, given its product with the query; minus infinity when the query does not see it.
fn score(product: f32, head: Head, query: u32, key: u32) -> f32 {
    if key >= params.keys || (CAUSAL && i32(key) > i32(query) + params.causal_offset) {
        return minus_infinity();
    }
    var value = product * params.scale;
    if SOFTCAP {
        value = params.softcap * tanh(clamp(value / params.softcap, -10.0, 10.0));
    }
    if MASK != 0u {
        let at = head.mask + i32(min(query, params.queries - 1u)) * params.mask_strides[0].z + i32(key) * params.mask_strides[0].w;
        let bits = mask[u32(at)];
        if MASK == 1u {
            value += bitcast<f32>(bits);
        } else if bits == 0u {
            return minus_infinity();
        }
    }
    return value;
}

// What the weighted sum of values is multiplied with, given the sum of weights.
fn normalizer(total: f32) -> f32 {
    if total == 0.0 && (ZERO_UNSEEN || params.keys == 0u) {
        return 0.0;
    }
    return 1.0 / total;
}
