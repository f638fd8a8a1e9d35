// Rows of an image under the windows of four outputs, for adapters where a load costs more than an exchange within the subgroup:
// neighbouring lanes own neighbouring columns, load each of them once, and ask their neighbours for those beside. A workgroup is
// one subgroup of `const LANES`. Its lanes are numbered by the subgroup, since a compiler that knows a lane's number when it
// compiles moves values between lanes in one instruction, and else lane by lane.
//
// The first and the last lane lack a neighbour, and so store nothing except where a row begins and ends: the subgroups of a
// row overlap by two lanes.

// Input columns of one lane.
const OWN: u32 = 4u * STRIDE_WIDTH;

// Lanes that a row takes: as many as its outputs and its inputs ask for.
fn across() -> u32 {
    return max(quads(), (params.input_width + OWN - 1u) / OWN);
}

// The grid runs over subgroups of a row, segments and planes.
@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let quad = workgroup.x * (LANES - 2u) + lane;
    let between = (lane > 0u || quad == 0u) && (lane < LANES - 1u || quad == across() - 1u);
    run(Place(workgroup.z, workgroup.y, quad, between && quad < quads()), lane);
}

// Parameters are read before any branch: a compiler then reads them once for all rows of a loop.
fn load_row(plane: u32, y: u32, quad: u32, lane: u32) -> Row {
    let width = params.input_width;
    let last = across() - 1u;
    let before = (lane + LANES - 1u) % LANES;
    let behind = (lane + 1u) % LANES;
    var own: array<vec4<f32>, STRIDE_WIDTH>;
    for (var i = 0u; i < STRIDE_WIDTH; i++) {
        own[i] = vec4(0.0);
        if y < params.input_height {
            own[i] = load_four(plane * params.input_height + y, (quad * STRIDE_WIDTH + i) * 4u, width);
        }
    }
    var row: Row;
    for (var i = 0u; i < COLUMNS; i++) {
        // Counted from the first column of the lane before.
        let column = i + OWN - BEGIN_WIDTH;
        let value = own[column % OWN / 4u][column % 4u];
        if column < OWN {
            row[i] = select(subgroupShuffle(value, before), 0.0, quad == 0u);
        } else if column < 2u * OWN {
            row[i] = value;
        } else {
            row[i] = select(subgroupShuffle(value, behind), 0.0, quad >= last);
        }
    }
    return row;
}
