// Unfolded lines go to a buffer.
@group(0) @binding(2) var<storage, read_write> unfolded: array<vec4<f32>>; // [planes, lines, taps, quads]

fn put(index: u32, pixels: vec4<f32>) {
    unfolded[index] = pixels;
}
