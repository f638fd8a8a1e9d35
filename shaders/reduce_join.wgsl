// Takes number_f32 or number_i32 (Number); perhaps number_integer; fold (fold_join, fold_start); fold_shared or fold_subgroup
// (fold_workgroup); emit_float or emit_integer (emit); perhaps an epilogue.
// Second of two kernels that reduce large sets: joins the states of all chunks of a set, one workgroup per set.
struct Params {
    outputs: u32,
    count: u32, // values of a set
    chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<vec2<Number>>; // [outputs, chunks]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group.x + group.y * groups.x;
    if number >= params.outputs {
        return;
    }
    var state = fold_start();
    for (var part = lane; part < params.chunks; part += WORKGROUP) {
        state = fold_join(state, parts[number * params.chunks + part]);
    }
    state = fold_workgroup(state, lane);
    if lane == 0u {
        emit(number, state);
    }
}
