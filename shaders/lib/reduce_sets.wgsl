// What the kernels share that read sets of values: parameters, the input, and where sets and their values stand. Set `output` begins
// where the kept axes put it, and the reduced axes lead from there to its values. Wants a load prelude.
override KEPT: u32;
override REDUCED: u32;

struct Params {
    kept_extents: array<vec4<u32>, 2>,
    kept_strides: array<vec4<u32>, 2>,
    reduced_extents: array<vec4<u32>, 2>,
    reduced_strides: array<vec4<u32>, 2>, // all strides counted in loads
    outputs: u32,
    count: u32, // values of a set
    loads: u32, // loads of a set
    chunk: u32, // loads of a chunk
    chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Load>;

fn set_start(output: u32) -> u32 {
    var rest = output;
    var position = 0u;
    for (var axis = KEPT; axis > 0u; axis--) {
        let extent = params.kept_extents[(axis - 1u) / 4u][(axis - 1u) % 4u];
        position += rest % extent * params.kept_strides[(axis - 1u) / 4u][(axis - 1u) % 4u];
        rest /= extent;
    }
    return position;
}

fn load_position(load: u32) -> u32 {
    if REDUCED == 1u {
        return load * params.reduced_strides[0].x;
    }
    var rest = load;
    var position = 0u;
    for (var axis = REDUCED; axis > 0u; axis--) {
        let extent = params.reduced_extents[(axis - 1u) / 4u][(axis - 1u) % 4u];
        position += rest % extent * params.reduced_strides[(axis - 1u) / 4u][(axis - 1u) % 4u];
        rest /= extent;
    }
    return position;
}
