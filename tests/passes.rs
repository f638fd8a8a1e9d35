//! Passes change the nodes of a graph, never what it computes: held on every network, by the references alone.

use crate::cases::Tolerance;
use crate::models::{data_sets, folders};
use crate::support::{difference, optimized};
use gristmill::internals::graph::{Graph, evaluate};
use gristmill::internals::kernel::Caps;
use gristmill::{Model, Tensor};

/// What the networks' other tests allow between frameworks.
const FRAMEWORKS: Tolerance = Tolerance { relative: 1e-3, absolute: 1e-4 };

/// The outputs of an optimised graph, whose inputs are some of the original's.
fn outputs(original: &Graph, graph: &Graph, inputs: &[Tensor]) -> Vec<Tensor> {
    let place = |name: &str| original.inputs().iter().position(|i| original.value(i.value).name == name);
    let given = graph.inputs().iter().map(|i| inputs[place(&graph.value(i.value).name).expect("an input of the original")].clone());
    let values = evaluate(graph, &given.collect::<Vec<_>>()).expect("the references run");
    graph.outputs().iter().map(|id| values[id.index()].clone().expect("an output")).collect()
}

#[test]
fn optimizing_keeps_the_meaning_of_every_network() {
    let mut found = Vec::new();
    for folder in folders() {
        let model = Model::load(folder.join("model.onnx")).expect("the model is sound");
        for (inputs, expected) in data_sets(&folder) {
            let graph = optimized(model.graph(), &inputs, &Caps::portable()).expect("the passes keep the graph sound");
            let graph = graph.expect("no shape depends on what is computed");
            assert!(graph.nodes().len() < model.graph().nodes().len(), "{}: the passes did nothing", folder.display());
            for (output, expected) in outputs(model.graph(), &graph, &inputs).iter().zip(&expected) {
                found.extend(difference(output, expected, FRAMEWORKS).map(|d| format!("{}: {d}", folder.display())));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
