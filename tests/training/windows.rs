//! Gradients of operators that slide windows, against central differences in double precision, and on the device against those.

use super::{difference, floats};
use crate::support::gpu;
use gristmill::graph::{Builder, Dim, Graph};
use gristmill::operators::{
    self, AutoPad, Coordinates, Interpolation, Operator, Resize, Rounding, SlidingWindow, average_pool, conv, conv_transpose,
    max_pool,
};
use gristmill::{DType, Model, Options, Outputs, Session, Tensor, TensorType, TensorView, train};

/// An operator on inputs of these shapes, the first `outputs` of whose outputs count.
struct Case {
    name: &'static str,
    op: Operator,
    inputs: Vec<Vec<usize>>,
    /// What follows the inputs, known with the graph.
    constants: Vec<Option<Tensor>>,
    outputs: usize,
}

fn case(name: &'static str, op: Operator, inputs: &[&[usize]]) -> Case {
    let inputs = inputs.iter().map(|shape| shape.to_vec()).collect();
    Case { name, op, inputs, constants: vec![], outputs: 1 }
}

/// Numbers from -1 to 1, no two of them near each other or 0 where there are few.
fn numbers(shape: &[usize], seed: usize) -> Tensor {
    let count: usize = shape.iter().product();
    let at = |k: usize| ((k + 1 + 7 * seed) as f64 * 0.618_033_988_749_894_9).fract() * 2.0 - 1.0;
    let value = |k: usize| f64::from((at(k) + 0.011 * at(k).signum()) as f32);
    Tensor::from_f64(TensorType::new(DType::F64, shape), &(0..count).map(value).collect::<Vec<_>>()).expect("as many")
}

impl Case {
    fn graph(&self, dtype: DType) -> Graph {
        let mut builder = Builder::new(self.name);
        let mut inputs = vec![];
        for (k, shape) in self.inputs.iter().enumerate() {
            let dims: Vec<Dim> = shape.iter().map(|extent| Dim::Known(*extent)).collect();
            inputs.push(Some(builder.input(&format!("x{k}"), dtype, &dims)));
        }
        for constant in &self.constants {
            inputs.push(constant.clone().map(|tensor| builder.constant("constant", tensor)));
        }
        let outputs: Vec<_> = (0..self.outputs).map(|k| builder.value(&format!("y{k}"), None)).collect();
        builder.push("node", self.op.clone(), inputs, outputs.iter().copied().map(Some).collect());
        for (k, output) in outputs.iter().enumerate() {
            builder.output(&format!("y{k}"), *output).expect("a new name");
        }
        builder.finish().expect("a graph")
    }

    /// The gradients in floats of this dtype.
    fn gradients(&self, inputs: &[Tensor], upstream: &[Tensor], dtype: DType) -> Result<Vec<Tensor>, String> {
        let outputs: Vec<String> = (0..self.outputs).map(|k| format!("y{k}")).collect();
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let names: Vec<String> = (0..inputs.len()).map(|k| format!("x{k}")).collect();
        let subjects: Vec<&str> = names.iter().map(String::as_str).collect();
        let graph = train::with_gradients(&self.graph(dtype), &outputs, &outputs, &subjects).map_err(|e| e.to_string())?;
        let given = names.iter().cloned().zip(inputs);
        let given = given.chain(outputs.iter().map(|name| format!("upstream.{name}")).zip(upstream));
        let given: Vec<(String, Tensor)> = given.map(|(name, tensor)| (name, floats(tensor, dtype))).collect();
        let found = run(&Model::from_graph(graph), &given, dtype)?;
        Ok(names.iter().map(|name| found[format!("gradient.{name}").as_str()].clone()).collect())
    }

