// Takes reduce_sets (load_position, set_start); number_f32 or number_i32 or number_u32; perhaps number_integer; fold
// (fold_start); load1 (fold_load); emit_float or emit_integer or emit_state (emit); perhaps an epilogue.
// Reduces sets of values, one invocation per set and chunk of it. For sets that lie side by side in memory, so that
// neighbouring invocations read neighbouring values, and for short ones.

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
