//! What the rows of the case table cost, small and odd shapes mostly: `cargo bench --bench kernels -- matmul`. What a kernel
//! can do at the shapes networks are made of is for `gristmill bench` to tell.
//!
//! A sample is the time of a node's dispatches by the device's own timestamps, the median of as many runs as Criterion
//! asks for; uploads, downloads and the submit are not in it. Where an adapter has no timestamps it is the time of whole
//! runs, and says so in the name.

#[path = "../tests/cases/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "benches export nothing, and need neither tolerances nor golden numbers")]
mod cases;

use cases::Case;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gristmill::graph::{Builder, Dim};
use gristmill::{Gpu, Model, Options, Power, Session, TensorView};
use std::time::{Duration, Instant};

/// The network of one node.
fn model(case: &Case) -> Model {
    let mut b = Builder::new(case.name.clone());
    let inputs = case.inputs.iter().enumerate().map(|(k, tensor)| {
        let tensor = tensor.as_ref()?;
        let dims: Vec<Dim> = tensor.shape().iter().map(|d| Dim::Known(*d)).collect();
        let name = format!("input{k}");
        Some(if case.weights.contains(&k) { b.constant(&name, tensor.clone()) } else { b.input(&name, tensor.dtype(), &dims) })
    });
    let inputs = inputs.collect();
    let outputs: Vec<_> = (0..case.outputs).map(|k| b.value(&format!("output{k}"), None)).collect();
    b.push("node", case.op.clone(), inputs, outputs.iter().copied().map(Some).collect());
    for (k, id) in outputs.iter().enumerate() {
        b.output(&format!("output{k}"), *id).expect("the name is free");
    }
    Model::from_graph(b.finish().expect("a case is a valid graph"))
}

fn measure(c: &mut Criterion, gpu: &Gpu, case: &Case) {
    let session = Session::new_blocking(gpu, &model(case), Options::default()).expect("a case is a valid graph");
    let given = |name: &str| {
        let k: usize = name.trim_start_matches("input").parse().expect("inputs are numbered");
        case.inputs[k].as_ref().expect("a declared input is given").view()
    };
    let inputs: Vec<(&str, TensorView)> = session.inputs().iter().map(|i| (i.name.as_str(), given(&i.name))).collect();
    let Ok(plan) = session.plan(&inputs) else { return };
    let work = plan.steps().fold((0, 0), |sum, step| (sum.0 + step.work.flops, sum.1 + step.work.bytes));
    if plan.steps().next().is_none() {
        return;
    }
    let (family, row) = case.name.split_once('/').unwrap_or((&case.name, "row"));
    let mut group = c.benchmark_group(family);
    group.throughput(if work.0 > work.1 { Throughput::Elements(work.0) } else { Throughput::Bytes(work.1) });
    if gpu.caps().timestamps {
        group.bench_function(row, |b| {
            b.iter_custom(|count| {
                let profile = session.profile_blocking(&inputs, count as usize).expect("a case runs");
                Duration::from_secs_f64(profile.device_microseconds() * 1e-6 * count as f64)
            });
        });
    } else {
        group.bench_function(format!("{row} (whole run)"), |b| {
            b.iter_custom(|count| {
                session.run_blocking(&inputs).expect("a case runs");
                let start = Instant::now();
                (0..count).for_each(|_| drop(session.run_blocking(&inputs)));
                start.elapsed()
            });
        });
    }
    group.finish();
}

fn kernels(c: &mut Criterion) {
    let gpu = Gpu::new_blocking(Power::High).expect("a bench needs an adapter; lavapipe will do");
    let filter = std::env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_default();
    // Only what the command line asks for is planned, which takes longer than measuring it.
    for case in cases::all().iter().filter(|case| case.name.contains(&filter)) {
        measure(c, &gpu, case);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(500));
    targets = kernels
}
criterion_main!(benches);