    /// What is wrong.
    fn check(&self) -> Result<(), String> {
        let mut inputs: Vec<Tensor> = self.inputs.iter().enumerate().map(|(k, shape)| numbers(shape, k)).collect();
        let forward = Model::from_graph(self.graph(DType::F64));
        let named =
            |inputs: &[Tensor]| inputs.iter().enumerate().map(|(k, tensor)| (format!("x{k}"), tensor.clone())).collect::<Vec<_>>();
        let outputs = run(&forward, &named(&inputs), DType::F64)?;
        let upstream: Vec<Tensor> = outputs.iter().enumerate().map(|(k, (_, y))| numbers(y.shape(), 5 + k)).collect();
        let worth = |inputs: &[Tensor]| -> Result<f64, String> {
            let outputs = run(&forward, &named(inputs), DType::F64)?;
            let products =
                outputs.iter().zip(&upstream).flat_map(|((_, y), u)| y.to_f64().into_iter().zip(u.to_f64()).collect::<Vec<_>>());
            Ok(products.map(|(y, u)| y * u).sum())
        };
        let found = self.gradients(&inputs, &upstream, DType::F64)?;
        let step = 1e-5;
        for k in 0..inputs.len() {
            let (own, mut truth) = (inputs[k].clone(), vec![]);
            for element in 0..own.to_f64().len() {
                let mut moved = |by: f64| {
                    let mut values = own.to_f64();
                    values[element] += by;
                    inputs[k] = Tensor::from_f64(own.ty().clone(), &values).expect("as many");
                    worth(&inputs)
                };
                truth.push((moved(step)? - moved(-step)?) / (2.0 * step));
            }
            inputs[k] = own.clone();
            let truth = Tensor::from_f64(own.ty().clone(), &truth).expect("as many");
            if let Some(wrong) = difference(&found[k], &truth, 1e-6, 1e-7) {
                return Err(format!("x{k}: {wrong}"));
            }
        }
        let device = self.gradients(&inputs, &upstream, DType::F32)?;
        let wrong = device.iter().zip(&found).find_map(|(device, found)| difference(device, found, 1e-4, 2e-5));
        wrong.map_or(Ok(()), |wrong| Err(format!("on the device: {wrong}")))
    }
}

