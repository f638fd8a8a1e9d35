// Attention reads and writes groups of four neighbouring elements at once.
@group(0) @binding(1) var<storage, read> queries: array<Four>; // [batch, heads, queries, size]
@group(0) @binding(2) var<storage, read> keys: array<Four>; // [batch, key heads, keys, size]
@group(0) @binding(3) var<storage, read> values: array<Four>; // [batch, key heads, keys, value size]

fn query_group(head: Head, query: u32, group: u32) -> vec4<f32> {
    return four(queries[u32(head.query + i32(query) * params.query_strides[0].z) + group]);
}

fn key_group(head: Head, key: u32, group: u32) -> vec4<f32> {
    return four(keys[u32(head.key + i32(key) * params.key_strides[0].z) + group]);
}

fn value_group(head: Head, key: u32, group: u32) -> vec4<f32> {
    return four(values[u32(head.value + i32(key) * params.value_strides[0].z) + group]);
}
