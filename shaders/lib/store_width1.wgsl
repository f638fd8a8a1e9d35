// Stores four neighbours of `output` that may end at an edge, each through the epilogue.
fn store_four(position: u32, count: u32, value: vec4<f32>) {
    if count > 0u {
        output[position] = epilogue(value.x, position);
    }
    if count > 1u {
        output[position + 1u] = epilogue(value.y, position + 1u);
    }
    if count > 2u {
        output[position + 2u] = epilogue(value.z, position + 2u);
    }
    if count > 3u {
        output[position + 3u] = epilogue(value.w, position + 3u);
    }
}
