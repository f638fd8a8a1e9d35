//! What planning and recording cost the CPU: `cargo bench --bench plan`. Planning needs no GPU. Recording needs a device,
//! but none of its time is counted: commands are recorded and forgotten.

use gristmill::internals::graph::{Builder, Dim, Fact, Graph};
use gristmill::internals::kernel::Caps;
use gristmill::internals::ops::{elementwise, matmul, softmax};
use gristmill::internals::passes::{self, Specialized};
use gristmill::internals::plan::{Plan, PlanOptions};
use gristmill::{DType, Gpu, Model, Options, Power, Session, Tensor};
use std::time::{Duration, Instant};

/// How long each is timed.
const BUDGET: Duration = Duration::from_secs(3);

/// Prints the median time of `work`, in all and for each of its dispatches.
fn measure(name: &str, layers: usize, dispatches: usize, mut work: impl FnMut()) {
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 10 || start.elapsed() < BUDGET {
        let clock = Instant::now();
        work();
        times.push(clock.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let each = median / dispatches as f64;
    println!("{name:<8} {layers:>3} layers  {median:>9.1} us  {each:>7.2} us for each of {dispatches} dispatches");
}

/// Layers of a matrix product with a ReLU, and a softmax: two dispatches each.
fn network(layers: usize) -> Graph {
    let mut b = Builder::new("layers");
    let weight = Tensor::new([64, 64], &[0.01f32; 64 * 64]).expect("as many elements as the shape has");
    let mut x = b.input("x", DType::F32, &[Dim::Known(8), Dim::Known(64)]);
    for layer in 0..layers {
        let w = b.constant(&format!("w{layer}"), weight.clone());
        x = b.node(&format!("product{layer}"), matmul::matmul(), &[Some(x), Some(w)]);
        x = b.node(&format!("relu{layer}"), elementwise::unary("Relu").expect("Relu exists"), &[Some(x)]);
        x = b.node(&format!("softmax{layer}"), softmax::softmax(-1), &[Some(x)]);
    }
    b.output("y", x).expect("the name is free");
    b.finish().expect("the graph is sound")
}

fn planned(graph: &Graph, caps: &Caps) -> Plan {
    let facts = [Fact::new(DType::F32, [8, 64])];
    let Specialized::Graph(graph) = passes::specialize(graph, &facts).expect("the graph is sound") else {
        unreachable!("no shape depends on data")
    };
    let graph = passes::optimize(&graph, &passes::Options::default()).expect("the graph is sound");
    Plan::new(&graph, caps, &PlanOptions::default()).expect("the graph is sound")
}

fn main() {
    let gpu = Gpu::new_blocking(Power::High).expect("recording needs an adapter; lavapipe will do");
    let caps = Caps::portable();
    for layers in [8, 64] {
        let graph = network(layers);
        let dispatches = planned(&graph, &caps).steps().count();
        measure("plan", layers, dispatches, || drop(planned(&graph, &caps)));

        let session = Session::new_blocking(&gpu, &Model::from_graph(graph), Options::default()).expect("the graph is sound");
        let x = Tensor::new([8, 64], &[1.0f32; 512]).expect("as many elements as the shape has");
        let inputs = [("x", x.view())];
        let dispatches = session.rehearse_blocking(&inputs).expect("the model runs");
        measure("record", layers, dispatches, || drop(session.rehearse_blocking(&inputs)));
    }
}
