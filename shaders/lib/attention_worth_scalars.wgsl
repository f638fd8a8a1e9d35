// What a change of attention's result is worth, by single elements; past the end of a head they count as 0.
@group(0) @binding(7) var<storage, read> worths: array<f32>; // [batch, heads, queries, value size] by output_strides

fn worth_group(head: Head, query: u32, group: u32) -> vec4<f32> {
    let start = head.output + query * head.output_stride;
    var loaded = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        if group * 4u + k < head.value_size {
            loaded[k] = worths[start + group * 4u + k];
        }
    }
    return loaded;
}
