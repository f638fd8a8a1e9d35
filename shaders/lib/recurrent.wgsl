// What all kernels of recurrent layers share: parameters, biases, activations, and where things stand. Hidden units go in
// groups of four; `const UNITS` counts the groups.
struct Params {
    steps: u32,
    batch: u32,
    hidden: u32,
    directions: u32,
    first_direction: u32,
    reversed: u32, // bit d: direction d runs from the last step to the first
    batch_first: u32,
    first_step: u32,
    last_step: u32,
    has_state: u32, // whether there is a state before the first of these steps
    stride: u32, // groups of packed weights per direction
    clip: f32,
    f_alpha: f32,
    f_beta: f32,
    g_alpha: f32,
    g_beta: f32,
    h_alpha: f32,
    h_beta: f32,
}

@group(0) @binding(3) var<storage, read> lengths: array<i32>; // [batch]

// Where a lane is: one group of units of one batch element at one step.
struct Place {
    unit: u32,
    direction: u32,
    tile: u32, // batch element within the workgroup
    slot: u32, // index into what the lane owns
    row: u32, // row of `products`
}

fn clipped(x: vec4<f32>) -> vec4<f32> {
    return clamp(x, vec4<f32>(-params.clip), vec4<f32>(params.clip));
}

fn activate_f(x: vec4<f32>) -> vec4<f32> {
    return activation(F, params.f_alpha, params.f_beta, clipped(x));
}

fn activate_g(x: vec4<f32>) -> vec4<f32> {
    return activation(G, params.g_alpha, params.g_beta, clipped(x));
}

fn activate_h(x: vec4<f32>) -> vec4<f32> {
    return activation(H, params.h_alpha, params.h_beta, x);
}

fn from_input(place: Place, gate: u32) -> vec4<f32> {
    let row = (place.row * params.directions + place.direction) * GATES + gate;
    return product_group(row, place.unit) + bias(place, 0u, gate);
}

fn is_backward(direction: u32) -> bool {
    return (params.reversed >> direction & 1u) == 1u;
}

// Which row of the state tensors is a batch element's of a direction.
fn state_row(direction: u32, element: u32) -> u32 {
    return select(direction * params.batch + element, element * params.directions + direction, params.batch_first != 0u);
}

fn length_of(element: u32) -> u32 {
    if HAS_LENGTHS {
        // The length comes from data: it is held to the steps there are.
        return min(u32(max(lengths[min(element, params.batch - 1u)], 0)), params.steps);
    }
    return params.steps;
}

// Which row of the products, and of the steps written, a batch element takes at a step.
fn product_row(element: u32, step: u32, backward: bool) -> u32 {
    let length = length_of(element);
    var time = step;
    if backward && step < length {
        time = length - 1u - step;
    }
    return select(time * params.batch + element, element * params.steps + time, params.batch_first != 0u);
}

// Where a row of the output of all steps begins.
fn output_start(row: u32, direction: u32, element: u32) -> u32 {
    let by_step = (row / params.batch * params.directions + direction) * params.batch + element;
    return select(by_step, row * params.directions + direction, params.batch_first != 0u) * params.hidden;
}
