// Reduces sets of values, one workgroup per set and chunk of it: lane `l` folds in values `l`, `l + WORKGROUP`, ... of the chunk,
// then the lanes join their states. For sets whose neighbours in memory belong together.
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

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group.x + group.y * groups.x;
    if number >= params.outputs * params.chunks {
        return;
    }
    let start = set_start(number / params.chunks);
    let first = number % params.chunks * params.chunk;
    let last = min(first + params.chunk, params.loads);
    var state = fold_start();
    for (var load = first + lane; load < last; load += WORKGROUP) {
        state = fold_load(state, x[start + load_position(load)]);
    }
    state = fold_workgroup(state, lane);
    if lane == 0u {
        emit(number, state);
    }
}
