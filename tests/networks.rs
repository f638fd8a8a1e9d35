//! The networks of `gristmill::models`, and the losses that any graph is given by name.

mod anew;
mod constants;
mod images;
mod losses;
mod sequences;

use crate::cases::F32;
use crate::support::{difference, gpu};
use gristmill::graph::Graph;
use gristmill::train::{Safetensors, Step, StepOptions, parameters};
use gristmill::{Model, Options, Outputs, Session, Tensor, TensorView};
use std::path::Path;

/// Tensors by their names.
pub type Tensors = Vec<(String, Tensor)>;

pub fn views(tensors: &Tensors) -> Vec<(&str, TensorView<'_>)> {
    tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect()
}

/// Tensors of a file in the folder of the tests.
pub struct File(Tensors);

impl File {
    pub fn open(path: &str) -> File {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path);
        File(Safetensors::load(path).expect("a file of tensors").tensors)
    }

    pub fn get(&self, name: &str) -> Tensor {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("a tensor {name}")).1.clone()
    }

    /// The tensors whose names begin so, by the rest of their names.
    pub fn under(&self, prefix: &str) -> Tensors {
        let rest = |(name, tensor): &(String, Tensor)| Some((name.strip_prefix(prefix)?.to_string(), tensor.clone()));
        self.0.iter().filter_map(rest).collect()
    }
}

/// The digits of the tests, with colors from 0 to 1.
pub fn digits() -> Tensors {
    let file = File::open("networks/digits.safetensors");
    let image = file.get("image");
    let colors: Vec<f32> = image.as_slice::<u8>().expect("bytes").iter().map(|color| f32::from(*color) / 255.0).collect();
    let image = Tensor::new(image.shape().clone(), &colors).expect("as many");
    vec![("image".into(), image), ("target".into(), file.get("label"))]
}

/// A run by the references, or on the device with no node on the host.
pub fn run(graph: &Graph, on_device: bool, inputs: &Tensors) -> Outputs {
    let model = Model::from_graph(graph.clone());
    let session = match on_device {
        true => Session::new_blocking(gpu(), &model, Options { strict_gpu: true, ..Options::default() }),
        false => Session::cpu(&model, Options::default()),
    };
    session.expect("the graph is sound").run_blocking(&views(inputs)).expect("it runs")
}

/// Training of all parameters by one batch on the device: the step, and its losses.
pub fn trained(
    graph: &Graph,
    optimizer: impl Into<gristmill::train::Optimizer>,
    batch: &Tensors,
    steps: usize,
) -> (Step, Vec<f64>) {
    let options = StepOptions::new("loss", parameters(graph, "loss"), optimizer);
    let mut step = Step::new(gpu(), graph, options).expect("it can be trained");
    let losses = (0..steps).map(|_| {
        step.step_blocking(&views(batch)).expect("it learns");
        step.loss_blocking().expect("a loss")
    });
    let losses = losses.collect();
    (step, losses)
}

/// Holds the graph that is read back from a graph's ONNX file against it.
pub fn check_round_trip(graph: &Graph, inputs: &Tensors) {
    let file = graph.to_onnx().expect("it has a form");
    let back = Model::from_bytes(&file, None).expect("it is a file");
    let (there, back) = (run(graph, false, inputs), run(back.graph(), false, inputs));
    for id in graph.outputs() {
        let name = &graph.value(*id).name;
        // A file may have several nodes for one of the graph's, whose results are rounded.
        assert_eq!(difference(&back[name.as_str()], &there[name.as_str()], F32), None, "{name}");
    }
}
