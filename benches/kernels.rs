//! What kernels cost: `cargo bench --bench kernels -- matmul/512`. The rows of the case table show what small and odd
//! shapes cost, the larger shapes below what a kernel can do.
//!
//! A sample is the time of a node's dispatches by the device's own timestamps, the median of as many runs as Criterion
//! asks for; uploads, downloads and the submit are not in it. Where an adapter has no timestamps it is the time of whole
//! runs, and says so in the name.

#[path = "../tests/cases/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "benches export nothing, and need neither tolerances nor golden numbers")]
mod cases;

use cases::{Case, Random};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gristmill::graph::{Builder, Dim, Op};
use gristmill::ops::attention::{Attention, attention};
use gristmill::ops::conv::{Window, conv};
use gristmill::ops::elementwise::binary;
use gristmill::ops::matmul::matmul;
use gristmill::ops::norm::layer_normalization;
use gristmill::ops::reduce::{Reduction, reduce};
use gristmill::ops::rnn::{Cell, Recurrent, recurrent};
use gristmill::ops::softmax::softmax;
use gristmill::ops::transpose::transpose;
use gristmill::{Gpu, Model, Options, Power, Session, TensorView};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Shapes that networks are made of.
fn large() -> Vec<Case> {
    let mut random = Random::new(3);
    let mut row = |name: &str, op: Arc<dyn Op>, shapes: &[&[usize]], weights: &[usize]| {
        let inputs = shapes.iter().map(|shape| random.floats(shape)).collect();
        Case::new(name, op, inputs).weights(weights)
    };
    let convolution = |stride, pad| conv(Window { strides: vec![stride; 2], pads: vec![pad; 4], ..Window::default() }, 1);
    let depthwise = conv(Window { pads: vec![1; 4], ..Window::default() }, 128);
    let mean = reduce(Reduction::Mean, Some(vec![-1]), true, false);
    let gru = recurrent(Recurrent::new(Cell::Gru { linear_before_reset: true }));
    vec![
        row("matmul/512", matmul(), &[&[512, 512], &[512, 512]], &[1]),
        row("matmul/1024", matmul(), &[&[1024, 1024], &[1024, 1024]], &[1]),
        row("matmul/512_runtime_weights", matmul(), &[&[512, 512], &[512, 512]], &[]),
        row("matmul/odd_511x513x509", matmul(), &[&[511, 513], &[513, 509]], &[1]),
        row("matmul/rows_32_4096x4096", matmul(), &[&[32, 4096], &[4096, 4096]], &[1]),
        row("matmul/rows_1_4096x4096", matmul(), &[&[1, 4096], &[4096, 4096]], &[1]),
        row("matmul/batch_12_128x64", matmul(), &[&[12, 128, 64], &[12, 64, 128]], &[]),
        row("conv/3x3_64x56x56_to_64", convolution(1, 1), &[&[1, 64, 56, 56], &[64, 64, 3, 3]], &[1]),
        row("conv/7x7_stride_2_3x224x224_to_64", convolution(2, 3), &[&[1, 3, 224, 224], &[64, 3, 7, 7]], &[1]),
        row("conv/1x1_256x28x28_to_128", convolution(1, 0), &[&[1, 256, 28, 28], &[128, 256, 1, 1]], &[1]),
        row("conv/depthwise_3x3_128x56x56", depthwise, &[&[1, 128, 56, 56], &[128, 1, 3, 3]], &[1]),
        row("softmax/1024x1024", softmax(-1), &[&[1024, 1024]], &[]),
        row("softmax/first_axis_1024x1024", softmax(0), &[&[1024, 1024]], &[]),
        row("attention/8_heads_512_64", attention(Attention::new(0.125)), &[&[1, 8, 512, 64][..]; 3], &[]),
        row(
            "attention/one_query_8_heads_2048_64",
            attention(Attention::new(0.125)),
            &[&[1, 8, 1, 64], &[1, 8, 2048, 64], &[1, 8, 2048, 64]],
            &[],
        ),
        row("gru/hidden_256_steps_100_batch_1", gru.clone(), &[&[100, 1, 256], &[1, 768, 256], &[1, 768, 256]], &[1, 2]),
        row("gru/hidden_256_steps_100_batch_32", gru, &[&[100, 32, 256], &[1, 768, 256], &[1, 768, 256]], &[1, 2]),
        row("norm/layer_512x768", layer_normalization(-1, 1e-5), &[&[512, 768], &[768], &[768]], &[1, 2]),
        row("reduce/mean_last_axis_1024x1024", mean, &[&[1024, 1024]], &[]),
        row("elementwise/add_1048576", binary("Add").expect("Add exists"), &[&[1024, 1024], &[1024, 1024]], &[]),
        row("elementwise/add_row_1048576", binary("Add").expect("Add exists"), &[&[1024, 1024], &[1024]], &[]),
        row("transpose/1024x1024", transpose(None), &[&[1024, 1024]], &[]),
    ]
}

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
    for case in large().iter().chain(&cases::all()).filter(|case| case.name.contains(&filter)) {
        measure(c, &gpu, case);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(500));
    targets = kernels
}
criterion_main!(benches);
