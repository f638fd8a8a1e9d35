// Strided copy: destination[to(i)] = source[from(i)] for i = 0 .. count.
//
// One element (width1) or four neighbours (width4) per invocation, numbered row-major over the joined axes; the grid is
// one-dimensional, folded into y. Every four-byte scalar is moved as u32.

override AXES: u32;

struct Params {
    extents: array<vec4<u32>, 2>,
    from_strides: array<vec4<i32>, 2>,
    to_strides: array<vec4<i32>, 2>,
    from_offset: i32,
    to_offset: i32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<Uint>;
@group(0) @binding(2) var<storage, read_write> destination: array<Uint>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    var source_index = params.from_offset;
    var destination_index = params.to_offset;
    var rest = index;
    for (var axis = AXES - 1u; axis > 0u; axis -= 1u) {
        let extent = params.extents[axis / 4u][axis % 4u];
        let next = divide(rest, extent);
        let step = i32(rest - next * extent);
        source_index += step * params.from_strides[axis / 4u][axis % 4u];
        destination_index += step * params.to_strides[axis / 4u][axis % 4u];
        rest = next;
    }
    source_index += i32(rest) * params.from_strides[0].x;
    destination_index += i32(rest) * params.to_strides[0].x;
    destination[destination_index] = source[source_index];
}
