// GatherElements: picked[i] = data[i with the index along one axis replaced by indices[i]]. Indices count from the end
// when negative and are clamped to the axis.
//
// One element per invocation, numbered row-major over the indices; the grid is one-dimensional, folded into y. `strides`
// are those of the data, 0 for the indexed axis.

override AXES: u32;

struct Params {
    extents: array<vec4<u32>, 2>,
    strides: array<vec4<u32>, 2>,
    axis_extent: u32,
    axis_stride: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<i32>;      // extents
@group(0) @binding(3) var<storage, read_write> picked: array<u32>; // extents

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    var position = clamped_index(indices[place], params.axis_extent) * params.axis_stride;
    var rest = place;
    for (var axis = AXES - 1u; axis > 0u; axis -= 1u) {
        let next = divide(rest, params.extents[axis / 4u][axis % 4u]);
        position += (rest - next * params.extents[axis / 4u][axis % 4u]) * params.strides[axis / 4u][axis % 4u];
        rest = next;
    }
    picked[place] = data[position + rest * params.strides[0].x];
}
