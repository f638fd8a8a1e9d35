//! Rows of what carries a state of one size from run to run: linear attention, and convolution along time.

use super::{Case, Random, Tolerance};
use gristmill::internals::ops::causal_conv::causal_conv_with_state;
use gristmill::internals::ops::linear_attention::{LinearAttention, UpdateRule, linear_attention, linear_attention_gradient};
use gristmill::{DType, Tensor, TensorType};

/// Batch, steps, query heads, heads, size, value size.
type Extents = [usize; 6];

/// Errors of a state in f32 last as long as it does, while what it is read as may be near zero.
pub const STATES: Tolerance = Tolerance { relative: 1e-4, absolute: 3e-5 };

pub fn cases() -> Vec<Case> {
    [attentions(), attention_gradients(), convolutions()].into_iter().flatten().collect()
}

/// What a row has besides queries, keys and values.
#[derive(Clone, Copy, PartialEq)]
struct Form {
    rule: UpdateRule,
    /// A state is given.
    state: bool,
    /// A decay for each row of the state, not for each head.
    by_row: bool,
    /// One update rate for all heads.
    one_rate: bool,
}

fn attention(random: &mut Random, name: &str, form: Form, extents: Extents) -> Case {
    let [batch, steps, query_heads, heads, size, value_size] = extents;
    let scaled = |tensor: &Tensor, map: &dyn Fn(f64) -> f64| {
        let values: Vec<f64> = tensor.to_f64().into_iter().map(map).collect();
        Tensor::from_f64(tensor.ty().clone(), &values).expect("as many elements")
    };
    // Keys no longer than 1, so that states stay bounded by any rule.
    let length = 1.0 / (size.max(1) as f64).sqrt();
    let key = random.floats(&[batch, steps, heads * size]);
    let mut inputs = vec![
        Some(random.floats(&[batch, steps, query_heads * size])),
        Some(scaled(&key, &|x| x * length)),
        Some(random.floats(&[batch, steps, heads * value_size])),
        form.state.then(|| random.floats(&[batch, heads, size, value_size])),
    ];
    let gated = matches!(form.rule, UpdateRule::Gated | UpdateRule::GatedDelta);
    let decay = random.floats(&[batch, steps, if form.by_row { heads * size } else { heads }]);
    inputs.push(gated.then(|| scaled(&decay, &|x| -x.abs())));
    let delta = matches!(form.rule, UpdateRule::Delta | UpdateRule::GatedDelta);
    let rate = random.floats(&[batch, steps, if form.one_rate { 1 } else { heads }]);
    inputs.push(delta.then(|| scaled(&rate, &f64::abs)));
    let op = linear_attention(LinearAttention { rule: form.rule, query_heads, heads, scale: None });
    let mut case = Case::new(format!("linear_attention/{name}"), op, vec![]).outputs(2).tolerance(STATES);
    case.inputs = inputs;
    case
}

/// Every rule back, with a state and without.
fn attention_gradients() -> Vec<Case> {
    let mut random = Random::new(0x11EB);
    let mut cases = vec![];
    for rule in [UpdateRule::Linear, UpdateRule::Gated, UpdateRule::Delta, UpdateRule::GatedDelta] {
        for state in [false, true] {
            let form = Form { rule, state, by_row: !state, one_rate: !state };
            let forth = attention(&mut random, "", form, [2, 5, 4, 2, 3, 4]);
            let op = LinearAttention { rule, query_heads: 4, heads: 2, scale: None };
            let name = format!("linear_attention/{rule:?}_gradient{}", if state { "" } else { "_from_zero" });
            let mut case = Case::new(name, linear_attention_gradient(op), vec![]).outputs(6).tolerance(STATES);
            case.inputs = vec![Some(random.floats(&[2, 5, 16])), Some(random.floats(&[2, 2, 3, 4]))];
            case.inputs.extend(forth.inputs);
            cases.push(case);
        }
    }
    cases
}

