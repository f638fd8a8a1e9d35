// Takes number_f32 or number_i32 (Number); perhaps number_integer (number_is_nan).
// ArgMax and ArgMin: the index along an axis at which the greatest or least value stands.
//
// LANES neighbouring invocations share a row (1 where rows lie side by side or are many), so a workgroup serves
// 64 / LANES rows. The values of a row stand `stride` apart. A NaN beats every number.
const WORKGROUP: u32 = 64u;
override LANES: u32;
override GREATEST: bool;
override LAST: bool; // of equal values the last counts

struct Params {
    rows: u32,
    length: u32,
    stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Number>; // [rows / stride, length, stride]
@group(0) @binding(2) var<storage, read_write> y: array<i32>; // [rows]

var<workgroup> values: array<Number, WORKGROUP>;
var<workgroup> indices: array<u32, WORKGROUP>;

// True when candidate `a` replaces the best so far, `b`.
fn beats(a: Number, a_index: u32, b: Number, b_index: u32) -> bool {
    let a_nan = number_is_nan(a);
    let b_nan = number_is_nan(b);
    if a == b || a_nan && b_nan {
        return (a_index > b_index) == LAST;
    }
    return !b_nan && (a_nan || (a > b) == GREATEST);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = (group.x + group.y * groups.x) * (WORKGROUP / LANES) + local / LANES;
    let lane = local % LANES;
    let inside = row < params.rows;
    let start = row / params.stride * params.length * params.stride + row % params.stride;
    // A lane with nothing to look at repeats the first value, which changes nothing.
    var best_index = 0u;
    var best = Number(0);
    if inside {
        best = x[start];
        for (var k = lane; k < params.length; k += LANES) {
            let value = x[start + k * params.stride];
            if beats(value, k, best, best_index) {
                best = value;
                best_index = k;
            }
        }
    }
    if LANES > 1u {
        values[local] = best;
        indices[local] = best_index;
        for (var width = LANES / 2u; width > 0u; width /= 2u) {
            workgroupBarrier();
            if lane < width {
                let other = values[local + width];
                let other_index = indices[local + width];
                if beats(other, other_index, values[local], indices[local]) {
                    values[local] = other;
                    indices[local] = other_index;
                }
            }
        }
        best_index = indices[local];
    }
    if inside && lane == 0u {
        y[row] = i32(best_index);
    }
}
