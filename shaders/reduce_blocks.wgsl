// Takes reduce_sets (load_position, set_start); number_f32 or number_i32 or number_u32 (Number); fold (fold_join, fold_start);
// load1 (fold_load); emit_float or emit_integer (emit); perhaps number_integer; perhaps an epilogue.
// Reduces sets of values that lie side by side in memory, where there are too few of them for an invocation each: a workgroup for sixteen
// neighbouring sets, its lanes sixteen to a set, strided over the set and joined through workgroup memory.
const SETS: u32 = 16u;
const LANES: u32 = 16u; // of a set

var<workgroup> block_scratch: array<vec2<Number>, 256>; // [LANES, SETS]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let output = (group.x + group.y * groups.x) * SETS + lane % SETS;
    let is_set = output < params.outputs;
    var state = fold_start();
    if is_set {
        let start = set_start(output);
        for (var load = lane / SETS; load < params.loads; load += LANES) {
            state = fold_load(state, x[start + load_position(load)]);
        }
    }
    block_scratch[lane] = state;
    for (var width = LANES / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width * SETS {
            block_scratch[lane] = fold_join(block_scratch[lane], block_scratch[lane + width * SETS]);
        }
    }
    if lane < SETS && is_set {
        emit(output, block_scratch[lane]);
    }
}
