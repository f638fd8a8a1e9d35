//! Arenas, and what training does with gradients.

use super::{Case, Random};
use gristmill::Tensor;
use gristmill::internals::ops::arena::{join, part};
use gristmill::internals::ops::optimizer::{
    GREATEST, Rule, accumulate, controls as at, first_non_finite, optimizer_update, word_of,
};
use gristmill::internals::ops::recompute::{checkpoint, held};

pub fn cases() -> Vec<Case> {
    [arenas(), updates(), sums(), watched(), kept()].into_iter().flatten().collect()
}

fn arenas() -> Vec<Case> {
    let mut random = Random::new(0xA2E4A);
    let mut cases = vec![];
    for (name, whole, first, shape) in [
        ("bound_where_it_lies", vec![3, 128], 64, vec![5, 7]),
        ("at_the_end", vec![256], 192, vec![64]),
        ("between", vec![100], 33, vec![2, 3, 4]),
        ("whole", vec![4, 5], 0, vec![20]),
        ("scalar", vec![70], 64, vec![]),
        ("none", vec![64], 64, vec![0, 3]),
    ] {
        cases.push(Case::new(format!("part/{name}"), part(first, shape), vec![random.floats(&whole)]));
    }
    for (name, shapes, places, length) in [
        ("aligned", vec![vec![4, 5], vec![64], vec![3]], vec![0, 64, 128], 192),
        ("touching", vec![vec![5], vec![7, 2]], vec![0, 5], 19),
        ("far_apart", vec![vec![3], vec![], vec![2, 0]], vec![10, 333, 334], 1000),
    ] {
        let inputs = shapes.iter().map(|shape: &Vec<usize>| random.floats(shape)).collect();
        cases.push(Case::new(format!("join/{name}"), join(places, length), inputs));
    }
    cases
}

/// Controls as a step in the middle of training has them.
fn controls(apply: bool) -> Tensor {
    let mut controls = [0.0f32; at::COUNT];
    for (place, number) in [
        (at::APPLY, f32::from(u8::from(apply))),
        (at::CLIP_NORM, 0.5),
        (at::WEIGHT_DECAY, 0.03),
        (at::KEEP, 0.99),
        (at::RATE, 0.02),
        (at::SUMMED, f32::from(u8::from(apply))),
        (at::SHARE, 0.25),
        (at::DECAY, 0.9),
        (at::FRESH, 0.2),
        (at::SECOND_DECAY, 0.7),
        (at::SECOND_FRESH, 0.3),
        (at::EPSILON, 1e-3),
        (at::ROOT_SCALE, 1.5),
        (at::BATCH, 17.0),
        (at::BATCHES, 2.0),
    ] {
        controls[place] = number;
    }
    Tensor::vector(&controls)
}

fn updates() -> Vec<Case> {
    let mut random = Random::new(0x57E9);
    let mut rules = vec![("adam".to_string(), Rule::Adam)];
    for (momentum, nesterov) in [(false, false), (true, false), (true, true)] {
        rules.push((format!("sgd_{momentum}_{nesterov}"), Rule::Sgd { momentum, nesterov }));
    }
    for (momentum, centered) in [(false, false), (true, false), (false, true), (true, true)] {
        rules.push((format!("rmsprop_{momentum}_{centered}"), Rule::RmsProp { momentum, centered }));
    }
    let mut cases = vec![];
    for (name, rule) in rules {
        for (columns, norm, apply) in [(4, None, true), (132, Some(0.3f32), true), (64, Some(4.0), true), (64, None, false)] {
            let arena = random.floats(&[rule.rows(), columns]).to_f64();
            // Squares, and for centered ones more than those of means.
            let remembered =
                |(k, x): (usize, &f64)| if k < columns { *x } else { x.abs() * if k < 2 * columns { 1.0 } else { 0.1 } };
            let arena: Vec<f32> = arena.iter().enumerate().map(|pair| remembered(pair) as f32).collect();
            let arena = Tensor::new([rule.rows(), columns], &arena).expect("as many as there are");
            let mut inputs = vec![arena, random.floats(&[columns]), controls(apply)];
            inputs.extend(norm.map(Tensor::scalar));
            let clipped = norm.map_or("free".into(), |norm| format!("norm_{norm}"));
            cases.push(Case::new(format!("optimizer_update/{name}_{columns}_{clipped}_{apply}"), optimizer_update(rule), inputs));
        }
    }
    // Squares below those of the means, as rounding leaves them of gradients that are always the same.
    let arena = Tensor::new([3, 4], &[0.1f32, -0.2, 0.3, 0.4, 0.01, 0.02, 0.03, 0.04, 0.5, 0.5, -0.5, 0.5]).expect("three rows");
    let centered = Rule::RmsProp { momentum: false, centered: true };
    let inputs = vec![arena, Tensor::vector(&[0.1f32, 0.2, -0.3, 0.4]), controls(true)];
    cases.push(Case::new("optimizer_update/no_variance", optimizer_update(centered), inputs));
    for (name, norm) in [("infinite", f32::INFINITY), ("undefined", f32::NAN)] {
        let inputs = vec![random.floats(&[3, 8]), random.floats(&[8]), controls(true), Tensor::scalar(norm)];
        cases.push(Case::new(format!("optimizer_update/norm_{name}"), optimizer_update(Rule::Adam), inputs));
    }
    cases
}

