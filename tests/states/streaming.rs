//! Recurrent networks that are given a sequence piece by piece.

use super::models::{finish, on_cpu, on_gpu, start};
use crate::cases::{F32, Random, Tolerance};
use crate::support::difference;
use gristmill::graph::{Builder, Dim};
use gristmill::internals::ops::rnn::{Cell, Recurrent, recurrent};
use gristmill::{DType, Model, Options, Tensor, TensorView};

const STEPS: usize = 10_000;
const HIDDEN: usize = 32;
const INPUTS: usize = 4;

/// A layer whose state lasts from piece to piece.
fn layer(cell: Cell) -> Model {
    let mut b = Builder::new("layer");
    let mut random = Random::new(11);
    let x = b.input("x", DType::F32, &[Dim::Named("steps".into()), Dim::Known(1), Dim::Known(INPUTS)]);
    let [w, r] = [INPUTS, HIDDEN].map(|from| {
        let drawn = random.floats(&[1, HIDDEN * cell.gates(), from]);
        let scaled: Vec<f64> = drawn.to_f64().iter().map(|weight| weight * 0.4).collect();
        b.constant("weights", Tensor::from_f64(drawn.ty().clone(), &scaled).expect("as many as before"))
    });
    let zeros = || Tensor::zeros(gristmill::TensorType::new(DType::F32, [1, 1, HIDDEN]));
    let names = match cell {
        Cell::Lstm { .. } => &["h", "c"][..],
        _ => &["h"],
    };
    let before: Vec<_> = names.iter().map(|name| b.state(name, zeros())).collect();
    let outputs: Vec<_> = ["y", "y_h", "y_c"][..=names.len()].iter().map(|name| b.value(name, None)).collect();
    let mut inputs = vec![Some(x), Some(w), Some(r), None, None];
    inputs.extend(before.iter().copied().map(Some));
    b.push("layer", recurrent(Recurrent::new(cell)), inputs, outputs.iter().copied().map(Some).collect());
    b.output("y", outputs[0]).expect("the name is its own");
    for (name, output) in names.iter().zip(&outputs[1..]) {
        b.write_state(name, *output).expect("it is written once");
    }
    finish(b)
}

/// The steps of a sequence in a range.
fn piece(x: &Tensor, steps: std::ops::Range<usize>) -> Tensor {
    let floats = x.as_slice::<f32>().expect("a tensor of f32");
    Tensor::new([steps.len(), 1, INPUTS], &floats[steps.start * INPUTS..steps.end * INPUTS]).expect("as many as the shape has")
}

#[test]
fn a_sequence_in_pieces_is_the_sequence() {
    let x = Random::new(5).floats(&[STEPS, 1, INPUTS]);
    for cell in [Cell::Gru { linear_before_reset: true }, Cell::Lstm { input_forget: false }] {
        let model = layer(cell);
        let (cpu, gpu) = (on_cpu(&model), on_gpu(&model, Options::default()));
        let (mut whole, mut streamed) = (start(&cpu), start(&gpu));
        let expected = cpu.run_with_blocking(&mut whole, &[("x", x.view())]).expect("the run succeeds");
        let mut found: Vec<f32> = Vec::with_capacity(STEPS * HIDDEN);
        let mut lengths = [1, 160, 3, 160, 16, 50, 160, 100].into_iter().cycle();
        let mut at = 0;
        while at < STEPS {
            let end = (at + lengths.next().unwrap_or(1)).min(STEPS);
            let steps = piece(&x, at..end);
            let view: TensorView<'_> = steps.view();
            let out = gpu.run_with_blocking(&mut streamed, &[("x", view)]).expect("the run succeeds");
            found.extend(out["y"].as_slice::<f32>().expect("a tensor of f32"));
            at = end;
        }
        let found = Tensor::new(expected["y"].shape().clone(), &found).expect("a row per step");
        let tolerance = Tolerance { absolute: 1e-4, ..F32 };
        assert_eq!(difference(&found, &expected["y"], tolerance), None, "{cell:?}");
        for info in gpu.states() {
            let [found, expected] = [&streamed, &whole].map(|state| state.get_blocking(&info.name).expect("it is there"));
            assert_eq!(difference(&found, &expected, tolerance), None, "{cell:?}: {}", info.name);
        }
    }
}
