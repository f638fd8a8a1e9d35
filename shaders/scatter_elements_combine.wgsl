// ScatterElements with a reduction: each element of the output, which holds the data already, is combined with the
// updates first .. end along the axis whose index names it. Indices count from the end when negative and are clamped.
//
// One element of the output per invocation, numbered row-major; the grid is one-dimensional, folded into y. Updates are
// taken in order, so the result is the same in every run. `strides` are those of the updates.

override AXES: u32;

struct Params {
    extents: array<vec4<u32>, 2>,
    update_extents: array<vec4<u32>, 2>,
    strides: array<vec4<u32>, 2>,
    axis: u32,
    first: u32,
    end: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<i32>;         // update_extents
@group(0) @binding(2) var<storage, read> updates: array<u32>;         // update_extents
@group(0) @binding(3) var<storage, read_write> scattered: array<u32>; // extents

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    var start = 0u;
    var along = 0;
    var reached = true;
    var rest = place;
    for (var k = AXES; k > 0u; k -= 1u) {
        let axis = k - 1u;
        let next = rest / params.extents[axis / 4u][axis % 4u];
        let own = rest - next * params.extents[axis / 4u][axis % 4u];
        if axis == params.axis {
            along = i32(own);
        } else {
            reached = reached && own < params.update_extents[axis / 4u][axis % 4u];
            start += own * params.strides[axis / 4u][axis % 4u];
        }
        rest = next;
    }
    if !reached {
        return;
    }
    let extent = i32(params.extents[params.axis / 4u][params.axis % 4u]);
    let stride = params.strides[params.axis / 4u][params.axis % 4u];
    var value = scattered[place];
    for (var k = params.first; k < params.end; k += 1u) {
        let index = indices[start + k * stride];
        if clamp(select(index, index + extent, index < 0), 0, extent - 1) == along {
            value = combine(value, updates[start + k * stride]);
        }
    }
    scattered[place] = value;
}
