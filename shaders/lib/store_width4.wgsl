// Stores four neighbours of `output` at once through the epilogue; `count` says whether they are inside (four or more)
// or not (0), and `position` is a multiple of four.
fn store_four(position: u32, count: u32, value: vec4<f32>) {
    if count > 0u {
        output[position / 4u] = epilogue(value, position / 4u);
    }
}
