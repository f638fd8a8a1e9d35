// Storage in groups of four values: `array<Four>` holds floats and `array<FourBits>` values of any kind, bound as vectors.
alias Four = vec4<f32>;
alias FourBits = vec4<u32>;

// Pairs of 32-bit words likewise, `array<Two>`.
alias Two = vec2<u32>;

fn two(group: Two) -> vec2<u32> {
    return group;
}

fn four(group: Four) -> vec4<f32> {
    return group;
}

fn four_bits(group: FourBits) -> vec4<u32> {
    return group;
}
