// ScatterElements without a reduction: scattered[i with the index along one axis replaced by indices[i]] = updates[i], in
// an output that holds the data already. Indices count from the end when negative and are clamped to the axis.
//
// One update per invocation, numbered row-major; the grid is one-dimensional, folded into y. `extents` and `strides` are
// those of the output.

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
    let extent = i32(params.extents[params.axis / 4u][params.axis % 4u]);
    var index = indices[place];
    index = clamp(select(index, index + extent, index < 0), 0, extent - 1);
    var target_place = 0u;
    var rest = place;
    for (var k = AXES; k > 0u; k -= 1u) {
        let axis = k - 1u;
        let next = rest / params.update_extents[axis / 4u][axis % 4u];
        let own = rest - next * params.update_extents[axis / 4u][axis % 4u];
        target_place += select(own, u32(index), axis == params.axis) * params.strides[axis / 4u][axis % 4u];
        rest = next;
    }
    scattered[target_place] = updates[place];
}
