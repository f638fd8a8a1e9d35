// CrossEntropy also says how losses change with the logits.
const SLOPES: bool = true;

@group(0) @binding(6) var<storage, read_write> slopes: array<f32>; // as logits

fn store_slope(at: u32, change: f32) {
    slopes[at] = change;
}
