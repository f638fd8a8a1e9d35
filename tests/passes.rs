//! Passes change the nodes of a graph, never what it computes: held on every model, and on patterns that models vary.

use gristmill::graph::{Fact, Graph, evaluate};
use gristmill::passes::{Options, Specialized, optimize, specialize};
use gristmill::{DType, Model, Tensor};
use std::path::{Path, PathBuf};

/// The folders of the shipped models.
pub fn models() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(root).expect("the models are there").map(|e| e.expect("an entry").path()).collect();
    folders.retain(|f| f.join("model.onnx").exists());
    folders.sort();
    folders
}

/// The inputs of a model's first test set, in the order of its declared inputs.
pub fn inputs(folder: &Path) -> Vec<Tensor> {
    let read = |index| std::fs::read(folder.join(format!("test_data_set_0/input_{index}.pb"))).ok();
    (0..).map_while(read).map(|bytes| gristmill::import::onnx::tensor_from_bytes(&bytes).expect("a tensor").1).collect()
}

/// The graph for inputs of these types; integers of a few elements are known values, as a session would make them.
pub fn specialized(graph: &Graph, inputs: &[Tensor]) -> Graph {
    let typed: Vec<Fact> = inputs
        .iter()
        .map(|t| Fact::new(t.dtype(), t.shape().clone()).bounded((t.dtype() == DType::I64).then_some((-(1 << 24), 1 << 24))))
        .collect();
    if let Specialized::Graph(graph) = specialize(graph, &typed).expect("the shapes are consistent") {
        return graph;
    }
    let known: Vec<Fact> =
        inputs.iter().zip(typed).map(|(t, fact)| if t.dtype() == DType::I64 { Fact::of(t.clone()) } else { fact }).collect();
    match specialize(graph, &known).expect("the shapes are consistent") {
        Specialized::Graph(graph) => graph,
        Specialized::Blocked { value, .. } => panic!("`{}` blocks the specialisation", graph.value(value).name),
    }
}

/// The outputs of a specialised graph, whose inputs are some of the original's.
pub fn outputs(original: &Graph, graph: &Graph, inputs: &[Tensor]) -> Vec<Tensor> {
    let names: Vec<&str> = original.inputs().iter().map(|i| original.value(i.value).name.as_str()).collect();
    let given: Vec<Tensor> = graph
        .inputs()
        .iter()
        .map(|i| inputs[names.iter().position(|n| *n == graph.value(i.value).name).expect("an input of the original")].clone())
        .collect();
    let values = evaluate(graph, &given).expect("the references run");
    graph.outputs().iter().map(|id| values[id.index()].clone().expect("an output")).collect()
}

fn assert_close(what: &str, actual: &Tensor, expected: &Tensor) {
    assert_eq!(actual.ty(), expected.ty(), "{what}");
    for (i, (a, e)) in actual.to_f64().iter().zip(expected.to_f64()).enumerate() {
        assert!((a - e).abs() <= 1e-4 + 1e-3 * e.abs() || a == &e, "{what}: element {i}: expected {e}, found {a}");
    }
}

#[test]
fn optimizing_keeps_the_meaning_of_every_model() {
    for folder in models() {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let model = Model::load(folder.join("model.onnx")).expect("the model imports");
        let inputs = inputs(&folder);
        let plain = specialized(model.graph(), &inputs);
        let optimized = optimize(&plain, &Options::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        println!("{name}: {} nodes, {} after passes", plain.nodes().len(), optimized.nodes().len());
        for (index, (a, e)) in
            outputs(model.graph(), &optimized, &inputs).iter().zip(outputs(model.graph(), &plain, &inputs)).enumerate()
        {
            assert_close(&format!("{name}: output {index}"), a, &e);
        }
    }
}
