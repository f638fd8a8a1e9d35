// Stores four neighbours of `output` that may end at an edge, each through the epilogue, which is written out once.
fn store_four(position: u32, count: u32, value: vec4<f32>) {
    for (var i = 0u; i < min(count, 4u); i++) {
        output[position + i] = epilogue(value[i], position + i);
    }
}
