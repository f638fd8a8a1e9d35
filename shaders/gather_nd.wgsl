// GatherND: picked[batch, row, inner] = data[batch, tuple of indices[batch, row], inner]. Indices count from the end when
// negative and are clamped to their axes.
//
// One element (width1) or four neighbours (width4) per invocation, numbered row-major over the output; the grid is
// one-dimensional, folded into y. `strides`, `batch_stride`, `inner` and `count` count elements of that size.

struct Params {
    extents: array<vec4<u32>, 2>,
    strides: array<vec4<u32>, 2>,
    depth: u32,
    rows: u32,
    batch_stride: u32,
    inner: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<Uint>;
@group(0) @binding(2) var<storage, read> indices: array<i32>;       // batch, rows, depth
@group(0) @binding(3) var<storage, read_write> picked: array<Uint>; // batch, rows, inner

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    let row = divide(place, params.inner);
    let slice = divide(row, params.rows) * params.batch_stride + tuple_position(row);
    picked[place] = data[slice + place - row * params.inner];
}
