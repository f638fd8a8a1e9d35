// Takes recurrent_gradient (first_group, go_back, handed_back, length_of, put_first, row_of, through_reset);
// recurrent_gradient_groups or recurrent_gradient_scalars (weight_group); perhaps four_vectors or four_words.
// One step of the way back through a recurrent layer, for GPUs: the product of the gradients of one step's gates and the weights, tile
// by tile, and what its sums give to the gates of the step before.
//
// A workgroup of 8 by 8 invocations makes 8 groups of four units (x) for 32 batch elements (y), each invocation one group for four
// batch elements, in steps of 16 terms in workgroup memory. What is carried stands in `first`.
//
// `const PRODUCT` is 0 where a step is one product. A cell of type 1 takes two dispatches for a step: 1 is the product of all gates but
// the last, 2 that of the last, with the step's own gradients. Step `last_step` is multiplied, the one before it entered; 2 multiplies
// the latter.
const STEP: u32 = 16u;
const SIDE: u32 = 8u;
const ROWS: u32 = 4u * SIDE;

var<workgroup> change_tile: array<f32, STEP * ROWS>; // [STEP][batch elements]
var<workgroup> weight_tile: array<vec4<f32>, STEP * SIDE>; // [STEP][groups of units]

// Adds up the products of the changes of four batch elements at a step.
fn product(step: u32, tile: vec3<u32>, id: vec3<u32>) -> mat4x4<f32> {
    let first_gate = select(0u, 2u, PRODUCT == 2u);
    let terms = select(select(GATES, 2u, PRODUCT == 1u), 1u, PRODUCT == 2u) * params.hidden;
    let local = id.y * SIDE + id.x;
    // What this invocation brings: eight terms of a batch element, and of two terms four weights.
    let element = min(tile.y * ROWS + local / 2u, params.batch - 1u);
    let row = row_of(element, step, length_of(element));
    let changes_from = (row * MADE + MADE - GATES + first_gate) * params.hidden;
    let weights_from = (params.direction * GATES + first_gate) * params.hidden;
    let unit = min(tile.x * SIDE + id.x, UNITS - 1u);
    var sums: mat4x4<f32>;
    for (var k = 0u; k < terms; k += STEP) {
        for (var i = 0u; i < STEP / 2u; i++) {
            let term = local % 2u * (STEP / 2u) + i;
            change_tile[term * ROWS + local / 2u] = select(0.0, made[changes_from + min(k + term, terms - 1u)], k + term < terms);
        }
        for (var i = 0u; i < STEP; i += SIDE) {
            weight_tile[(i + id.y) * SIDE + id.x] = weight_group(weights_from + min(k + i + id.y, terms - 1u), unit);
        }
        workgroupBarrier();
        for (var i = 0u; i < STEP; i++) {
            let weight = weight_tile[i * SIDE + id.x];
            for (var j = 0u; j < 4u; j++) {
                sums[j] += change_tile[i * ROWS + id.y * 4u + j] * weight;
            }
        }
        workgroupBarrier();
    }
    return sums;
}

// Takes a group of units of a batch element back to before the step.
fn finish(element: u32, unit: u32, sum: vec4<f32>) {
    let turn = params.last_step;
    if PRODUCT == 2u {
        let back = through_reset(element, turn - 1u, unit, sum);
        put_first(0u, element, unit, first_group(0u, element, unit) + back[1]);
        return;
    }
    var h = handed_back(element, unit) + sum;
    if turn > 0u {
        h = go_back(element, turn - 1u, unit, h);
    }
    put_first(0u, element, unit, h);
    if CELL == 3u {
        put_first(1u, element, unit, memory_back);
    }
}

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    var sums: mat4x4<f32>;
    if PRODUCT == 2u {
        sums = product(params.last_step - 1u, tile, id);
    } else if params.last_step < params.steps {
        sums = product(params.last_step, tile, id);
    }
    let unit = tile.x * SIDE + id.x;
    for (var j = 0u; j < 4u; j++) {
        let element = tile.y * ROWS + id.y * 4u + j;
        if unit < UNITS && element < params.batch {
            finish(element, unit, sums[j]);
        }
    }
}
