// MaxPool with indices over up to three spatial axes, one output element per invocation: the largest value under the
// window and where it stands in the whole input, the first of equals.
//
// Invocations are numbered row-major over the output; the grid is one-dimensional, folded into y.

// 1: positions within a plane count the first spatial axis fastest, 0: the last.
override COLUMN_MAJOR: u32;

struct Params {
    input_extents: vec4<u32>, // depth, height, width, 1
    output_extents: vec4<u32>,
    kernel_extents: vec4<u32>,
    strides: vec4<u32>,
    dilations: vec4<u32>,
    begins: vec4<i32>,
    padded_extents: vec4<i32>,
    count: u32, // output elements
    power: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [planes, depth, height, width]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [planes, output extents]
@group(0) @binding(3) var<storage, read_write> indices: array<i32>; // [planes, output extents]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let out = params.output_extents;
    let line = index / out.z;
    let slice = line / out.y;
    let plane = slice / out.x;
    let place = vec3(slice - plane * out.x, line - slice * out.y, index - line * out.z);

    let extent = vec3<i32>(params.input_extents.xyz);
    let corner = vec3<i32>(place * params.strides.xyz) - params.begins.xyz;
    let taps = params.kernel_extents.xyz;
    let start = i32(plane) * extent.x * extent.y * extent.z;
    var largest = 0.0;
    var position = vec3(0);
    var found = false;
    for (var i = 0u; i < taps.x; i++) {
        for (var j = 0u; j < taps.y; j++) {
            for (var k = 0u; k < taps.z; k++) {
                let at = corner + vec3<i32>(vec3(i, j, k) * params.dilations.xyz);
                if all(at >= vec3(0)) && all(at < extent) {
                    let value = x[start + (at.x * extent.y + at.y) * extent.z + at.z];
                    if !found || value > largest {
                        largest = value;
                        position = at;
                        found = true;
                    }
                }
            }
        }
    }
    let rows = (position.x * extent.y + position.y) * extent.z + position.z;
    let columns = (position.z * extent.y + position.y) * extent.x + position.x;
    indices[index] = start + select(rows, columns, COLUMN_MAJOR == 1u);
    y[index] = epilogue(largest, index);
}
