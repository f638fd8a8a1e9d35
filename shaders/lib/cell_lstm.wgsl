// The equations of a long short-term memory, gates i (input), o (output), f (forget) and c (candidate), with peepholes:
// C = f C + i g(..c), H = o h(C). With `const INPUT_FORGET` 1 the forget gate is 1 - i.
const GATES: u32 = 4u;
const TWO_PRODUCTS: bool = false;
const HAS_MEMORY: bool = true;

fn scaled_state(place: Place, h: vec4<f32>) -> vec4<f32> {
    return h;
}

fn next_state(place: Place, h: vec4<f32>) -> vec4<f32> {
    let before = memory[place.slot];
    let input = activate_f(from_input(place, 0u) + from_state(place, 0u) + peephole(place, 0u) * before);
    var forget = 1.0 - input;
    if INPUT_FORGET == 0u {
        forget = activate_f(from_input(place, 2u) + from_state(place, 2u) + peephole(place, 2u) * before);
    }
    let after = forget * before + input * activate_g(from_input(place, 3u) + from_state(place, 3u));
    memory[place.slot] = after;
    let output = activate_f(from_input(place, 1u) + from_state(place, 1u) + peephole(place, 1u) * after);
    return output * activate_h(after);
}