fn run(model: &Model, inputs: &[(String, Tensor)], dtype: DType) -> Result<Outputs, String> {
    let given: Vec<(&str, TensorView<'_>)> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
    let session = match dtype {
        DType::F64 => Session::cpu(model, Options::default()),
        _ => Session::new_blocking(gpu(), model, Options::default()),
    };
    session.and_then(|session| session.run_blocking(&given)).map_err(|e| e.to_string())
}

fn window(kernel: &[i64], strides: &[i64], dilations: &[i64], pads: &[i64]) -> SlidingWindow {
    let [kernel_shape, strides, dilations, pads] = [kernel, strides, dilations, pads].map(<[i64]>::to_vec);
    SlidingWindow { kernel_shape, strides, dilations, pads, auto_pad: AutoPad::NotSet }
}

fn same(kernel: &[i64], strides: &[i64], auto_pad: AutoPad) -> SlidingWindow {
    SlidingWindow { auto_pad, ..window(kernel, strides, &[], &[]) }
}

fn convolutions() -> Vec<Case> {
    let all = window(&[], &[2, 1], &[1, 2], &[2, 0, 0, 3]);
    let cropping = window(&[], &[2], &[2], &[-1, -2]);
    vec![
        case("Conv of everything", conv(all.clone(), 2), &[&[2, 4, 6, 5], &[6, 2, 3, 2], &[6]]),
        case("Conv that crops", conv(cropping, 1), &[&[2, 2, 12], &[3, 2, 3], &[3]]),
        case("Conv SAME_UPPER", conv(same(&[], &[2, 2], AutoPad::SameUpper), 1), &[&[1, 2, 5, 6], &[2, 2, 2, 3]]),
        case("Conv SAME_LOWER", conv(same(&[], &[1, 2], AutoPad::SameLower), 3), &[&[2, 3, 4, 5], &[6, 1, 2, 2]]),
        case(
            "Conv of volumes",
            conv(window(&[], &[1, 2, 1], &[], &[0, 1, 0, 1, 0, 1]), 1),
            &[&[1, 2, 3, 4, 3], &[2, 2, 2, 2, 2], &[2]],
        ),
        case("Conv of many channels", conv(window(&[], &[], &[], &[1, 1, 1, 1]), 1), &[&[1, 8, 3, 3], &[8, 8, 3, 3]]),
        case(
            "ConvTranspose of everything",
            conv_transpose(window(&[], &[3, 2], &[1, 2], &[2, 0, 0, 1]), 2, vec![2, 1], vec![]),
            &[&[2, 4, 3, 2], &[4, 2, 3, 2], &[4]],
        ),
        case(
            "ConvTranspose to a shape",
            conv_transpose(window(&[], &[2], &[], &[]), 1, vec![], vec![8]),
            &[&[2, 2, 4], &[2, 3, 3], &[3]],
        ),
        case(
            "ConvTranspose SAME_UPPER",
            conv_transpose(same(&[], &[2, 1], AutoPad::SameUpper), 1, vec![], vec![]),
            &[&[1, 2, 3, 3], &[2, 2, 3, 2]],
        ),
        Case {
            outputs: 2,
            ..case("CausalConvWithState", operators::causal_conv_with_state(), &[&[2, 3, 5], &[3, 1, 4], &[3], &[2, 3, 3]])
        },
        Case { outputs: 2, ..case("CausalConvWithState alone", operators::causal_conv_with_state(), &[&[1, 2, 6], &[2, 1, 3]]) },
    ]
}

fn pools() -> Vec<Case> {
    let overlapping = || window(&[3, 2], &[2, 1], &[1, 2], &[1, 0, 2, 1]);
    let partly = || window(&[2, 2], &[2, 2], &[], &[]);
    let image: &[&[usize]] = &[&[2, 2, 6, 5]];
    vec![
        case("MaxPool", max_pool(overlapping(), false, false), image),
        case("MaxPool of columns", max_pool(overlapping(), true, true), image),
        case("MaxPool in large planes", max_pool(partly(), true, false), &[&[1, 2, 7, 9]]),
        case("MaxPool SAME_LOWER", max_pool(same(&[2, 3], &[1, 2], AutoPad::SameLower), false, false), image),
        case("MaxPool of volumes", max_pool(window(&[2, 2, 2], &[1, 2, 1], &[], &[]), false, false), &[&[1, 1, 3, 4, 5]]),
        case("AveragePool", average_pool(overlapping(), false, false), image),
        case("AveragePool of pads", average_pool(overlapping(), true, true), image),
        case("AveragePool of parts", average_pool(partly(), true, false), image),
        case("AveragePool SAME_UPPER", average_pool(same(&[3], &[2], AutoPad::SameUpper), false, true), &[&[2, 1, 6]]),
        case("LpPool 1", operators::lp_pool(overlapping(), false, 1), image),
        case("LpPool 2", operators::lp_pool(overlapping(), true, 2), image),
        case("LpPool 3", operators::lp_pool(partly(), true, 3), image),
        case("GlobalLpPool 3", operators::global_lp_pool(3), image),
        case("LRN", operators::lrn(0.5, 0.75, 1.5, 3).expect("a size"), &[&[2, 5, 3]]),
        case("LRN of an even size", operators::lrn(2.0, 1.25, 1.0, 4).expect("a size"), &[&[1, 6, 2, 2]]),
    ]
}

fn resized(name: &'static str, op: Resize, scales: &[f32]) -> Case {
    let constants = vec![None, Some(Tensor::vector(scales))];
    Case { constants, ..case(name, operators::resize(op), &[&[1, 2, 5, 4]]) }
}

fn resizes() -> Vec<Case> {
    let with = |interpolation: Interpolation, coordinates: Coordinates| Resize { interpolation, coordinates, ..Resize::default() };
    let nearest = with(Interpolation::Nearest(Rounding::PreferCeil), Coordinates::HalfPixel);
    let linear = with(Interpolation::Linear, Coordinates::AlignCorners);
    let cubic = with(Interpolation::Cubic(-0.75), Coordinates::HalfPixel);
    let region = with(Interpolation::Linear, Coordinates::CropAndResize);
    let bounds = Some(Tensor::vector(&[0.0f32, 0.0, 0.1, -0.2, 1.0, 1.0, 0.7, 1.1]));
    let maps = Tensor::vector(&[2i64, 1, 3, 4]);
    vec![
        resized("Resize to more", nearest.clone(), &[1.0, 1.0, 2.0, 3.0]),
        resized("Resize to less", nearest, &[1.0, 1.0, 0.6, 1.5]),
        resized("Resize linearly", linear, &[1.0, 1.0, 1.7, 0.75]),
        resized("Resize by polynomials", cubic.clone(), &[1.0, 2.0, 1.4, 0.5]),
        resized("Resize antialiased", Resize { antialias: true, exclude_outside: true, ..cubic }, &[1.0, 1.0, 0.4, 0.5]),
        Case { constants: vec![bounds, Some(Tensor::vector(&[1.0f32, 1.0, 1.2, 2.0]))], ..resized("Resize a region", region, &[]) },
        Case { constants: vec![Some(maps)], ..case("AffineGrid", operators::affine_grid(false), &[&[2, 2, 3]]) },
    ]
}

fn check(cases: Vec<Case>) {
    let wanted = std::env::var("TRAINING_CASES").unwrap_or_default();
    let checked = cases.iter().filter(|case| case.name.contains(&wanted));
    let wrong: Vec<String> = checked.filter_map(|case| Some(format!("{}: {}", case.name, case.check().err()?))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn training_convolutions_by_differences() {
    check(convolutions());
}

#[test]
fn training_pools_by_differences() {
    check(pools());
}

#[test]
fn training_resizes_by_differences() {
    check(resizes());
}
