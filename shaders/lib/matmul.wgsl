// What all matrix product kernels share: their parameters, and where the matrices of a batch start.
//
// C[batch] = A[batch] * B[batch]: C is row-major [batches, m, n]; A (m by k) and B (k by n) are strided. Strides and
// offsets count elements; negative ones are their two's complement, as index arithmetic wraps.

// How many of the batch axes below are in use.
override BATCH_AXES: u32;

struct Params {
    batch_extents: array<vec4<u32>, 2>,
    a_batch_strides: array<vec4<u32>, 2>,
    b_batch_strides: array<vec4<u32>, 2>,
    m: u32,
    n: u32,
    k: u32,
    a_row_stride: u32,
    a_column_stride: u32,
    a_offset: u32,
    b_row_stride: u32,
    b_column_stride: u32,
    b_offset: u32,
    batches: u32,
    // How many terms of each sum one workgroup adds, a multiple of four.
    terms: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

// Element (0, 0) of A (x) and of B (y) in a batch.
fn batch_start(batch: u32) -> vec2<u32> {
    var start = vec2(params.a_offset, params.b_offset);
    var rest = batch;
    for (var axis = BATCH_AXES; axis > 0u; axis -= 1u) {
        let slot = (axis - 1u) / 4u;
        let lane = (axis - 1u) % 4u;
        let extent = params.batch_extents[slot][lane];
        let next = rest / extent;
        start += (rest - next * extent) * vec2(params.a_batch_strides[slot][lane], params.b_batch_strides[slot][lane]);
        rest = next;
    }
    return start;
}