fn sums() -> Vec<Case> {
    let mut random = Random::new(0x5C);
    let mut cases = vec![];
    for (name, shape, goes_on) in [("goes_on", vec![3, 70], true), ("begins", vec![70], false), ("one", vec![1], true)] {
        let inputs = vec![random.floats(&shape), random.floats(&shape), controls(goes_on)];
        cases.push(Case::new(format!("accumulate/{name}"), accumulate(), inputs));
    }
    cases
}

/// Batches that are not finite, and what is done once one was.
fn watched() -> Vec<Case> {
    let mut random = Random::new(0x0FF);
    let mut cases = vec![];
    let (earlier, later) = (word_of(3), word_of(1 << 20));
    let greatest = GREATEST as f32;
    for (name, word, loss, lengths, number) in [
        ("fine", 0, 1.5f32, vec![132], 0.5f32),
        ("nearly", 0, f32::MAX, vec![64, 260], greatest.next_down()),
        ("loss_undefined", 0, f32::NAN, vec![64], 0.5),
        ("loss_infinite", later, f32::NEG_INFINITY, vec![], 0.5),
        ("loss_alone", 0, -2.0, vec![], 0.5),
        ("undefined", 0, 1.5, vec![132, 4], f32::NAN),
        ("infinite", later, 1.5, vec![4, 260], f32::NEG_INFINITY),
        ("square", 0, 1.5, vec![260], -greatest),
        ("not_the_first", earlier, f32::NAN, vec![64], f32::INFINITY),
        ("fine_again", earlier, 1.5, vec![64], 0.5),
    ] {
        let mut inputs = vec![Tensor::scalar(word), Tensor::scalar(loss), controls(true)];
        for length in &lengths {
            let mut numbers: Vec<f32> = random.floats(&[*length]).to_f64().into_iter().map(|x| x as f32).collect();
            // In the last vector of the last gradient.
            let last = numbers.len() - 2;
            if inputs.len() == 2 + lengths.len() {
                numbers[last] = number;
            }
            inputs.push(Tensor::vector(&numbers));
        }
        cases.push(Case::new(format!("first_non_finite/{name}"), first_non_finite(), inputs));
    }
    for (name, word, norm) in
        [("on", 0, None), ("over", later, None), ("clipped_on", 0, Some(0.3f32)), ("clipped_over", later, Some(0.3))]
    {
        let mut inputs =
            vec![Some(random.floats(&[3, 64])), Some(random.floats(&[64])), Some(controls(true)), norm.map(Tensor::scalar)];
        inputs[0] = inputs[0].take().map(|arena| {
            let squares: Vec<f32> = arena.to_f64().into_iter().map(|x| x.abs() as f32).collect();
            Tensor::new([3, 64], &squares).expect("as many")
        });
        inputs.push(Some(Tensor::scalar(word)));
        cases.push(Case { inputs, ..Case::new(format!("optimizer_update/{name}"), optimizer_update(Rule::Adam), vec![]) });
        let inputs = vec![random.floats(&[70]), random.floats(&[70]), controls(true), Tensor::scalar(word)];
        cases.push(Case::new(format!("accumulate/{name}"), accumulate(), inputs));
    }
    cases
}

/// What is kept for a backward pass, and what is computed anew after it.
fn kept() -> Vec<Case> {
    let mut random = Random::new(0xC4);
    let x = random.floats(&[3, 5]);
    vec![
        Case::new("checkpoint/floats", checkpoint(), vec![x.clone()]).golden(vec![x.clone()]),
        Case::new("held/after_a_number", held(), vec![x.clone(), Tensor::scalar(1.0f32)]).golden(vec![x]),
    ]
}
