// Pad: padded[i] = data[source(i - before)], or a constant outside of the data.
//
// RUN neighbours along the innermost axis per invocation, numbered row-major over the output's axes (those that are not
// padded joined); the grid is one-dimensional, folded into y. `strides` are those of the data, `count` counts runs.

override AXES: u32;
override RUN: u32;
override MODE: u32; // 0: constant, 1: reflect, 2: edge, 3: wrap

struct Params {
    extents: array<vec4<u32>, 2>,
    source_extents: array<vec4<i32>, 2>,
    strides: array<vec4<u32>, 2>,
    before: array<vec4<i32>, 2>,
    count: u32,
    fill: u32,
    fill_is_input: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read> fill: array<u32>; // 1; not read where the constant is a parameter
@group(0) @binding(3) var<storage, read_write> padded: array<u32>;

// Where the element stands along an axis of the data; outside of it for the constant.
fn source(index: i32, extent: i32) -> i32 {
    switch MODE {
        case 1u: {
            let period = max(2 * (extent - 1), 1);
            var phase = index % period;
            phase = select(phase, phase + period, phase < 0);
            return select(min(phase, period - phase), 0, extent == 1);
        }
        case 2u: { return clamp(index, 0, extent - 1); }
        case 3u: {
            let phase = index % extent;
            return select(phase, phase + extent, phase < 0);
        }
        default: { return index; }
    }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let last = AXES - 1u;
    let extent = params.extents[last / 4u][last % 4u];
    let runs = (extent + RUN - 1u) / RUN;
    let row = divide(index, runs);
    let first = (index - row * runs) * RUN;
    var rest = row;
    var start = 0u;
    var row_inside = true;
    for (var k = last; k > 0u; k -= 1u) {
        let axis = k - 1u;
        var next = 0u;
        if axis > 0u {
            next = divide(rest, params.extents[axis / 4u][axis % 4u]);
        }
        let source_extent = params.source_extents[axis / 4u][axis % 4u];
        let step = i32(rest - next * params.extents[axis / 4u][axis % 4u]);
        let place = source(step - params.before[axis / 4u][axis % 4u], source_extent);
        row_inside = row_inside && place >= 0 && place < source_extent;
        start += u32(place) * params.strides[axis / 4u][axis % 4u];
        rest = next;
    }
    var constant = params.fill;
    if params.fill_is_input != 0u {
        constant = fill[0];
    }
    let source_extent = params.source_extents[last / 4u][last % 4u];
    for (var k = 0u; k < RUN; k += 1u) {
        if first + k < extent {
            let place = source(i32(first + k) - params.before[last / 4u][last % 4u], source_extent);
            var value = constant;
            if row_inside && place >= 0 && place < source_extent {
                value = data[start + u32(place) * params.strides[last / 4u][last % 4u]];
            }
            padded[row * extent + first + k] = value;
        }
    }
}
