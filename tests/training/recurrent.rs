//! Gradients of recurrent layers against central differences of the references in double precision, where the stored cases do not reach:
//! coupled gates, clipping, activations with constants, batch first, all inputs at once.

use crate::cases::Random;
use crate::support::{optimized, planned};
use gristmill::internals::graph::{Builder, Dim};
use gristmill::internals::kernel::Caps;
use gristmill::internals::ops::rnn::{Activation, ActivationFunction, Cell, Direction, Recurrent, recurrent};
use gristmill::{DType, Model, Options, Session, Tensor, TensorType, TensorView, train};

const NAMES: [&str; 8] = ["x", "w", "r", "b", "lengths", "h", "c", "p"];
const OUTPUTS: [&str; 3] = ["y", "y_h", "y_c"];
/// Half the distance of a central difference.
const STEP: f64 = 1e-5;

/// A layer with all inputs and outputs, and what is known of it.
struct Layer {
    inputs: Vec<(String, Tensor)>,
    subjects: Vec<&'static str>,
    outputs: Vec<&'static str>,
    session: Session,
}

fn numbers(random: &mut Random, shape: &[usize], scale: f64) -> Tensor {
    let values: Vec<f64> = random.floats(shape).to_f64().iter().map(|x| x * scale).collect();
    Tensor::from_f64(TensorType::new(DType::F64, shape), &values).expect("as many elements")
}

impl Layer {
    /// The first outputs may be skipped.
    fn new(random: &mut Random, layer: Recurrent, lengths: bool, skipped: usize) -> Layer {
        let [steps, batch, input, hidden] = [4, 3, 2, 5];
        let directions = if layer.direction == Direction::Bidirectional { 2 } else { 1 };
        let (rows, lstm) = (layer.cell.gates() * hidden, matches!(layer.cell, Cell::Lstm { .. }));
        let (x, state) = if layer.batch_first {
            ([batch, steps, input], [batch, directions, hidden])
        } else {
            ([steps, batch, input], [directions, batch, hidden])
        };
        let shapes: [&[usize]; 8] = [
            &x,
            &[directions, rows, input],
            &[directions, rows, hidden],
            &[directions, 2 * rows],
            &[batch],
            &state,
            &state,
            &[directions, 3 * hidden],
        ];
        let mut builder = Builder::new("layer");
        let (mut inputs, mut ids, mut subjects) = (vec![], vec![], vec![]);
        for (name, shape) in NAMES.into_iter().zip(shapes).take(if lstm { 8 } else { 6 }) {
            let tensor = match name {
                "lengths" if lengths => random.integers(DType::I32, &[batch], 1, steps as i64 + 1),
                "lengths" => {
                    ids.push(None);
                    continue;
                }
                _ => numbers(random, shape, 0.8),
            };
            let dims: Vec<Dim> = shape.iter().map(|d| Dim::Known(*d)).collect();
            ids.push(Some(builder.input(name, tensor.dtype(), &dims)));
            if name != "lengths" {
                subjects.push(name);
            }
            inputs.push((name.to_string(), tensor));
        }
        let outputs = OUTPUTS[skipped..if lstm { 3 } else { 2 }].to_vec();
        let values: Vec<_> = outputs.iter().map(|name| builder.value(name, None)).collect();
        let made = vec![None; skipped].into_iter().chain(values.iter().copied().map(Some)).collect();
        builder.push("node", recurrent(layer.clone()), ids, made);
        for (name, value) in outputs.iter().zip(&values) {
            builder.output(name, *value).expect("the name is free");
        }
        let graph = builder.finish().expect("a valid graph");
        let graph = train::with_gradients(&graph, &outputs, &outputs, &subjects).expect("it has gradients");
        let all = if layer.batch_first { [batch, steps, directions, hidden] } else { [steps, directions, batch, hidden] };
        for name in &outputs {
            let shape: &[usize] = if *name == "y" { &all } else { &state };
            inputs.push((format!("upstream.{name}"), numbers(random, shape, 1.0)));
        }
        let session = Session::cpu(&Model::from_graph(graph), Options::default()).expect("a session");
        Layer { inputs, subjects, outputs, session }
    }

