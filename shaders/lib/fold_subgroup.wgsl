// Joins the states of all invocations of a workgroup that is one subgroup of `const WORKGROUP: u32` lanes.
fn fold_workgroup(state: vec2<Number>, lane: u32) -> vec2<Number> {
    var joined = state;
    for (var distance = WORKGROUP / 2u; distance > 0u; distance /= 2u) {
        joined = fold_join(joined, subgroupShuffleXor(joined, distance));
    }
    return joined;
}
