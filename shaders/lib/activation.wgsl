// The activation functions of recurrent layers, by the numbers that ActivationFunction gives them.
fn activation(kind: u32, alpha: f32, beta: f32, x: vec4<f32>) -> vec4<f32> {
    let zero = vec4<f32>(0.0);
    switch kind {
        case 0u: { // Sigmoid
            return 1.0 / (1.0 + exp(-x));
        }
        case 1u: { // Tanh, clamped where it is 1 to the last bit and some drivers overflow
            return tanh(clamp(x, vec4<f32>(-10.0), vec4<f32>(10.0)));
        }
        case 2u: { // Relu
            return max(x, zero);
        }
        case 3u: { // Affine
            return alpha * x + beta;
        }
        case 4u: { // LeakyRelu
            return select(alpha * x, x, x >= zero);
        }
        case 5u: { // ThresholdedRelu
            return select(zero, x, x >= vec4<f32>(alpha));
        }
        case 6u: { // ScaledTanh
            return alpha * tanh(clamp(beta * x, vec4<f32>(-10.0), vec4<f32>(10.0)));
        }
        case 7u: { // HardSigmoid
            return clamp(alpha * x + beta, zero, vec4<f32>(1.0));
        }
        case 8u: { // Elu
            return select(alpha * (exp(min(x, zero)) - 1.0), x, x >= zero);
        }
        case 9u: { // Softsign
            return x / (1.0 + abs(x));
        }
        default: { // Softplus
            return max(x, zero) + log(1.0 + exp(-abs(x)));
        }
    }
}
