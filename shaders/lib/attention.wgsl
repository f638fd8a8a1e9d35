// What all attention kernels share: parameters, the mask, and what becomes of the product of a query and a key.
override CAUSAL: bool;
override SOFTCAP: bool;
override MASK: u32; // 0 none, 1 floats that are added, 2 bool
override UNSEEN: u32; // scores of keys that are not seen: 0 are minus infinity, 1 are the fill, 2 have the fill added
override ZERO_UNSEEN: bool;
override LENGTHS: bool; // each batch element has a number of keys of its own

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
    fill: f32,
    splits: u32, // workgroups that share the keys of a query (where they are split)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(4) var<storage, read> mask: array<u32>;
@group(0) @binding(5) var<storage, read> lengths: array<i32>; // batch

// One head of one batch element: where its queries, keys, values, mask and output begin, and what loops want of the
// parameters. Software adapters read a uniform inside a loop once for each lane, so that loops read none.
struct Head {
    query: i32,
    key: i32,
    value: i32,
    mask: i32,
    output: u32,
    output_stride: u32, // of position
    // Strides of position and element; of query and key in the mask.
    query_strides: vec2<i32>,
    key_strides: vec2<i32>,
    value_strides: vec2<i32>,
    mask_strides: vec2<i32>,
    queries: u32,
    keys: u32,
    size: u32,
    value_size: u32,
    causal_offset: i32,
    scale: f32,
    softcap: f32,
    fill: f32,
}

fn head_at(row: u32) -> Head {
    let batch = row / params.heads;
    let number = row % params.heads;
    let at = vec2<i32>(i32(batch), i32(number));
    let shared_at = vec2<i32>(i32(batch), i32(number / params.shared_by));
    var head: Head;
    head.query = params.query_offset + dot(at, params.query_strides[0].xy);
    head.key = params.key_offset + dot(shared_at, params.key_strides[0].xy);
    head.value = params.value_offset + dot(shared_at, params.value_strides[0].xy);
    head.mask = params.mask_offset + dot(at, params.mask_strides[0].xy);
    head.output = batch * params.output_strides[0].x + number * params.output_strides[0].y;
    head.query_strides = params.query_strides[0].zw;
    head.key_strides = params.key_strides[0].zw;
    head.value_strides = params.value_strides[0].zw;
    head.mask_strides = params.mask_strides[0].zw;
    head.output_stride = params.output_strides[0].z;
    head.queries = params.queries;
    // One software driver (Mesa's lavapipe) compiles a kernel anew for each dispatch, with the values of the uniforms that alone
    // decide its loops and branches. These never differ from the parameters, but the driver does not see it.
    head.keys = min(params.keys, params.keys + row);
    head.size = min(params.size, params.size + row);
    head.value_size = min(params.value_size, params.value_size + row);
    head.causal_offset = params.causal_offset;
    if LENGTHS {
        // They are data, and so may be anything.
        let length = clamp(lengths[batch], 0, 1 << 29u);
        head.keys = min(head.keys, u32(length));
        head.causal_offset += length;
    }
    head.scale = params.scale;
    head.softcap = params.softcap;
    head.fill = params.fill;
    return head;
}

fn minus_infinity() -> f32 {
    // A constant expression may not be infinite; a variable may.
    var bits = 0xff800000u;
    return bitcast<f32>(bits);
}

// How many keys a query sees, were there no mask.
fn keys_seen(head: Head, query: u32) -> u32 {
    if CAUSAL {
        return min(head.keys, u32(max(i32(query) + head.causal_offset + 1, 0)));
    }
    return head.keys;
}

// The mask's word for a key; queries and keys past the end read the last one's. Only where MASK is not 0.
fn mask_of(head: Head, query: u32, key: u32) -> u32 {
    let at = head.mask + i32(min(query, head.queries - 1u)) * head.mask_strides.x + i32(min(key, head.keys - 1u)) * head.mask_strides.y;
    return mask[u32(at)];
}

// The score of a key that is not seen, given what it would be.
fn unseen(value: f32, head: Head) -> f32 {
    if UNSEEN == 1u {
        return head.fill;
    }
    if UNSEEN == 2u {
        return value + head.fill;
    }
    return minus_infinity();
}

// A score under the mask's word for its key. Only where MASK is not 0.
fn masked(value: f32, word: u32, head: Head) -> f32 {
    if MASK == 1u {
        return value + bitcast<f32>(word);
    }
    return select(unseen(value, head), value, word != 0u);
}

// A score as causality has it, where keys before `seen` are seen; one past the end counts for nothing.
fn reached(value: f32, key: u32, seen: u32, head: Head) -> f32 {
    if CAUSAL && UNSEEN != 0u {
        return select(minus_infinity(), select(unseen(value, head), value, key < seen), key < head.keys);
    }
    return select(minus_infinity(), value, key < seen);
}

// Whether keys that are not seen may count beside one of such a score. They do not where they lie 104 below it, since `exp` is 0
// there; and where the fill is added, whatever it is added to is below the greatest float.
fn unseen_count(peak: f32, head: Head) -> bool {
    return peak - head.fill <= select(104.0, 3.4028232e38, UNSEEN == 2u);
}

fn capped(value: f32, head: Head) -> f32 {
    if SOFTCAP {
        return head.softcap * tanh(clamp(value / head.softcap, -10.0, 10.0));
    }
    return value;
}

// The score of a key, given its product with the query.
fn score(product: f32, head: Head, query: u32, key: u32) -> f32 {
    var value = capped(product * head.scale, head);
    if MASK != 0u {
        value = masked(value, mask_of(head, query, key), head);
    }
    return reached(value, key, keys_seen(head, query), head);
}

// What the weighted sum of values is multiplied with, given the sum of weights.
fn normalizer(total: f32) -> f32 {
    if total == 0.0 && (ZERO_UNSEEN || params.keys == 0u) {
        return 0.0;
    }
    return 1.0 / total;
}
