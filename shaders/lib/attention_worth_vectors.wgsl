// What a change of attention's result is worth, in groups of four neighbouring elements.
@group(0) @binding(7) var<storage, read> worths: array<Four>; // [batch, heads, queries, value size] by output_strides

fn worth_group(head: Head, query: u32, group: u32) -> vec4<f32> {
    return four(worths[(head.output + query * head.output_stride) / 4u + group]);
}
