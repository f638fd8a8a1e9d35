//! What carries a state of one size: linear attention, and convolution along time.

use super::property;
use crate::cases::{F32, Tolerance};
use gristmill::internals::ops::causal_conv::causal_conv_with_state;
use gristmill::internals::ops::elementwise::unary;
use gristmill::internals::ops::linear_attention::{LinearAttention, UpdateRule, linear_attention};

/// A state keeps the rounding of every step before.
const STATES: Tolerance = Tolerance { relative: 5e-4, absolute: 2e-4 };

#[test]
fn attentions() {
    property(12, STATES, |draw, net| {
        let rules = [UpdateRule::GatedDelta, UpdateRule::Linear, UpdateRule::Gated, UpdateRule::Delta];
        let rule = draw.pick(&rules);
        let (batch, steps) = (draw.pick(&[1, 2, 3]), draw.pick(&[4, 1, 2, 9]));
        let heads = draw.pick(&[2, 1, 3]);
        let query_heads = heads * draw.pick(&[1, 1, 2, 4]);
        let (size, value_size) = (draw.pick(&[8, 1, 3, 16, 40]), draw.pick(&[8, 1, 5, 33]));
        let state = draw.flag().then(|| net.floats(&[batch, heads, size, value_size]));
        let mut inputs = vec![
            Some(net.floats(&[batch, steps, query_heads * size])),
            Some(net.floats(&[batch, steps, heads * size])),
            Some(net.floats(&[batch, steps, heads * value_size])),
            state,
        ];
        // Keys longer than 1 let a state grow by the delta rule: the hyperbolic tangent keeps rates and gates small.
        let mut small = |width: usize, name: &str| {
            let x = net.floats(&[batch, steps, width]);
            net.apply(unary(name).expect("a function"), &[x])
        };
        let gated = matches!(rule, UpdateRule::Gated | UpdateRule::GatedDelta);
        let decays = if draw.flag() { heads * size } else { heads };
        inputs.push(gated.then(|| small(decays, "Neg")));
        let delta = matches!(rule, UpdateRule::Delta | UpdateRule::GatedDelta);
        let rates = if draw.rarely(4) { 1 } else { heads };
        inputs.push(delta.then(|| small(rates, "Tanh")));
        let scale = draw.rarely(3).then_some(0.25);
        let made = net.apply_to(linear_attention(LinearAttention { rule, query_heads, heads, scale }), &inputs, 2);
        if draw.rarely(4) { vec![made[draw.within(0, 1)]] } else { made }
    });
}

#[test]
fn convolutions() {
    property(16, F32, |draw, net| {
        let (batch, channels) = (draw.pick(&[1, 2, 3]), draw.pick(&[4, 1, 3, 9]));
        let (length, taps) = (draw.pick(&[8, 1, 2, 3, 17, 64]), draw.pick(&[4, 1, 2, 3, 9]));
        let constant = !draw.rarely(4);
        let inputs = [
            Some(net.floats(&[batch, channels, length])),
            Some(net.weights(constant, &[channels, 1, taps])),
            draw.flag().then(|| net.weights(constant, &[channels])),
            draw.flag().then(|| net.floats(&[batch, channels, taps - 1])),
        ];
        let mut made = net.apply_to(causal_conv_with_state(), &inputs, 2);
        made[0] = net.epilogue(draw, made[0], &[channels, 1]);
        if draw.rarely(4) { vec![made[draw.within(0, 1)]] } else { made }
    });
}
