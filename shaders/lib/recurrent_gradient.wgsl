// What the kernels share that go back through the steps of a recurrent layer: parameters, activations with their derivatives,
// and where things stand. Wants the prelude `activation` and `const F`, `G` and `H`.
struct Params {
    steps: u32,
    batch: u32,
    hidden: u32,
    reversed: u32, // whether the layer runs from the last step to the first
    first_step: u32,
    last_step: u32,
    clip: f32,
    f_alpha: f32,
    f_beta: f32,
    g_alpha: f32,
    g_beta: f32,
    h_alpha: f32,
    h_beta: f32,
}

// A value and its derivative.
struct Both {
    value: f32,
    slope: f32,
}

fn slope(kind: u32, alpha: f32, beta: f32, x: f32) -> f32 {
    let positive = select(0.0, 1.0, x > 0.0);
    switch kind {
        case 0u: { // Sigmoid
            let s = 1.0 / (1.0 + exp(-x));
            return s * (1.0 - s);
        }
        case 1u: { // Tanh
            let t = tanh(clamp(x, -10.0, 10.0));
            return 1.0 - t * t;
        }
        case 2u: { // Relu
            return positive;
        }
        case 3u: { // Affine
            return alpha;
        }
        case 4u: { // LeakyRelu
            return select(alpha, 1.0, x > 0.0);
        }
        case 5u: { // ThresholdedRelu
            return select(0.0, 1.0, x > alpha);
        }
        case 6u: { // ScaledTanh
            let t = tanh(clamp(beta * x, -10.0, 10.0));
            return alpha * beta * (1.0 - t * t);
        }
        case 7u: { // HardSigmoid
            let y = alpha * x + beta;
            return select(0.0, alpha, y > 0.0 && y < 1.0);
        }
        case 8u: { // Elu
            return select(alpha * exp(min(x, 0.0)), 1.0, x > 0.0);
        }
        case 9u: { // Softsign
            let y = 1.0 + abs(x);
            return 1.0 / (y * y);
        }
        default: { // Softplus
            return 1.0 / (1.0 + exp(-x));
        }
    }
}

fn both(kind: u32, alpha: f32, beta: f32, x: f32) -> Both {
    let inside = clamp(x, -params.clip, params.clip);
    let value = activation(kind, alpha, beta, vec4<f32>(inside)).x;
    return Both(value, select(0.0, slope(kind, alpha, beta, x), inside == x));
}

fn both_f(x: f32) -> Both {
    return both(F, params.f_alpha, params.f_beta, x);
}

fn both_g(x: f32) -> Both {
    return both(G, params.g_alpha, params.g_beta, x);
}

fn length_of(element: u32) -> u32 {
    if HAS_LENGTHS {
        // The length comes from data: it is held to the steps there are.
        return min(u32(max(lengths[element], 0)), params.steps);
    }
    return params.steps;
}

// Which row of all steps a batch element takes at a step.
fn row_of(element: u32, step: u32, length: u32) -> u32 {
    var time = step;
    if params.reversed != 0u && step < length {
        time = length - 1u - step;
    }
    return time * params.batch + element;
}
