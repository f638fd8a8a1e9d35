// The weights of a depthwise convolution: lanes load some each and hand them round.
fn load_taps(kernel: u32, lane: u32) -> array<f32, TAPS> {
    var held: array<f32, (TAPS + LANES - 1u) / LANES>;
    for (var i = 0u; i < (TAPS + LANES - 1u) / LANES; i++) {
        held[i] = w[kernel * TAPS + min(i * LANES + lane, TAPS - 1u)];
    }
    var taps: array<f32, TAPS>;
    for (var i = 0u; i < TAPS; i++) {
        taps[i] = subgroupShuffle(held[i / LANES], i % LANES);
    }
    return taps;
}
