//! Rules of operators against central differences, in double precision by the references.

use gristmill::internals::graph::{Builder, Dim, Graph, Op};
use gristmill::{DType, Model, Options, Session, Tensor, TensorType, TensorView, train};
use std::sync::Arc;

/// An operator between inputs, some of which may be left out.
pub struct Check {
    /// The operator.
    pub op: Arc<dyn Op>,
    /// What it reads.
    pub inputs: Vec<Option<Tensor>>,
    /// Which of its outputs are followed back.
    pub outputs: Vec<usize>,
    /// How many outputs it has.
    pub count: usize,
    /// Which inputs are subjects.
    pub subjects: Vec<usize>,
    /// How far an element is moved to either side, and how far a gradient may be from the difference, in parts of the greatest.
    pub step: [f64; 2],
}

/// For what is computed in double precision.
pub const FINE: [f64; 2] = [1e-5, 1e-7];
/// For what is rounded to f32 on its way.
pub const COARSE: [f64; 2] = [1e-2, 1e-3];

/// Floats in double precision between -2 and 2, which follow from the seed (the multiplier of Steele and Vigna 2021).
pub fn doubles(seed: u64, shape: &[usize]) -> Tensor {
    let ty = TensorType::new(DType::F64, shape.to_vec());
    let mut state = seed.wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(0x9e37_79b9);
        (state >> 40) as f64 / f64::from(1 << 22) - 2.0
    };
    let values: Vec<f64> = (0..ty.elements() + 9).map(|_| next()).skip(9).collect();
    Tensor::from_f64(ty, &values).expect("as many elements")
}

fn sum_of_products(a: &Tensor, b: &Tensor) -> f64 {
    a.to_f64().iter().zip(b.to_f64()).map(|(a, b)| a * b).sum()
}

impl Check {
    fn graph(&self) -> Graph {
        let mut b = Builder::new("check");
        let mut inputs = Vec::new();
        for (k, input) in self.inputs.iter().enumerate() {
            inputs.push(input.as_ref().map(|tensor| {
                let dims: Vec<Dim> = tensor.shape().iter().map(|d| Dim::Known(*d)).collect();
                b.input(&format!("x{k}"), tensor.dtype(), &dims)
            }));
        }
        let outputs: Vec<_> = (0..self.count).map(|k| b.value(&format!("y{k}"), None)).collect();
        b.push("node", self.op.clone(), inputs, outputs.iter().copied().map(Some).collect());
        for k in &self.outputs {
            b.output(&format!("y{k}"), outputs[*k]).expect("a name of its own");
        }
        b.finish().expect("a graph")
    }

    /// The gradients of the subjects, given what changes of the outputs are worth.
    pub fn gradients(&self, worth: &[Tensor]) -> Vec<Tensor> {
        let names: Vec<String> = self.outputs.iter().map(|k| format!("y{k}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let subjects: Vec<String> = self.subjects.iter().map(|k| format!("x{k}")).collect();
        let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
        let graph = train::with_gradients(&self.graph(), &names, &names, &subjects).expect("names of the graph");
        let session = Session::cpu(&Model::from_graph(graph), Options::default()).expect("a session");
        let mut given = self.given();
        given.extend(names.iter().zip(worth).map(|(name, worth)| (format!("upstream.{name}"), worth.clone())));
        let given: Vec<(&str, TensorView<'_>)> = given.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
        let found = session.run_blocking(&given).expect("a run");
        subjects.iter().map(|name| found.get(&format!("gradient.{name}")).expect("a gradient").clone()).collect()
    }

    fn given(&self) -> Vec<(String, Tensor)> {
        let named = |(k, input): (usize, &Option<Tensor>)| Some((format!("x{k}"), input.clone()?));
        self.inputs.iter().enumerate().filter_map(named).collect()
    }

    /// What the operator makes of the inputs, one of them moved.
    fn outputs(&self, moved: Option<(usize, usize, f64)>) -> Vec<Tensor> {
        let mut inputs = self.inputs.clone();
        if let Some((index, element, by)) = moved {
            let old = inputs[index].take().expect("a subject");
            let mut values = old.to_f64();
            values[element] += by;
            inputs[index] = Some(Tensor::from_f64(old.ty().clone(), &values).expect("as many elements"));
        }
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Option::as_ref).collect();
        let outputs = self.op.reference(&inputs).expect("outputs");
        self.outputs.iter().map(|k| outputs[*k].clone()).collect()
    }

    /// Holds the rule against differences.
    pub fn holds(&self, what: &str) {
        let of_type =
            |y: &Tensor| Tensor::from_f64(y.ty().clone(), &doubles(77, y.shape().dims()).to_f64()).expect("as many elements");
        let worth: Vec<Tensor> = self.outputs(None).iter().map(of_type).collect();
        let [step, bound] = self.step;
        let total = |outputs: Vec<Tensor>| outputs.iter().zip(&worth).map(|(y, w)| sum_of_products(y, w)).sum::<f64>();
        for (subject, found) in self.subjects.iter().zip(self.gradients(&worth)) {
            let found = found.to_f64();
            let most = found.iter().map(|x| x.abs()).fold(1e-3, f64::max);
            for (element, found) in found.iter().enumerate() {
                let [above, below] = [step, -step].map(|by| total(self.outputs(Some((*subject, element, by)))));
                let truth = (above - below) / (2.0 * step);
                assert!((found - truth).abs() <= bound * most, "{what}: input {subject} at {element}: {truth}, found {found}");
            }
        }
    }
}
