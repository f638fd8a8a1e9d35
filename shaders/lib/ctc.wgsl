// What the kernels share that walk the extended targets of CTC: blank, label 0, blank, label 1, ..., blank. Such a place is a state.
struct Params {
    batch: u32,
    classes: u32,
    blank: u32,
    states: u32,        // of the longest target
    stride: u32,        // numbers of a sequence in `sequences`
    rows: u32,          // of a sequence in the trellis
    first_element: u32, // of the batch elements of this dispatch
    elements: u32,
    first_step: u32,
    last_step: u32,
    frames: u32,        // of the longest sequence there may be
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;            // time, batch, classes
@group(0) @binding(2) var<storage, read> normalizers: array<vec2<f32>>; // time, batch: the greatest, the logarithm of the sum below it
@group(0) @binding(3) var<storage, read> sequences: array<u32>;         // batch, stride: see the kernel that makes them

// The logarithm of no probability: finite, so that differences from it are no NaN. What is less than half of it is as good as it.
const NEVER: f32 = -1e30;

fn is_never(value: f32) -> bool {
    return value <= 0.5 * NEVER;
}

fn is_undefined(value: f32) -> bool {
    // By its bits: comparing a NaN with itself does not tell on every driver.
    return (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
}

fn log_probability(frame: u32, class_index: u32) -> f32 {
    let value = logits[frame * params.classes + class_index] - normalizers[frame].x - normalizers[frame].y;
    return select(value, NEVER, value < NEVER);
}

// The class of label `k` of the sequence whose numbers begin at `begin`.
fn label_at(begin: u32, k: u32) -> u32 {
    return sequences[begin + 3u + 2u * k];
}
