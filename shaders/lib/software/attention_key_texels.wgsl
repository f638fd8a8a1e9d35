// Keys and values of attention in groups of four neighbouring elements, from textures.
@group(0) @binding(2) var keys: texture_storage_2d<rgba32float, read>; // [batch, key heads, keys, size]
@group(0) @binding(3) var values: texture_storage_2d<rgba32float, read>; // [batch, key heads, keys, value size]

fn key_group(head: Head, key: u32, group: u32) -> vec4<f32> {
    return textureLoad(keys, texel(u32(head.key + i32(key) * head.key_strides.x) + group));
}

fn value_group(head: Head, key: u32, group: u32) -> vec4<f32> {
    return textureLoad(values, texel(u32(head.value + i32(key) * head.value_strides.x) + group));
}
