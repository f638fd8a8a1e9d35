// What both kernels of ScatterElements share: parameters, bindings, and what an index names. Wants `INDEX`.
//
// Indices and updates have one shape, `update_extents`. The output has shape `extents` and holds the data already.

override AXES: u32;

struct Params {
    extents: array<vec4<u32>, 2>,
    update_extents: array<vec4<u32>, 2>,
    strides: array<vec4<u32>, 2>, // of what the invocations do not run over
    axis: u32, // along which the indices point
    first: u32,
    end: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<i32>;         // update_extents
@group(0) @binding(2) var<storage, read> updates: array<u32>;         // update_extents
@group(0) @binding(3) var<storage, read_write> scattered: array<u32>; // extents

// Where along the axis update `place` goes.
fn named_index(place: u32) -> u32 {
    return clamped_index(indices[place], params.extents[params.axis / 4u][params.axis % 4u]);
}
