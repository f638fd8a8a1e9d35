// Takes reduce_sets (load_position, set_start); number_f32 or number_i32 or number_u32 (Number); fold (fold_join, fold_start);
// load1 or load4_floats; sets_single or sets_four (SETS_OF_LOAD, States, fold_sets); emit_float or emit_integer (emit); perhaps
// number_integer; perhaps an epilogue.
// Reduces sets of values that lie side by side in memory, where there are too few of them for an invocation each: a workgroup for sixteen
// neighbouring sets, its lanes so many to what a load reads, strided over the sets and joined through workgroup memory.
const LOADS: u32 = 16u / SETS_OF_LOAD; // of sixteen sets
const LANES: u32 = 256u / LOADS;       // of a load

var<workgroup> block_scratch: array<vec2<Number>, 256u * SETS_OF_LOAD>; // [SETS_OF_LOAD, LANES, LOADS]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let output = ((group.x + group.y * groups.x) * LOADS + lane % LOADS) * SETS_OF_LOAD;
    let is_set = output < params.outputs;
    var states: States;
    for (var k = 0u; k < SETS_OF_LOAD; k++) {
        states[k] = fold_start();
    }
    if is_set {
        let start = set_start(output);
        for (var load = lane / LOADS; load < params.loads; load += LANES) {
            fold_sets(&states, start + load_position(load));
        }
    }
    for (var k = 0u; k < SETS_OF_LOAD; k++) {
        block_scratch[k * 256u + lane] = states[k];
    }
    for (var width = LANES / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width * LOADS {
            for (var k = 0u; k < SETS_OF_LOAD; k++) {
                let at = k * 256u + lane;
                block_scratch[at] = fold_join(block_scratch[at], block_scratch[at + width * LOADS]);
            }
        }
    }
    if lane < LOADS && is_set {
        for (var k = 0u; k < SETS_OF_LOAD; k++) {
            emit(output + k, block_scratch[k * 256u + lane]);
        }
    }
}
