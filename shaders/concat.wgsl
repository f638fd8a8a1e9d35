// Takes divide (divide); width1 or width4 (Uint).
// Up to four matrices of equally many rows side by side, written into columns offset .. offset + width of the output.
//
// One element (width1) or four neighbours (width4) per invocation, numbered row-major over the columns written; the grid
// is one-dimensional, folded into y. All widths count elements of that size. An input of width 0 is not read.

struct Params {
    widths: array<vec4<u32>, 1>,
    rows: u32,
    width: u32,
    stride: u32,
    offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> first: array<Uint>;  // rows, widths.x
@group(0) @binding(2) var<storage, read> second: array<Uint>; // rows, widths.y
@group(0) @binding(3) var<storage, read> third: array<Uint>;  // rows, widths.z
@group(0) @binding(4) var<storage, read> fourth: array<Uint>; // rows, widths.w
@group(0) @binding(5) var<storage, read_write> joined: array<Uint>; // rows, stride

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.rows * params.width {
        return;
    }
    let row = divide(index, params.width);
    let column = index - row * params.width;
    let widths = params.widths[0];
    let second_start = widths.x;
    let third_start = second_start + widths.y;
    let fourth_start = third_start + widths.z;
    var value: Uint;
    if column < second_start {
        value = first[row * widths.x + column];
    } else if column < third_start {
        value = second[row * widths.y + column - second_start];
    } else if column < fourth_start {
        value = third[row * widths.z + column - third_start];
    } else {
        value = fourth[row * widths.w + column - fourth_start];
    }
    joined[row * params.stride + params.offset + column] = value;
}
