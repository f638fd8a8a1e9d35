// Softmax or LogSoftmax of rows that lie in one piece, each short enough for the registers of its workgroup.
//
// One workgroup per row. Lane `l` holds groups of WIDTH values `l`, `l + WORKGROUP`, ... of the row; memory is read once.
// `const COLUMNS` is the number of such groups in a row, `const HELD` how many of them a lane holds at most. A prelude binds x.
override LOGARITHM: bool;

struct Params {
    rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> y: array<Float>; // [rows, COLUMNS]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.x + group.y * groups.x;
    if row >= params.rows {
        return;
    }
    let start = row * COLUMNS + lane;
    var held: array<Float, HELD>;
    var most = Float(LOWEST);
    for (var k = 0u; k < HELD; k++) {
        if k < COLUMNS / WORKGROUP || k * WORKGROUP + lane < COLUMNS {
            held[k] = x_at(start + k * WORKGROUP);
            most = max(most, held[k]);
        }
    }
    let peak = reduce_max(max_of(most), lane);
    var sums = Float(0.0);
    for (var k = 0u; k < HELD; k++) {
        if k < COLUMNS / WORKGROUP || k * WORKGROUP + lane < COLUMNS {
            let below = held[k] - peak;
            let power = exp(below);
            sums += power;
            held[k] = select(power, below, LOGARITHM);
        }
    }
    let total = reduce_sum(sum_of(sums), lane);
    let factor = 1.0 / total;
    let shift = log(total);
    for (var k = 0u; k < HELD; k++) {
        if k < COLUMNS / WORKGROUP || k * WORKGROUP + lane < COLUMNS {
            let at = start + k * WORKGROUP;
            y[at] = epilogue(select(held[k] * factor, held[k] - shift, LOGARITHM), at);
        }
    }
}
