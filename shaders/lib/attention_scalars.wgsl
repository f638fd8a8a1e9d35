// Attention reads its elements one by one, at any stride; past the end of a head they count as 0.
@group(0) @binding(1) var<storage, read> queries: array<f32>; // [batch, heads, queries, size]
@group(0) @binding(2) var<storage, read> keys: array<f32>; // [batch, key heads, keys, size]
@group(0) @binding(3) var<storage, read> values: array<f32>; // [batch, key heads, keys, value size]

fn query_group(head: Head, query: u32, group: u32) -> vec4<f32> {
    let start = head.query + i32(query) * params.query_strides[0].z;
    var loaded = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        if group * 4u + k < params.size {
            loaded[k] = queries[u32(start + i32(group * 4u + k) * params.query_strides[0].w)];
        }
    }
    return loaded;
}

fn key_group(head: Head, key: u32, group: u32) -> vec4<f32> {
    let start = head.key + i32(key) * params.key_strides[0].z;
    var loaded = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        if group * 4u + k < params.size {
            loaded[k] = keys[u32(start + i32(group * 4u + k) * params.key_strides[0].w)];
        }
    }
    return loaded;
}

fn value_group(head: Head, key: u32, group: u32) -> vec4<f32> {
    let start = head.value + i32(key) * params.value_strides[0].z;
    var loaded = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        if group * 4u + k < params.value_size {
            loaded[k] = values[u32(start + i32(group * 4u + k) * params.value_strides[0].w)];
        }
    }
    return loaded;
}