fn attentions() -> Vec<Case> {
    let mut random = Random::new(0x11EA);
    let mut cases = vec![];
    let plain = Form { rule: UpdateRule::GatedDelta, state: true, by_row: false, one_rate: false };
    let rules = [UpdateRule::Linear, UpdateRule::Gated, UpdateRule::Delta, UpdateRule::GatedDelta];
    for rule in rules {
        for (name, extents) in [("small", [2, 5, 2, 2, 8, 8]), ("odd", [1, 7, 6, 3, 5, 9]), ("shared", [2, 4, 4, 1, 12, 20])] {
            for state in [false, true] {
                let kind = if state { "" } else { "_from_zero" };
                let form = Form { rule, state, by_row: !state, one_rate: !state };
                cases.push(attention(&mut random, &format!("{rule:?}_{name}{kind}"), form, extents));
            }
        }
    }
    for (name, extents) in [
        ("one_token", [1, 1, 4, 4, 64, 64]),
        ("size_128", [1, 6, 2, 1, 128, 128]),
        ("size_300", [1, 3, 1, 1, 300, 20]),
        ("one_element", [1, 3, 1, 1, 1, 1]),
        ("many_tokens", [1, 1500, 2, 1, 32, 17]),
        ("no_tokens", [2, 0, 2, 2, 4, 4]),
        ("no_batch", [0, 3, 2, 2, 4, 4]),
        ("no_size", [1, 3, 2, 1, 0, 4]),
    ] {
        cases.push(attention(&mut random, name, plain, extents));
        cases.push(attention(&mut random, &format!("{name}_by_row"), Form { by_row: true, ..plain }, extents));
    }
    let mut half = attention(&mut random, "f16", plain, [1, 4, 2, 2, 8, 8]);
    for input in half.inputs.iter_mut().flatten() {
        let ty = TensorType::new(DType::F16, input.shape().clone());
        *input = Tensor::from_f64(ty, &input.to_f64()).expect("as many elements");
    }
    cases.push(half.tolerance(Tolerance { relative: 1.0 / 1024.0, absolute: 1e-4 }));
    cases.push(by_hand());
    cases
}

/// A state of one element, 2: a gate of a half leaves 1, of which the key 3 finds 3. The value 5 lacks 2, half of which goes into the
/// state three times, 4 in all. The query 10 reads a tenth of 40.
fn by_hand() -> Case {
    let one = |value: f32| Tensor::new([1, 1, 1], &[value]).expect("one element");
    let state = |value: f32| Tensor::new([1, 1, 1, 1], &[value]).expect("one element");
    let inputs = vec![one(10.0), one(3.0), one(5.0), state(2.0), one(-std::f32::consts::LN_2), one(0.5)];
    let op = linear_attention(LinearAttention { rule: UpdateRule::GatedDelta, query_heads: 1, heads: 1, scale: Some(0.1) });
    Case::new("linear_attention/by_hand", op, inputs).outputs(2).golden(vec![one(4.0), state(4.0)])
}

fn convolutions() -> Vec<Case> {
    let mut random = Random::new(0xCA05);
    let mut cases = vec![];
    for (name, [batch, channels, length, taps]) in [
        ("small", [2, 3, 8, 4]),
        ("odd", [1, 5, 7, 3]),
        ("one_step", [2, 6, 1, 4]),
        ("one_tap", [1, 4, 9, 1]),
        ("shorter_than_past", [2, 3, 2, 7]),
        ("long", [1, 2, 300, 50]),
        ("one_channel", [1, 1, 4, 2]),
        ("no_length", [2, 3, 0, 4]),
        ("no_batch", [0, 3, 4, 4]),
    ] {
        for (form, bias, past) in [("", true, true), ("_plain", false, false), ("_with_past", false, true)] {
            let inputs = vec![random.floats(&[batch, channels, length]), random.floats(&[channels, 1, taps])];
            let op = causal_conv_with_state();
            let mut case = Case::new(format!("causal_conv/{name}{form}"), op, inputs).outputs(2).weights(&[1]);
            case.inputs.push(bias.then(|| random.floats(&[channels])));
            case.inputs.push(past.then(|| random.floats(&[batch, channels, taps - 1])));
            cases.push(case);
        }
    }
    cases
}
