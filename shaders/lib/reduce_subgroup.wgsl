// Reductions over all invocations of a workgroup by subgroup operations. `const WORKGROUP: u32` is the number of
// invocations, `const SUBGROUP: u32` that of a subgroup, which divides it; `lane` is the local invocation index, and
// subgroups hold consecutive ones. Every invocation gets the result; all of them must call (workgroups of more than one
// subgroup meet at barriers).
var<workgroup> reduce_scratch: array<f32, WORKGROUP / SUBGROUP>;

fn reduce_sum(value: f32, lane: u32) -> f32 {
    let own = subgroupAdd(value);
    if WORKGROUP == SUBGROUP {
        return own;
    }
    if lane % SUBGROUP == 0u {
        reduce_scratch[lane / SUBGROUP] = own;
    }
    workgroupBarrier();
    var total = reduce_scratch[0];
    for (var k = 1u; k < WORKGROUP / SUBGROUP; k++) {
        total += reduce_scratch[k];
    }
    workgroupBarrier();
    return total;
}

fn reduce_max(value: f32, lane: u32) -> f32 {
    let own = subgroupMax(value);
    if WORKGROUP == SUBGROUP {
        return own;
    }
    if lane % SUBGROUP == 0u {
        reduce_scratch[lane / SUBGROUP] = own;
    }
    workgroupBarrier();
    var total = reduce_scratch[0];
    for (var k = 1u; k < WORKGROUP / SUBGROUP; k++) {
        total = max(total, reduce_scratch[k]);
    }
    workgroupBarrier();
    return total;
}
