// Takes lowest (LOWEST); reduce_shared or reduce_subgroup (reduce_max, reduce_sum).
// What makes log-probabilities of the logits of each frame: their greatest, and the logarithm of the sum of exponentials below it.
//
// One workgroup per frame and batch element.

struct Params {
    frames: u32, // time * batch
    classes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;                  // frames, classes
@group(0) @binding(2) var<storage, read_write> normalizers: array<vec2<f32>>; // frames

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let frame = group.x + group.y * groups.x;
    if frame >= params.frames {
        return;
    }
    let start = frame * params.classes;
    var most = LOWEST;
    for (var k = lane; k < params.classes; k += WORKGROUP) {
        most = max(most, logits[start + k]);
    }
    let peak = reduce_max(most, lane);
    var sum = 0.0;
    for (var k = lane; k < params.classes; k += WORKGROUP) {
        sum += exp(logits[start + k] - peak);
    }
    let total = reduce_sum(sum, lane);
    if lane == 0u {
        normalizers[frame] = vec2<f32>(peak, log(total));
    }
}
