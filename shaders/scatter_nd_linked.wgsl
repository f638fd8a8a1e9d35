// Takes combine (combine).
// ScatterND with a reduction, of updates that are chained by the slice that they go to: each slice that has some is combined with all of
// them, in order, in an output that holds the data already.
//
// One element of the updates per invocation, numbered row-major, of which those of the first update of a slice walk along its chain; the grid is
// one-dimensional, folded into y.

struct Params {
    inner: u32, // elements of a slice
    rows: u32,
    count: u32, // elements of the updates
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> links: array<vec2<u32>>; // rows: start of the slice, next row and whether it is the first
@group(0) @binding(2) var<storage, read> updates: array<u32>;     // rows, inner
@group(0) @binding(3) var<storage, read_write> scattered: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    var row = place / params.inner;
    let inner = place - row * params.inner;
    var link = links[row];
    if (link.y & 0x80000000u) == 0u {
        return;
    }
    let target_place = link.x + inner;
    var value = scattered[target_place];
    loop {
        value = combine(value, updates[row * params.inner + inner]);
        row = link.y & 0x7fffffffu;
        if row >= params.rows {
            break;
        }
        link = links[row];
    }
    scattered[target_place] = value;
}
