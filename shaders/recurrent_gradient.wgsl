// Takes recurrent_gradient (change, go_back, handed_back, put_first, through_reset); recurrent_gradient_groups or
// recurrent_gradient_scalars; recurrent_gradient_sums or recurrent_gradient_sums_texels (multiply); perhaps four_vectors or
// four_words; perhaps texels; perhaps row_sums.
// The way back through the steps of a recurrent layer, one after another within one dispatch.
//
// One workgroup per TILE batch elements, all of whose invocations walk the steps together from the last to the first. Lane `l` of
// LANES owns groups of units `l`, `l + LANES`, ...: it makes the gradients of what goes into their gates and shows them to the others in
// workgroup memory, and multiplies those of all units by the weights of its own, in slices as a prelude has them.
//
// `const OWNED` counts the groups of units of a lane, `const CHANGES` the groups of workgroup memory.
var<workgroup> changes: array<vec4<f32>, CHANGES>; // [TILE][GATES][UNITS]

// What is carried from step to step.
var<private> carried: array<vec4<f32>, OWNED * TILE>;
var<private> memory: array<vec4<f32>, OWNED * TILE>;

// Takes a group of units of a batch element back to before a step, but for the products.
fn enter(slot: u32, tile: u32, element: u32, step: u32, unit: u32) {
    if element < params.batch {
        memory_back = memory[slot];
        carried[slot] = go_back(element, step, unit, carried[slot]);
        memory[slot] = memory_back;
    }
    for (var gate = 0u; gate < GATES; gate++) {
        changes[(tile * GATES + gate) * UNITS + unit] = select(vec4<f32>(0.0), change(gate), element < params.batch);
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lane = local % LANES;
    let slice = local / LANES;
    let first_element = workgroup.x * TILE;
    for (var own = 0u; own < OWNED; own++) {
        for (var tile = 0u; tile < TILE; tile++) {
            let unit = lane + own * LANES;
            var h = vec4<f32>(0.0);
            memory_back = vec4<f32>(0.0);
            if first_element + tile < params.batch && unit < UNITS {
                h = handed_back(first_element + tile, unit);
            }
            carried[own * TILE + tile] = h;
            memory[own * TILE + tile] = memory_back;
        }
    }

    for (var turn = params.last_step; turn > params.first_step; turn--) {
        for (var own = 0u; own < OWNED; own++) {
            for (var tile = 0u; tile < TILE; tile++) {
                let unit = lane + own * LANES;
                if unit < UNITS && slice == 0u {
                    enter(own * TILE + tile, tile, first_element + tile, turn - 1u, unit);
                }
            }
        }
        workgroupBarrier();
        if CELL == 1u {
            // The candidate's product with the scaled state comes before the gate that scales it.
            multiply(lane, slice, 2u * UNITS, 3u * UNITS);
            for (var own = 0u; own < OWNED; own++) {
                for (var tile = 0u; tile < TILE; tile++) {
                    let unit = lane + own * LANES;
                    if unit < UNITS && slice == 0u && first_element + tile < params.batch {
                        let back = through_reset(first_element + tile, turn - 1u, unit, sums[own * TILE + tile]);
                        changes[(tile * GATES + 1u) * UNITS + unit] = back[0];
                        carried[own * TILE + tile] += back[1];
                    }
                }
            }
            workgroupBarrier();
            multiply(lane, slice, 0u, 2u * UNITS);
        } else {
            multiply(lane, slice, 0u, GATES * UNITS);
        }
        for (var k = 0u; k < OWNED * TILE; k++) {
            carried[k] += sums[k];
        }
        workgroupBarrier();
    }

    for (var own = 0u; own < OWNED; own++) {
        for (var tile = 0u; tile < TILE; tile++) {
            let unit = lane + own * LANES;
            if first_element + tile < params.batch && unit < UNITS && slice == 0u {
                put_first(0u, first_element + tile, unit, carried[own * TILE + tile]);
                if CELL == 3u {
                    put_first(1u, first_element + tile, unit, memory[own * TILE + tile]);
                }
            }
        }
    }
}
