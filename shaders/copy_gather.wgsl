// Strided copy where only the destination has four neighbours in a row: destination[to(i)] = four elements of source,
// one inner stride apart, for i = 0 .. count groups of four.
//
// One group per invocation, numbered row-major over the joined axes; the grid is one-dimensional, folded into y. The
// innermost extent counts groups; source strides count elements, destination strides groups.

override AXES: u32;

struct Params {
    extents: array<vec4<u32>, 2>,
    from_strides: array<vec4<i32>, 2>,
    to_strides: array<vec4<i32>, 2>,
    from_offset: i32,
    to_offset: i32,
    count: u32,
    inner: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> destination: array<vec4<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let inner = params.from_strides[(AXES - 1u) / 4u][(AXES - 1u) % 4u];
    var source_index = params.from_offset;
    var destination_index = params.to_offset;
    var rest = index;
    var group = 4 * inner;
    for (var axis = AXES - 1u; axis > 0u; axis -= 1u) {
        let extent = params.extents[axis / 4u][axis % 4u];
        let next = divide(rest, extent);
        let step = i32(rest - next * extent);
        source_index += step * group;
        destination_index += step * params.to_strides[axis / 4u][axis % 4u];
        rest = next;
        group = params.from_strides[(axis - 1u) / 4u][(axis - 1u) % 4u];
    }
    source_index += i32(rest) * group;
    destination_index += i32(rest) * params.to_strides[0].x;
    destination[destination_index] = vec4<u32>(
        source[source_index],
        source[source_index + inner],
        source[source_index + 2 * inner],
        source[source_index + 3 * inner],
    );
}
