// Takes matmul (batch_start); element_f32 or element_i32 or element_u32 (Element); perhaps an epilogue.
// Matrix product, one element of C per invocation: any strides, any scalar. The kernel of last resort.
//
// Invocations are numbered row-major over C; the grid is one-dimensional, folded into y. Neighbours read neighbouring
// columns of B and share a row of A.

@group(0) @binding(1) var<storage, read> a: array<Element>; // strided [batches, m, k]
@group(0) @binding(2) var<storage, read> b: array<Element>; // strided [batches, k, n]
@group(0) @binding(3) var<storage, read_write> c: array<Element>; // [batches, m, n]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    let row = index / params.n;
    let batch = row / params.m;
    if batch >= params.batches {
        return;
    }
    let place = vec2((row - batch * params.m) * params.a_row_stride, (index - row * params.n) * params.b_column_stride);
    let start = batch_start(batch) + place;
    var sum = Element(0);
    let step = vec2(params.a_column_stride, params.b_row_stride);
    var at = start;
    // Eight terms a turn, as the turns of all loops are limited.
    var k = 0u;
    for (; k + 8u <= params.k; k += 8u) {
        for (var i = 0u; i < 8u; i++) {
            sum += a[at.x] * b[at.y];
            at += step;
        }
    }
    for (; k < params.k; k++) {
        sum += a[at.x] * b[at.y];
        at += step;
    }
    c[index] = epilogue(sum, index);
}
