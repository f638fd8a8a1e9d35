// The weights of a depthwise convolution, loaded by each invocation.
fn load_taps(kernel: u32, lane: u32) -> array<f32, TAPS> {
    var taps: array<f32, TAPS>;
    for (var i = 0u; i < TAPS; i++) {
        taps[i] = w[kernel * TAPS + i];
    }
    return taps;
}
