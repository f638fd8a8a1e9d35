// Strided copy: destination[to(i)] = source[from(i)] for all i of the joined axes.
//
// RUN neighbours along the innermost axis per invocation, each one element (width1) or four (width4); runs are numbered
// row-major, the grid is one-dimensional, folded into y. Every four-byte scalar is moved as u32. The innermost of
// `extents` counts runs, `inner` elements.

override AXES: u32;
override RUN: u32;

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
@group(0) @binding(1) var<storage, read> source: array<Uint>;
@group(0) @binding(2) var<storage, read_write> destination: array<Uint>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let last = AXES - 1u;
    let load_step = params.from_strides[last / 4u][last % 4u];
    let store_step = params.to_strides[last / 4u][last % 4u];
    var rest = divide(index, params.extents[last / 4u][last % 4u]);
    let first = (index - rest * params.extents[last / 4u][last % 4u]) * RUN;
    var load_at = params.from_offset + i32(first) * load_step;
    var store_at = params.to_offset + i32(first) * store_step;
    for (var k = last; k > 0u; k -= 1u) {
        let axis = k - 1u;
        var next = 0u;
        if axis > 0u {
            next = divide(rest, params.extents[axis / 4u][axis % 4u]);
        }
        let step = i32(rest - next * params.extents[axis / 4u][axis % 4u]);
        load_at += step * params.from_strides[axis / 4u][axis % 4u];
        store_at += step * params.to_strides[axis / 4u][axis % 4u];
        rest = next;
    }
    for (var k = 0u; k < RUN; k += 1u) {
        if first + k < params.inner {
            destination[store_at + i32(k) * store_step] = source[load_at + i32(k) * load_step];
        }
    }
}
