// The upper or lower triangle of matrices, zero elsewhere.
//
// One element per invocation, numbered row-major; the grid is one-dimensional, folded into y.

override UPPER: u32;

struct Params {
    rows: u32,
    columns: u32,
    count: u32,
    diagonal: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<u32>;           // batch, rows, columns
@group(0) @binding(2) var<storage, read_write> triangle: array<u32>; // batch, rows, columns

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    let row = place / params.columns;
    let offset = i32(place - row * params.columns) - i32(row % params.rows);
    let kept = select(offset <= params.diagonal, offset >= params.diagonal, UPPER != 0u);
    triangle[place] = select(0u, data[place], kept);
}
