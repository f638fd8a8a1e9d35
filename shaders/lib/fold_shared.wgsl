// Joins the states of all invocations of a workgroup through workgroup memory; every invocation must call.
// `const WORKGROUP: u32` (a power of two) is their number, `lane` the local invocation index.
var<workgroup> fold_scratch: array<vec2<Number>, WORKGROUP>;

fn fold_workgroup(state: vec2<Number>, lane: u32) -> vec2<Number> {
    fold_scratch[lane] = state;
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width {
            fold_scratch[lane] = fold_join(fold_scratch[lane], fold_scratch[lane + width]);
        }
    }
    workgroupBarrier();
    return fold_scratch[0];
}
