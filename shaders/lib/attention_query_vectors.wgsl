// Queries of attention in groups of four neighbouring elements.
@group(0) @binding(1) var<storage, read> queries: array<Four>; // [batch, heads, queries, size]

fn query_group(head: Head, query: u32, group: u32) -> vec4<f32> {
    return four(queries[u32(head.query + i32(query) * head.query_strides.x) + group]);
}
