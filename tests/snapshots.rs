//! The plans of the networks, made without a device: three of them word for word, and limits that all of them keep.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test snapshots` accepts changed plans; look at the difference before committing it.

use crate::models::{data_sets, folders};
use crate::plan::excess;
use crate::support::{changed, optimized, planned};
use gristmill::internals::graph::{Builder, Dim};
use gristmill::internals::kernel::Caps;
use gristmill::internals::ops::rnn::{Cell, Direction, Recurrent, recurrent};
use gristmill::internals::plan::Plan;
use gristmill::{DType, Model, Tensor};
use std::fs;
use std::path::Path;

/// The plan of a network for its first data set.
fn plan(folder: &Path, caps: &Caps) -> Plan {
    let model = Model::load(folder.join("model.onnx")).expect("the model is sound");
    let (inputs, _) = data_sets(folder).into_iter().next().expect("every network has a data set");
    let graph = optimized(model.graph(), &inputs, caps).expect("the passes keep the graph sound");
    planned(&graph.expect("no shape depends on what is computed"), caps).unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
}

fn of(name: &str, caps: &Caps) -> Plan {
    plan(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(name), caps)
}

/// What a changed plan and the one on file first differ in.
fn changed_plan(name: &str, caps: &Caps) -> Option<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/{name}@{}.snap", caps.name));
    let kept = fs::read_to_string(&file).unwrap_or_default();
    // A few lines on where the text is from stand before it.
    let heading = kept.rsplit_once("---\n").map_or("---\nsource: tests/snapshots.rs\n", |(heading, _)| heading);
    changed(&file, &format!("{heading}---\n{}", of(name, caps)))
}

#[test]
fn plans_are_as_they_were() {
    let names = ["digit_cnn", "g2p_en_encoder", "gpt2_tiny"];
    let all = names.into_iter().flat_map(|name| [Caps::portable(), Caps::software()].map(|caps| (name, caps)));
    let changed: Vec<String> = all.filter_map(|(name, caps)| changed_plan(name, &caps)).collect();
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}

#[test]
fn networks_take_few_dispatches() {
    // On a software adapter a convolution takes two: its input is unfolded into a texture first.
    let portable = [("digit_cnn", 9), ("vit_tiny_hf", 32), ("gpt2_tiny", 32)];
    let software = [("digit_cnn", 12), ("vit_tiny_hf", 33), ("gpt2_tiny", 32)];
    for (caps, limits) in [(Caps::portable(), portable), (Caps::software(), software)] {
        for (name, limit) in limits {
            let plan = of(name, &caps);
            let count = plan.steps().count();
            assert!(count <= limit, "{name} on {caps}: expected at most {limit} dispatches, found {count}\n{plan}");
        }
    }
}

#[test]
fn networks_run_on_the_gpu_in_little_more_memory_than_they_must() {
    let mut found = Vec::new();
    for folder in folders() {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for caps in [Caps::portable(), Caps::software()] {
            let plan = plan(&folder, &caps);
            found.extend(plan.host_nodes().map(|node| {
                let path = &plan.graph.nodes()[node.node].path;
                format!("{name} on {caps}: {path} runs on the host: {}", node.reason)
            }));
            found.extend(excess(&name, &plan).map(|v| format!("{name} on {caps}: {v}")));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_gru_layer_takes_few_dispatches_per_direction() {
    for (direction, directions) in [(Direction::Forward, 1), (Direction::Reverse, 1), (Direction::Bidirectional, 2)] {
        for (length, hidden) in [(1, 16), (30, 96), (100, 256)] {
            let mut b = Builder::new("gru");
            let x = b.input("x", DType::F32, &[Dim::Known(length), Dim::Known(1), Dim::Known(40)]);
            let weight = |b: &mut Builder, shape: &[usize]| {
                let zeros = vec![0.0f32; shape.iter().product()];
                b.constant("weight", Tensor::new(shape, &zeros).expect("as many elements as the shape has"))
            };
            let w = weight(&mut b, &[directions, 3 * hidden, 40]);
            let r = weight(&mut b, &[directions, 3 * hidden, hidden]);
            let bias = weight(&mut b, &[directions, 6 * hidden]);
            let op = Recurrent { direction, ..Recurrent::new(Cell::Gru { linear_before_reset: true }) };
            let y = b.node("y", recurrent(op), &[Some(x), Some(w), Some(r), Some(bias)]);
            b.output("y", y).expect("the name is free");
            let graph = b.finish().expect("the graph is sound");
            let input = Tensor::new([length, 1, 40], &vec![0.0f32; length * 40]).expect("as many elements as the shape has");
            for caps in [Caps::portable(), Caps::software()] {
                let graph = optimized(&graph, std::slice::from_ref(&input), &caps).expect("the passes keep the graph sound");
                let plan = planned(&graph.expect("no shape depends on data"), &caps).expect("the graph is sound");
                let count = plan.steps().count();
                // A GPU takes all steps in one; on a software adapter a dispatch for each keeps all cores busy.
                let most = if caps == Caps::software() { length + 3 } else { 3 };
                assert!(count <= most * directions, "{count} dispatches on {caps}\n{plan}");
            }
        }
    }
}
