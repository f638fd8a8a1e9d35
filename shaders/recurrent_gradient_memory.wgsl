// Takes activation; recurrent_gradient (Params, both_f, both_g, length_of, row_of).
// The cell states of an LSTM after each step, for the way back: one unit of a batch element per invocation, which walks the
// steps in order.
override HAS_LENGTHS: bool;
override HAS_STATE: bool;
override INPUT_FORGET: bool;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<f32>; // [steps, batch, 4, hidden]
@group(0) @binding(2) var<storage, read> weights: array<f32>; // [4 * hidden, hidden], then [3, hidden]
@group(0) @binding(3) var<storage, read> first_memory: array<f32>; // [batch, hidden]
@group(0) @binding(4) var<storage, read> lengths: array<i32>; // [batch]
@group(0) @binding(5) var<storage, read_write> made: array<f32>; // [steps, batch, 5, hidden]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.batch * params.hidden {
        return;
    }
    let element = place / params.hidden;
    let unit = place % params.hidden;
    let length = length_of(element);
    let peepholes = 4u * params.hidden * params.hidden + unit;
    let peephole_input = weights[peepholes];
    let peephole_forget = weights[peepholes + 2u * params.hidden];
    var memory = 0.0;
    if params.first_step > 0u {
        memory = made[(row_of(element, params.first_step - 1u, length) * 5u + 4u) * params.hidden + unit];
    } else if HAS_STATE {
        memory = first_memory[place];
    }
    for (var step = params.first_step; step < params.last_step; step++) {
        let row = row_of(element, step, length);
        let start = row * 4u * params.hidden + unit;
        let input = both_f(sums[start] + peephole_input * memory).value;
        var forget = 1.0 - input;
        if !INPUT_FORGET {
            forget = both_f(sums[start + 2u * params.hidden] + peephole_forget * memory).value;
        }
        memory = forget * memory + input * both_g(sums[start + 3u * params.hidden]).value;
        // Nothing stands after the steps of a sequence.
        made[(row * 5u + 4u) * params.hidden + unit] = select(0.0, memory, step < length);
    }
}
