// Queries and keys of linear attention one by one, where groups of four do not go into a head; past its end they count as 0.
@group(0) @binding(1) var<storage, read> queries: array<f32>; // batch, steps, heads * shared_by, size
@group(0) @binding(2) var<storage, read> keys: array<f32>;    // batch, steps, heads, size

// A group of the vector that starts at element `start`.
fn query_group(start: u32, group: u32) -> vec4<f32> {
    var loaded = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        if group * 4u + k < SIZE {
            loaded[k] = queries[start + group * 4u + k];
        }
    }
    return loaded;
}

fn key_group(start: u32, group: u32) -> vec4<f32> {
    var loaded = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        if group * 4u + k < SIZE {
            loaded[k] = keys[start + group * 4u + k];
        }
    }
    return loaded;
}
