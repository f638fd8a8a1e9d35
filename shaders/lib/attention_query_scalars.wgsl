// Queries of attention one by one, at any stride; past the end of a head they count as 0.
@group(0) @binding(1) var<storage, read> queries: array<f32>; // [batch, heads, queries, size]

fn query_group(head: Head, query: u32, group: u32) -> vec4<f32> {
    let start = head.query + i32(query) * head.query_strides.x;
    var loaded = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        if group * 4u + k < head.size {
            loaded[k] = queries[u32(start + i32(group * 4u + k) * head.query_strides.y)];
        }
    }
    return loaded;
}
