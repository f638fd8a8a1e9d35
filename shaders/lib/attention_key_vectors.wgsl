// Keys and values of attention in groups of four neighbouring elements.
@group(0) @binding(2) var<storage, read> keys: array<Four>; // [batch, key heads, keys, size]
@group(0) @binding(3) var<storage, read> values: array<Four>; // [batch, key heads, keys, value size]

fn key_group(head: Head, key: u32, group: u32) -> vec4<f32> {
    return four(keys[u32(head.key + i32(key) * head.key_strides.x) + group]);
}

fn value_group(head: Head, key: u32, group: u32) -> vec4<f32> {
    return four(values[u32(head.value + i32(key) * head.value_strides.x) + group]);
}
