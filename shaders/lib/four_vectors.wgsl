// Storage in groups of four floats: `array<Four>` is bound as vectors of four.
alias Four = vec4<f32>;

// Pairs of 32-bit words likewise, `array<Two>`.
alias Two = vec2<u32>;

fn two(group: Two) -> vec2<u32> {
    return group;
}

// The four words themselves.
fn four_words(group: Four) -> vec4<u32> {
    return bitcast<vec4<u32>>(group);
}

fn four(group: Four) -> vec4<f32> {
    return group;
}
