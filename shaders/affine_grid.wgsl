// The points of an image under affine maps: each pixel's centre, from -1 to 1 along each axis, times a matrix, plus a shift.
//
// One point per invocation, numbered row-major over batch, depth, rows and columns; the grid is one-dimensional, folded into y.

override SPATIAL: u32; // 2 or 3 axes
override ALIGN_CORNERS: u32; // 1 where -1 and 1 are the centres of the outermost pixels, and not their outer borders

struct Params {
    depth: u32,
    height: u32,
    width: u32,
    points: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> maps: array<f32>;         // [batch, SPATIAL, SPATIAL + 1]
@group(0) @binding(2) var<storage, read_write> points: array<f32>; // [batch, depth, height, width, SPATIAL]

// Where the centre of a pixel lies along an axis of so many; the only one of an axis at -1 where corners are aligned.
fn centre(pixel: u32, extent: u32) -> f32 {
    if ALIGN_CORNERS == 1u {
        return 2.0 * f32(pixel) / f32(max(extent, 2u) - 1u) - 1.0;
    }
    return f32(2u * pixel + 1u) / f32(extent) - 1.0;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let point = id.x + id.y * groups.x * 64u;
    if point >= params.points {
        return;
    }
    let line = point / params.width;
    let plane = line / params.height;
    let batch = plane / params.depth;
    let centres = vec4(
        centre(point - line * params.width, params.width),
        centre(line - plane * params.height, params.height),
        centre(plane - batch * params.depth, params.depth),
        1.0,
    );
    for (var row = 0u; row < SPATIAL; row++) {
        let map = (batch * SPATIAL + row) * (SPATIAL + 1u);
        var sum = maps[map + SPATIAL];
        for (var axis = 0u; axis < SPATIAL; axis++) {
            sum += maps[map + axis] * centres[axis];
        }
        points[point * SPATIAL + row] = sum;
    }
}
