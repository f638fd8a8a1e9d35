// The equations of a gated recurrent unit, gates z (update), r (reset) and h (candidate):
// H = (1 - z) g(X Wh + r (H Rh + bh)) + z H, or with `const LINEAR_BEFORE_RESET` 0, g(X Wh + (r H) Rh + bh).
const GATES: u32 = 3u;
const TWO_PRODUCTS: bool = LINEAR_BEFORE_RESET == 0u;
const HAS_MEMORY: bool = false;

// The state as the second product takes it.
fn scaled_state(place: Place, h: vec4<f32>) -> vec4<f32> {
    return activate_f(from_input(place, 1u) + from_state(place, 1u)) * h;
}

fn next_state(place: Place, h: vec4<f32>) -> vec4<f32> {
    let update = activate_f(from_input(place, 0u) + from_state(place, 0u));
    var recurrent = from_state(place, 2u);
    if !TWO_PRODUCTS {
        recurrent *= activate_f(from_input(place, 1u) + from_state(place, 1u));
    }
    let candidate = activate_g(from_input(place, 2u) + recurrent);
    return (1.0 - update) * candidate + update * h;
}
