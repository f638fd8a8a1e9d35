// Strided copy: destination[to(i)] = source[from(i)] for all i of the joined axes.
//
// RUN neighbours along the innermost axis per invocation, each one element (width1) or four (width4); runs are numbered
// row-major, the grid is one-dimensional, folded into y. Every four-byte scalar is moved as u32. The innermost of
// `extents` counts runs.

override RUN: u32;

@group(0) @binding(1) var<storage, read> source: array<Uint>;
@group(0) @binding(2) var<storage, read_write> destination: array<Uint>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let row = row_of(index);
    let first = (index - row * extent_of(AXES - 1u)) * RUN;
    let start = places(AXES - 1u, row);
    let load_at = start.x + i32(first) * params.from_step;
    let store_at = start.y + i32(first) * params.to_step;
    for (var k = 0u; k < RUN; k += 1u) {
        if first + k < params.inner {
            destination[store_at + i32(k) * params.to_step] = source[load_at + i32(k) * params.from_step];
        }
    }
}
