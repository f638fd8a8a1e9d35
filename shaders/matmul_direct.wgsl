// Matrix product, one element of C per invocation: any strides, any scalar. The kernel of last resort.
//
// Invocations are numbered row-major over C; the grid is one-dimensional, folded into y. Neighbours read neighbouring
// columns of B and share a row of A.

@group(0) @binding(1) var<storage, read> a: array<Element>; // strided [batches, m, k]
@group(0) @binding(2) var<storage, read> b: array<Element>; // strided [batches, k, n]
@group(0) @binding(3) var<storage, read_write> c: array<Element>; // [batches, m, n]

// A loop may run 65,535 times at most, so the one over k is nested.
const STEP: u32 = 32768u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    let row = index / params.n;
    let batch = row / params.m;
    if batch >= params.batches {
        return;
    }
    let start = batch_start(batch);
    var from_a = start.x + (row - batch * params.m) * params.a_row_stride;
    var from_b = start.y + (index - row * params.n) * params.b_column_stride;
    var sum = Element(0);
    for (var first = 0u; first < params.k; first += STEP) {
        let count = min(params.k - first, STEP);
        for (var k = 0u; k < count; k++) {
            sum += a[from_a] * b[from_b];
            from_a += params.a_column_stride;
            from_b += params.b_row_stride;
        }
    }
    c[index] = epilogue(sum, index);
}
