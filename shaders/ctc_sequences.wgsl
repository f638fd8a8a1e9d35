// Takes reduce_shared or reduce_subgroup (reduce_sum).
// What the kernels of the CTC loss ask of each sequence, told from integers alone: numbers of frames and labels; whether there are
// fewer frames than the labels take, of which two that are equal need a blank between them; and for each label its class, and
// which label of the same class comes next.
//
// A workgroup looks at as many labels of a sequence as it has invocations, by y; the first one also writes what is said once.
// What is out of range is brought into it: another kernel finds it, and the run fails.

struct Params {
    frames: u32, // that there are
    labels: u32,
    classes: u32,
    stride: u32, // 3 + 2 * labels
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> labels: array<i32>;          // batch, labels
@group(0) @binding(2) var<storage, read> input_lengths: array<i32>;   // batch
@group(0) @binding(3) var<storage, read> target_lengths: array<i32>;  // batch
@group(0) @binding(4) var<storage, read_write> sequences: array<u32>; // batch: frames, labels, 1 without a way, then for each label
                                                                      // class, 2 * next + 1 for the first of its class

fn label_class(element: u32, k: u32) -> u32 {
    return u32(clamp(labels[element * params.labels + k], 0, i32(params.classes) - 1));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let element = group.x;
    let begin = element * params.stride;
    let frames = u32(clamp(input_lengths[element], 0, i32(params.frames)));
    let count = u32(clamp(target_lengths[element], 0, i32(params.labels)));
    let own = group.y * WORKGROUP + lane;
    if own < count {
        let own_class = label_class(element, own);
        var is_first = 1u;
        var next = count;
        for (var k = 0u; k < count; k++) {
            if label_class(element, k) == own_class {
                is_first = select(is_first, 0u, k < own);
                next = select(next, min(next, k), k > own);
            }
        }
        sequences[begin + 3u + 2u * own] = own_class;
        sequences[begin + 4u + 2u * own] = 2u * next + is_first;
    }
    if group.y == 0u {
        var repeats = 0.0;
        for (var k = lane + 1u; k < count; k += WORKGROUP) {
            if label_class(element, k) == label_class(element, k - 1u) {
                repeats += 1.0;
            }
        }
        // Exact: there are fewer than 2^24 labels.
        let all = u32(reduce_sum(repeats, lane));
        if lane == 0u {
            sequences[begin] = frames;
            sequences[begin + 1u] = count;
            sequences[begin + 2u] = select(0u, 1u, count + all > frames);
        }
    }
}
