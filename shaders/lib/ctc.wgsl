// What the kernels share that walk the extended targets of CTC: blank, label 0, blank, label 1, ..., blank. Such a place is a
// state.
//
// A probability is m * 2^e as vec2(m, e), with a whole number e. Products over thousands of frames do not vanish then, and each is
// off by no more than its own rounding, where logarithms would lose with every sum what their size leaves no digits for.
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
@group(0) @binding(2) var<storage, read> normalizers: array<vec2<f32>>; // time, batch: greatest, logarithm of the sum below it
@group(0) @binding(3) var<storage, read> sequences: array<u32>;         // batch, stride: see the kernel that makes them

// The exponent of no probability: finite, so that differences from it are no NaN. What is less than half of it is as good as it.
const NEVER: f32 = -1e30;

fn is_never(exponent: f32) -> bool {
    return exponent <= 0.5 * NEVER;
}

fn is_undefined(value: f32) -> bool {
    // By its bits: comparing a NaN with itself does not tell on every driver.
    return (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
}

fn log_probability(frame: u32, class_index: u32) -> f32 {
    let value = logits[frame * params.classes + class_index] - normalizers[frame].x - normalizers[frame].y;
    return select(value, NEVER, value < NEVER);
}

// m is from 1 to 2.
fn probability(frame: u32, class_index: u32) -> vec2<f32> {
    let exponent = log_probability(frame, class_index) * 1.442695041;
    let whole = floor(exponent);
    return vec2<f32>(exp2(exponent - whole), whole);
}

// 2^e for a whole number up to 0; what is less than the least of normal numbers counts for nothing beside 1.
fn power_of_two(exponent: f32) -> f32 {
    return bitcast<f32>(u32(max(exponent, -126.0) + 127.0) << 23u);
}

// The class of label `k` of the sequence whose numbers begin at `begin`.
fn label_at(begin: u32, k: u32) -> u32 {
    return sequences[begin + 3u + 2u * k];
}
