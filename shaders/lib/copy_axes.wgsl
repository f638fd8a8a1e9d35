// What the copy kernels share: their parameters, and where a walk over the outer axes leads in source and destination.
override AXES: u32;

struct Params {
    extents: array<vec4<u32>, 2>,
    from_strides: array<vec4<i32>, 2>,
    to_strides: array<vec4<i32>, 2>,
    from_offset: i32,
    to_offset: i32,
    from_step: i32, // from one to the next of the neighbours that an invocation copies
    to_step: i32,
    count: u32, // of what the grid is made of
    inner: u32, // elements along the innermost axis
}

@group(0) @binding(0) var<uniform> params: Params;

fn extent_of(axis: u32) -> u32 {
    return params.extents[axis / 4u][axis % 4u];
}

// How often a walk over all axes has come to the end of the innermost one after `number` steps.
fn row_of(number: u32) -> u32 {
    if AXES == 1u {
        return 0u;
    }
    return divide(number, extent_of(AXES - 1u));
}

// Where source (x) and destination (y) stand after `number` steps of a row-major walk over the first `axes` axes.
fn places(axes: u32, number: u32) -> vec2<i32> {
    var load_at = params.from_offset;
    var store_at = params.to_offset;
    var rest = number;
    for (var k = axes; k > 0u; k -= 1u) {
        let axis = k - 1u;
        var next = 0u;
        if axis > 0u {
            next = divide(rest, extent_of(axis));
        }
        let step = i32(rest - next * extent_of(axis));
        load_at += step * params.from_strides[axis / 4u][axis % 4u];
        store_at += step * params.to_strides[axis / 4u][axis % 4u];
        rest = next;
    }
    return vec2<i32>(load_at, store_at);
}
