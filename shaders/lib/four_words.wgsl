// Storage in groups of four values: `array<Four>` holds floats and `array<FourBits>` values of any kind, bound as pairs of
// 64-bit words, the low half of a word first. For drivers that load each component of each lane by itself, for which half
// as many components are half the work.
alias Four = vec2<u64>;
alias FourBits = vec2<u64>;

// Pairs of 32-bit words likewise, `array<Two>`.
alias Two = u64;

fn two(group: Two) -> vec2<u32> {
    return vec2(u32(group), u32(group >> 32u));
}

fn four(group: Four) -> vec4<f32> {
    return bitcast<vec4<f32>>(four_bits(group));
}

fn four_bits(group: FourBits) -> vec4<u32> {
    let low = vec2<u32>(group);
    let high = vec2<u32>(group >> vec2<u32>(32u));
    return vec4<u32>(low.x, high.x, low.y, high.y);
}
