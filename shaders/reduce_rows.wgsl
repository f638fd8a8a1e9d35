// Takes reduce_sets (load_position, set_start); number_f32 or number_i32 or number_u32; perhaps number_integer; fold
// (fold_start); load1 or load4 or load4_floats (fold_load); fold_shared or fold_subgroup (fold_workgroup); emit_float or
// emit_integer or emit_state (emit); perhaps four_vectors or four_words; perhaps an epilogue.
// Reduces sets of values, one workgroup per set and chunk of it: lane `l` folds in values `l`, `l + WORKGROUP`, ... of the chunk,
// then the lanes join their states. For sets whose neighbours in memory belong together.

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
