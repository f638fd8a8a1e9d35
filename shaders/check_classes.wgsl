// Takes reduce_shared or reduce_subgroup (reduce_max).
// CheckClasses: 1 where all labels name a class, or are the one that is ignored, else 0.
//
// One workgroup looks at all of them.

override IGNORES: bool;

struct Params {
    classes: u32,
    count: u32,
    ignored: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> labels: array<i32>;      // count
@group(0) @binding(2) var<storage, read_write> fits: array<u32>;  // one

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    var wrong = 0.0;
    for (var k = group.x + lane; k < params.count; k += WORKGROUP) {
        // A negative label is a great one.
        let names_none = u32(labels[k]) >= params.classes && !(IGNORES && labels[k] == params.ignored);
        wrong = select(wrong, 1.0, names_none);
    }
    let worst = reduce_max(wrong, lane);
    if lane == 0u {
        fits[group.x] = select(1u, 0u, worst > 0.0);
    }
}
