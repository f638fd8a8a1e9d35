// Stores four values of `output` that stand PHASES_X elements apart, as far as `count` says that there are, each through the
// epilogue, which is written out once.
fn store_four(position: u32, count: u32, value: vec4<f32>) {
    for (var i = 0u; i < min(count, 4u); i++) {
        let at = position + i * PHASES_X;
        output[at] = epilogue(value[i], at);
    }
}
