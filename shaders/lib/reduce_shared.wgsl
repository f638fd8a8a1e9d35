// Reductions over all invocations of a workgroup through workgroup memory. `const WORKGROUP: u32` (a power of two) is
// the number of invocations, `lane` the local invocation index. Every invocation gets the result; all of them must call
// (the functions hold barriers).
var<workgroup> reduce_scratch: array<f32, WORKGROUP>;

fn reduce_sum(value: f32, lane: u32) -> f32 {
    reduce_scratch[lane] = value;
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width {
            reduce_scratch[lane] += reduce_scratch[lane + width];
        }
    }
    workgroupBarrier();
    let total = reduce_scratch[0];
    workgroupBarrier();
    return total;
}

fn reduce_max(value: f32, lane: u32) -> f32 {
    reduce_scratch[lane] = value;
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width {
            reduce_scratch[lane] = max(reduce_scratch[lane], reduce_scratch[lane + width]);
        }
    }
    workgroupBarrier();
    let total = reduce_scratch[0];
    workgroupBarrier();
    return total;
}
