// Reduces sets of values, one invocation per set and chunk of it. For sets that lie side by side in memory, so that
// neighbouring invocations read neighbouring values, and for short ones.
//
// Set `output` begins where the kept axes put it, and the reduced axes lead from there to its values.
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

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    // Chunks outermost: neighbouring invocations work on neighbouring sets.
    let number = invocation.x + invocation.y * groups.x * 64u;
    if number >= params.outputs * params.chunks {
        return;
    }
    let output = number % params.outputs;
    let part = number / params.outputs;
    let start = set_start(output);
    let first = part * params.chunk;
    let last = min(first + params.chunk, params.loads);
    var state = fold_start();
    for (var load = first; load < last; load++) {
        state = fold_load(state, x[start + load_position(load)]);
    }
    emit(output * params.chunks + part, state);
}
