// Keys and values of attention one by one, at any stride; past the end of a head they count as 0.
@group(0) @binding(2) var<storage, read> keys: array<f32>; // [batch, key heads, keys, size]
@group(0) @binding(3) var<storage, read> values: array<f32>; // [batch, key heads, keys, value size]

fn key_group(head: Head, key: u32, group: u32) -> vec4<f32> {
    let start = head.key + i32(key) * head.key_strides.x;
    var loaded = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        if group * 4u + k < head.size {
            loaded[k] = keys[u32(start + i32(group * 4u + k) * head.key_strides.y)];
        }
    }
    return loaded;
}

fn value_group(head: Head, key: u32, group: u32) -> vec4<f32> {
    let start = head.value + i32(key) * head.value_strides.x;
    var loaded = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        if group * 4u + k < head.value_size {
            loaded[k] = values[u32(start + i32(group * 4u + k) * head.value_strides.y)];
        }
    }
    return loaded;
}
