// Takes reduce_sets (load_position, set_start); number_f32 or number_i32 or number_u32; perhaps number_integer; fold
// (fold_start); load1 or load4 or load4_floats; sets_single or sets_four (SETS_OF_LOAD, States, fold_sets); emit_float or
// emit_integer or emit_state (emit); perhaps four_vectors or four_words; perhaps an epilogue.
// Reduces sets of values, one invocation for one set, or four neighbouring ones, and chunk of them. For sets that lie side by
// side in memory, so that neighbouring invocations read neighbouring values, and for short ones.

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    // Chunks outermost: neighbouring invocations work on neighbouring sets.
    let number = invocation.x + invocation.y * groups.x * 64u;
    let loads = params.outputs / SETS_OF_LOAD;
    if number >= loads * params.chunks {
        return;
    }
    let part = number / loads;
    let output = (number - part * loads) * SETS_OF_LOAD;
    let start = set_start(output);
    let first = part * params.chunk;
    let last = min(first + params.chunk, params.loads);
    var states: States;
    for (var k = 0u; k < SETS_OF_LOAD; k++) {
        states[k] = fold_start();
    }
    for (var load = first; load < last; load++) {
        fold_sets(&states, start + load_position(load));
    }
    for (var k = 0u; k < SETS_OF_LOAD; k++) {
        emit((output + k) * params.chunks + part, states[k]);
    }
}
