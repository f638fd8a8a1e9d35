//! Gradients against central differences in double precision, and the device's against those of the references: what the files of
//! tests/training leave out.

use super::difference;
use crate::properties::idioms::network::{Attribute, Network, Node};
use crate::support::gpu;
use gristmill::{DType, Model, Options, Session, Tensor, TensorType, TensorView, train};

/// An operator, its attributes, and its inputs in order; those of floats are what gradients are with respect to.
pub struct Case {
    pub operator: &'static str,
    pub attributes: Vec<(&'static str, Attribute)>,
    pub inputs: Vec<Tensor>,
}

/// Distinct numbers between -1.5 and 1.5 in no order.
pub fn floats(seed: u64, shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((state >> 40) as u32) / f64::from(1u32 << 24) * 3.0 - 1.5
    };
    let values: Vec<f64> = (0..count).map(|_| f64::from(next() as f32)).collect();
    Tensor::from_f64(TensorType::new(DType::F64, shape.to_vec()), &values).expect("as many elements")
}

pub fn given(shape: &[usize], values: &[f64]) -> Tensor {
    Tensor::from_f64(TensorType::new(DType::F64, shape.to_vec()), values).expect("as many elements")
}

pub fn integers(shape: &[usize], values: &[i64]) -> Tensor {
    Tensor::new(shape.to_vec(), values).expect("as many elements")
}

/// A tensor whose floats are of this dtype.
fn with(tensor: &Tensor, dtype: DType) -> Tensor {
    if !tensor.dtype().is_float() {
        return tensor.clone();
    }
    Tensor::from_f64(TensorType::new(dtype, tensor.shape().clone()), &tensor.to_f64()).expect("as many elements")
}

impl Case {
    fn network(&self, inputs: &[Tensor], output: Option<&TensorType>) -> Network {
        let mut network = Network { version: 26, outputs: vec!["y".into()], ..Network::default() };
        network.inputs = inputs.iter().enumerate().map(|(k, tensor)| (format!("x{k}"), tensor.clone())).collect();
        if let Some(ty) = output {
            network.types.insert("y".into(), ty.clone());
        }
        network.nodes.push(Node {
            operator: self.operator.into(),
            domain: String::new(),
            inputs: network.inputs.iter().map(|(name, _)| name.clone()).collect(),
            outputs: vec!["y".into()],
            attributes: self.attributes.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
        });
        network
    }

    fn inputs(&self, dtype: DType) -> Vec<Tensor> {
        self.inputs.iter().map(|tensor| with(tensor, dtype)).collect()
    }

    /// The output, by the reference.
    fn value(&self, inputs: &[Tensor]) -> Tensor {
        let network = self.network(inputs, Some(inputs.iter().find(|x| x.dtype().is_float()).expect("a float").ty()));
        let model = Model::from_bytes(&network.encode(), None).expect("a model");
        let session = Session::cpu(&model, Options::default()).expect("a session");
        let given: Vec<(&str, TensorView<'_>)> = network.inputs.iter().map(|(name, x)| (name.as_str(), x.view())).collect();
        session.run_blocking(&given).expect("a run").get("y").expect("an output").clone()
    }

    /// The gradients of the inputs of floats.
    fn gradients(&self, dtype: DType, worth: &Tensor) -> Result<Vec<Tensor>, String> {
        let inputs = self.inputs(dtype);
        let network = self.network(&inputs, Some(with(worth, dtype).ty()));
        let text = |e: gristmill::Error| e.to_string();
        let model = Model::from_bytes(&network.encode(), None).map_err(text)?;
        let subjects: Vec<String> = (0..inputs.len()).filter(|k| inputs[*k].dtype().is_float()).map(|k| format!("x{k}")).collect();
        let names: Vec<&str> = subjects.iter().map(String::as_str).collect();
        let graph = train::with_gradients(model.graph(), &["y"], &["y"], &names).map_err(text)?;
        let model = Model::from_graph(graph);
        let worth = with(worth, dtype);
        let mut given: Vec<(&str, TensorView<'_>)> = network.inputs.iter().map(|(name, x)| (name.as_str(), x.view())).collect();
        given.push(("upstream.y", worth.view()));
        let session = match dtype {
            DType::F64 => Session::cpu(&model, Options::default()),
            _ => Session::new_blocking(gpu(), &model, Options::default()),
        };
        let outputs = session.and_then(|session| session.run_blocking(&given)).map_err(text)?;
        let found = |name: &String| outputs.get(&format!("gradient.{name}")).cloned().ok_or(format!("no gradient of {name}"));
        subjects.iter().map(found).collect()
    }

    /// The gradients by central differences.
    fn differences(&self, worth: &Tensor) -> Vec<Tensor> {
        const STEP: f64 = 1.0 / 65536.0;
        let inputs = self.inputs(DType::F64);
        let weights = worth.to_f64();
        let total = |inputs: &[Tensor]| self.value(inputs).to_f64().iter().zip(&weights).map(|(y, w)| y * w).sum::<f64>();
        let mut all = Vec::new();
        for (k, input) in inputs.iter().enumerate().filter(|(_, input)| input.dtype().is_float()) {
            let slope = |place: usize| {
                let at = |step: f64| {
                    let mut moved = inputs.clone();
                    let mut values = input.to_f64();
                    values[place] += step;
                    moved[k] = Tensor::from_f64(input.ty().clone(), &values).expect("as many elements");
                    total(&moved)
                };
                (at(STEP) - at(-STEP)) / (2.0 * STEP)
            };
            let values: Vec<f64> = (0..input.elements()).map(slope).collect();
            all.push(Tensor::from_f64(input.ty().clone(), &values).expect("as many elements"));
        }
        all
    }

    /// What is wrong with the gradients.
    fn check(&self) -> Result<(), String> {
        let shape = self.value(&self.inputs(DType::F64)).shape().to_vec();
        let worth = floats(99, &shape);
        let truth = self.differences(&worth);
        let exact = self.gradients(DType::F64, &worth)?;
        let device = self.gradients(DType::F32, &worth)?;
        for (k, truth) in truth.iter().enumerate() {
            for (name, found, bounds) in [("references", &exact[k], (1e-6, 1e-7)), ("device", &device[k], (1e-4, 2e-5))] {
                if let Some(wrong) = difference(found, truth, bounds.0, bounds.1) {
                    return Err(format!("by {name}, float input {k}: {wrong}"));
                }
            }
        }
        Ok(())
    }
}

/// Checks all cases of a list.
pub fn check(cases: &[Case]) {
    let wanted = std::env::var("TRAINING_CASES").unwrap_or_default();
    let mut failures = Vec::new();
    for (k, case) in cases.iter().enumerate().filter(|(_, case)| case.operator.contains(&wanted)) {
        if let Err(message) = case.check() {
            failures.push(format!("{k} {} {:?}: {message}", case.operator, case.attributes));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
