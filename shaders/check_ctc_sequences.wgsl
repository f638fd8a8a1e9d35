// Takes reduce_shared or reduce_subgroup (reduce_max).
// CheckCtcSequences: 1 where all lengths are those of frames and labels that there are, and all labels are classes other than the
// blank, else 0.
//
// One workgroup looks at all of them.
override HAS_TARGET: bool;

struct Params {
    batch: u32,
    frames: u32,
    labels: u32,
    classes: u32,
    blank: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input_lengths: array<i32>;  // batch
@group(0) @binding(2) var<storage, read> target_lengths: array<i32>; // batch
@group(0) @binding(3) var<storage, read> labels: array<i32>;         // batch, labels
@group(0) @binding(4) var<storage, read_write> fits: array<u32>;     // one

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
    // A negative number is a great one.
    var wrong = 0.0;
    for (var k = lane; k < params.batch; k += WORKGROUP) {
        if u32(input_lengths[k]) > params.frames {
            wrong = 1.0;
        }
        if HAS_TARGET {
            wrong = select(wrong, 1.0, u32(target_lengths[k]) > params.labels);
        }
    }
    if HAS_TARGET {
        for (var k = lane; k < params.batch * params.labels; k += WORKGROUP) {
            let element = k / params.labels;
            let label = u32(labels[k]);
            let counts = i32(k - element * params.labels) < target_lengths[element];
            wrong = select(wrong, 1.0, counts && (label >= params.classes || label == params.blank));
        }
    }
    let worst = reduce_max(wrong, lane);
    if lane == 0u {
        fits[0] = select(1u, 0u, worst > 0.0);
    }
}
