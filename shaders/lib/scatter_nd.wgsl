// What both kernels of ScatterND share: parameters and bindings. A `Uint` is an element, or four neighbours. The output holds the
// data already.

struct Params {
    extents: array<vec4<u32>, 2>, // of the axes that tuples point into
    strides: array<vec4<u32>, 2>,
    depth: u32, // indices of a tuple
    inner: u32, // elements of a slice
    first: u32,
    end: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<i32>;  // rows, depth
@group(0) @binding(2) var<storage, read> updates: array<Uint>; // rows, inner
@group(0) @binding(3) var<storage, read_write> scattered: array<Uint>;
