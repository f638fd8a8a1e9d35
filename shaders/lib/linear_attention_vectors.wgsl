// Queries and keys of linear attention in groups of four neighbouring elements.
@group(0) @binding(1) var<storage, read> queries: array<Four>; // batch, steps, heads * shared_by, size
@group(0) @binding(2) var<storage, read> keys: array<Four>;    // batch, steps, heads, size

// A group of the vector that starts at element `start`.
fn query_group(start: u32, group: u32) -> vec4<f32> {
    return four(queries[start / 4u + group]);
}

fn key_group(start: u32, group: u32) -> vec4<f32> {
    return four(keys[start / 4u + group]);
}
