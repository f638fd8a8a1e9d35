// What the kernels of CrossEntropy share. A row is the classes of one label; `k` counts them.
//
// With p the softmax of a row, y its label, w the weights of classes and s the smoothing, the loss is
// (1 - s) w_y (-log p_y) + s / classes * sum_k w_k (-log p_k), and nothing where the label is the ignored one.
override WEIGHTED: bool;
override SMOOTHED: bool;
override IGNORES: bool;

struct Params {
    rows: u32,
    classes: u32,
    stride: u32, // from a class to the next
    ignored: i32,
    own: f32,    // 1 - s
    spread: f32, // s / classes
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;         // [rows / stride, classes, stride]
@group(0) @binding(2) var<storage, read> labels: array<i32>;         // [rows]
@group(0) @binding(3) var<storage, read> weights: array<f32>;        // [classes]; read where WEIGHTED
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;   // [rows]
@group(0) @binding(5) var<storage, read_write> counts: array<f32>;   // [rows]: what each counts in a mean

fn class_weight(k: u32) -> f32 {
    if WEIGHTED {
        return weights[k];
    }
    return 1.0;
}

fn is_ignored(row: u32) -> bool {
    return IGNORES && labels[row] == params.ignored;
}

// The label as a class. One that is none fails the run.
fn class_of(row: u32) -> u32 {
    return u32(clamp(labels[row], 0, i32(params.classes) - 1));
}

// Leaves the loss of a row, and what it counts.
fn store_loss(row: u32, loss: f32) {
    losses[row] = select(loss, 0.0, is_ignored(row));
    counts[row] = select(class_weight(class_of(row)), 0.0, is_ignored(row));
}

// How the loss changes with the logit of class `k`, whose part of the softmax is `part`. `whole` is what all losses of the row are
// multiplied by together.
fn slope(row: u32, k: u32, part: f32, whole: f32) -> f32 {
    let label = class_of(row);
    var change = part * whole - select(0.0, params.own * class_weight(label), k == label);
    if SMOOTHED {
        change -= params.spread * class_weight(k);
    }
    return select(change, 0.0, is_ignored(row));
}
