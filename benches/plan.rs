//! What planning and recording cost the CPU: `cargo bench --bench plan`. Planning needs no GPU. Recording needs a device,
//! but none of its time is counted: commands are recorded and forgotten.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gristmill::graph::{Builder, Dim, Fact, Graph};
use gristmill::kernel::Caps;
use gristmill::ops::{elementwise, matmul, softmax};
use gristmill::passes::{self, Specialized};
use gristmill::plan::{self, Plan};
use gristmill::{DType, Gpu, Model, Options, Power, Session, Tensor};

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
    Plan::new(&graph, caps, &plan::Options::default()).expect("the graph is sound")
}

fn plans(c: &mut Criterion) {
    let mut group = c.benchmark_group("plan");
    for layers in [8, 64] {
        let (graph, caps) = (network(layers), Caps::portable());
        group.throughput(Throughput::Elements(planned(&graph, &caps).steps().count() as u64));
        group.bench_function(BenchmarkId::from_parameter(layers), |b| b.iter(|| planned(&graph, &caps)));
    }
    group.finish();
}

fn recordings(c: &mut Criterion) {
    let gpu = Gpu::new_blocking(Power::High).expect("recording needs an adapter; lavapipe will do");
    let mut group = c.benchmark_group("record");
    for layers in [8, 64] {
        let model = Model::from_graph(network(layers));
        let session = Session::new_blocking(&gpu, &model, Options::default()).expect("the graph is sound");
        let x = Tensor::new([8, 64], &[1.0f32; 512]).expect("as many elements as the shape has");
        let inputs = [("x", x.view())];
        let dispatches = session.rehearse_blocking(&inputs).expect("the model runs");
        group.throughput(Throughput::Elements(dispatches as u64));
        group.bench_function(BenchmarkId::from_parameter(layers), |b| b.iter(|| session.rehearse_blocking(&inputs)));
    }
    group.finish();
}

criterion_group!(benches, plans, recordings);
criterion_main!(benches);
