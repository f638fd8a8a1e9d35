// Determinants of square matrices by Gaussian elimination, the greatest element of a column as its pivot (Golub and Van Loan,
// "Matrix Computations", 3.4).
//
// One matrix per workgroup, which works on a copy of it in memory. For each column all lanes look for the pivot, each in every
// 64th row, and then subtract multiples of the pivot's row from the elements below it, each from every 64th of them. The grid is
// one-dimensional, folded into y.

const LANES: u32 = 64u;

struct Params {
    extent: u32, // rows and columns
    matrices: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> matrices: array<f32>;           // [matrices, extent, extent]
@group(0) @binding(2) var<storage, read_write> determinants: array<f32>; // [matrices]
@group(0) @binding(3) var<storage, read_write> work: array<f32>;         // [matrices, extent, extent]

// The greatest element that each lane found in the column, and its row.
var<workgroup> greatest: array<f32, LANES>;
var<workgroup> found: array<u32, LANES>;
var<workgroup> pivot_row: u32;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let matrix = group.x + group.y * groups.x;
    // None for workgroups past the last matrix.
    let extent = select(0u, params.extent, matrix < params.matrices);
    let start = matrix * extent * extent;
    for (var at = lane; at < extent * extent; at += LANES) {
        work[start + at] = matrices[start + at];
    }
    storageBarrier();
    var product = 1.0;
    for (var k = 0u; k < extent; k++) {
        var most = -1.0;
        var row_of_most = k;
        for (var row = k + lane; row < extent; row += LANES) {
            let size = abs(work[start + row * extent + k]);
            // A NaN is taken too: it belongs in the result.
            if !(size <= most) {
                most = size;
                row_of_most = row;
            }
        }
        greatest[lane] = most;
        found[lane] = row_of_most;
        workgroupBarrier();
        if lane == 0u {
            for (var other = 1u; other < LANES; other++) {
                if !(greatest[other] <= most) {
                    most = greatest[other];
                    row_of_most = found[other];
                }
            }
            pivot_row = row_of_most;
        }
        let pivot = workgroupUniformLoad(&pivot_row);
        if pivot != k {
            product = -product;
            for (var column = k + lane; column < extent; column += LANES) {
                let above = work[start + k * extent + column];
                work[start + k * extent + column] = work[start + pivot * extent + column];
                work[start + pivot * extent + column] = above;
            }
        }
        storageBarrier();
        let divisor = work[start + k * extent + k];
        product *= divisor;
        // Below a pivot of zero all is zero already.
        if divisor != 0.0 {
            let below = extent - k - 1u;
            for (var at = lane; at < below * below; at += LANES) {
                let row = start + (k + 1u + at / below) * extent;
                let column = k + 1u + at % below;
                work[row + column] -= work[row + k] / divisor * work[start + k * extent + column];
            }
        }
        storageBarrier();
    }
    if lane == 0u && matrix < params.matrices {
        determinants[matrix] = product;
    }
}