    /// The outputs and gradients with one input moved.
    fn run(&self, moved: Option<(&str, &[f64], f64)>) -> Vec<(String, Vec<f64>)> {
        let mut inputs = self.inputs.clone();
        for (name, tensor) in &mut inputs {
            if let Some((_, by, step)) = moved.filter(|moved| moved.0 == name) {
                let values: Vec<f64> = tensor.to_f64().iter().zip(by).map(|(x, by)| x + step * by).collect();
                *tensor = Tensor::from_f64(tensor.ty().clone(), &values).expect("as many elements");
            }
        }
        let given: Vec<(&str, TensorView<'_>)> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
        let found = self.session.run_blocking(&given).expect("a run");
        let gradients = self.subjects.iter().map(|name| format!("gradient.{name}"));
        let names = self.outputs.iter().map(ToString::to_string).chain(gradients);
        names.filter_map(|name| Some((name.clone(), found.get(&name)?.to_f64()))).collect()
    }

    /// What the outputs are worth together.
    fn worth(&self, found: &[(String, Vec<f64>)]) -> f64 {
        let of = |name: &str| self.inputs.iter().find(|(own, _)| *own == format!("upstream.{name}")).map(|(_, t)| t.to_f64());
        let dot = |(name, values): &(String, Vec<f64>)| Some(of(name)?.iter().zip(values).map(|(a, b)| a * b).sum::<f64>());
        found.iter().filter_map(dot).sum()
    }

    /// Moves each input in a random direction.
    fn check(&self, random: &mut Random, what: &str) {
        let found = self.run(None);
        for name in &self.subjects {
            let (_, gradient) = found.iter().find(|(own, _)| *own == format!("gradient.{name}")).expect("a gradient");
            let by = random.floats(&[gradient.len()]).to_f64();
            let [above, below] = [STEP, -STEP].map(|step| self.worth(&self.run(Some((name, &by, step)))));
            let truth = (above - below) / (2.0 * STEP);
            let own: f64 = gradient.iter().zip(&by).map(|(a, b)| a * b).sum();
            assert!((own - truth).abs() <= 1e-7 * (1.0 + truth.abs()), "{what}, {name}: expected {truth}, found {own}");
        }
    }
}

#[test]
fn training_recurrent_layers_against_differences() {
    let mut random = Random::new(0x5EED);
    let (linear, scaled) = (Cell::Gru { linear_before_reset: true }, Cell::Gru { linear_before_reset: false });
    let cells = [Cell::Rnn, linear, scaled, Cell::Lstm { input_forget: false }, Cell::Lstm { input_forget: true }];
    for cell in cells {
        for (direction, batch_first, clip, lengths) in [
            (Direction::Forward, false, None, false),
            (Direction::Reverse, true, Some(0.5), false),
            (Direction::Bidirectional, false, Some(0.5), true),
            (Direction::Bidirectional, true, None, true),
        ] {
            let layer = Recurrent { direction, batch_first, clip, ..Recurrent::new(cell) };
            for skipped in [0, 1] {
                Layer::new(&mut random, layer.clone(), lengths, skipped).check(&mut random, &format!("{layer:?}"));
            }
        }
    }
    use ActivationFunction::{
        Affine, Elu, HardSigmoid, LeakyRelu, Relu, ScaledTanh, Sigmoid, Softplus, Softsign, Tanh, ThresholdedRelu,
    };
    for function in [Sigmoid, Tanh, Relu, Affine, LeakyRelu, ThresholdedRelu, ScaledTanh, HardSigmoid, Elu, Softsign, Softplus] {
        for cell in cells {
            let activations = vec![Activation { function, alpha: 0.3, beta: 0.4 }; cell.activations()];
            let layer = Recurrent { activations, ..Recurrent::new(cell) };
            Layer::new(&mut random, layer.clone(), true, 0).check(&mut random, &format!("{layer:?}"));
        }
    }
}

#[test]
fn training_goes_back_through_a_layer_in_few_dispatches() {
    let [steps, batch, hidden] = [20, 32, 256];
    let shapes: [&[usize]; 4] = [&[steps, batch, hidden], &[1, 3 * hidden, hidden], &[1, 3 * hidden, hidden], &[1, 6 * hidden]];
    let mut builder = Builder::new("layer");
    let ids = NAMES.iter().zip(shapes).map(|(name, shape)| {
        let dims: Vec<Dim> = shape.iter().map(|d| Dim::Known(*d)).collect();
        Some(builder.input(name, DType::F32, &dims))
    });
    let ids: Vec<_> = ids.collect();
    let y = builder.node("y", recurrent(Recurrent::new(Cell::Gru { linear_before_reset: true })), &ids);
    builder.output("y", y).expect("the name is free");
    let forward = builder.finish().expect("a valid graph");
    let both = train::with_gradients(&forward, &["y"], &["y"], &NAMES[..4]).expect("it has gradients");
    for caps in [Caps::portable(), Caps::software()] {
        let plans = [&forward, &both].map(|graph| {
            let upstream: [&[usize]; 1] = [&[steps, 1, batch, hidden]];
            let given = shapes.iter().chain(upstream.iter().filter(|_| !std::ptr::eq(graph, &forward)));
            let given: Vec<Tensor> = given.map(|shape| Tensor::zeros(TensorType::new(DType::F32, *shape))).collect();
            let graph = optimized(graph, &given, &caps).expect("the passes keep the graph sound");
            planned(&graph.expect("no shape depends on data"), &caps).expect("the graph is sound")
        });
        let count = plans[1].steps().count() - plans[0].steps().count();
        // On a software adapter a product packs both of its operands.
        let most = if caps == Caps::software() { 18 } else { 12 };
        assert!(count <= most, "{count} dispatches on {caps}\n{}", plans[1]);
    }
}
