// Where attention leaves its result.
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [batch, heads, queries, value size] by output_strides

// Leaves a group of four elements of a value that starts at `start`.
fn store_group(head: Head, start: u32, group: u32, result: vec4<f32>) {
    for (var k = 0u; k < 4u; k++) {
        if group * 4u + k < head.value_size {
            y[start + group * 4u + k] = result[k];
        }
    }
}
