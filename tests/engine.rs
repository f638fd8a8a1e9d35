//! Sessions: what runs give, what they allocate, what they refuse.

use crate::cases::Random;
use crate::support::gpu;
use gristmill::internals::graph::{Builder, Dim, Fact, Io, Op};
use gristmill::internals::kernel::{Caps, Offers};
use gristmill::internals::ops::rnn::{Cell, Recurrent, recurrent};
use gristmill::internals::ops::{elementwise, matmul, reshape, select, shape};
use gristmill::internals::passes::{Specialized, specialize};
use gristmill::internals::plan::{Plan, PlanOptions};
use gristmill::{
    DType, Error, ErrorKind, Gpu, GpuInput, Model, Options, Power, Result, Session, SessionState, Tensor, TensorType, Tolerance,
};
use std::collections::HashSet;
use std::sync::Arc;

/// Doubles; has no kernel, so that it runs on the host.
#[derive(Debug)]
struct HostDouble;

impl Op for HostDouble {
    fn name(&self) -> &'static str {
        "HostDouble"
    }

    gristmill::attributes!();
    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let input = inputs[0].ok_or_else(|| Error::invalid_model("an input is missing"))?;
        Ok(vec![Fact::new(input.dtype(), input.shape().clone())])
    }
    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let input = inputs[0].ok_or_else(|| Error::invalid_model("an input is missing"))?;
        let doubled: Vec<f64> = input.to_f64().iter().map(|x| x * 2.0).collect();
        Ok(vec![Tensor::from_f64(input.ty().clone(), &doubled)?])
    }
    fn lower(&self, _: &Io, _: &mut Offers) -> Result<()> {
        Err(Error::unsupported("it is meant to run on the host"))
    }
}

fn named(name: &str) -> Dim {
    Dim::Named(name.into())
}

fn session(model: &Model, options: Options) -> Session {
    Session::new_blocking(gpu(), model, options).expect("the model is sound")
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.as_slice::<f32>().expect("a tensor of f32").to_vec()
}

/// y = relu(x * 3 + 1), with the product named `product`.
fn affine() -> Model {
    let mut b = Builder::new("affine");
    let x = b.input("x", DType::F32, &[named("n")]);
    let three = b.constant("three", Tensor::scalar(3.0f32));
    let one = b.constant("one", Tensor::scalar(1.0f32));
    let product = b.node("product", elementwise::binary("Mul").expect("Mul exists"), &[Some(x), Some(three)]);
    let sum = b.node("sum", elementwise::binary("Add").expect("Add exists"), &[Some(product), Some(one)]);
    let y = b.node("y", elementwise::unary("Relu").expect("Relu exists"), &[Some(sum)]);
    b.output("y", y).expect("the name is free");
    Model::from_graph(b.finish().expect("the graph is sound"))
}

/// y = x * w for a constant 4 x 3 matrix w.
fn product() -> Model {
    let mut b = Builder::new("product");
    let x = b.input("x", DType::F32, &[named("m"), Dim::Known(4)]);
    let w = b.constant("w", Tensor::new([4, 3], &(0..12).map(|i| i as f32).collect::<Vec<_>>()).expect("12 elements"));
    let y = b.node("y", matmul::matmul(), &[Some(x), Some(w)]);
    b.output("y", y).expect("the name is free");
    Model::from_graph(b.finish().expect("the graph is sound"))
}

fn is_send_sync<T: Send + Sync>() {}
fn is_send<T: Send>(_: &T) {}

/// A caller's type that holds another.
#[allow(dead_code, reason = "types are compared, values never made")]
struct Holds<T>(T);
type Nested<T> = Holds<Holds<Holds<Holds<Holds<Holds<Holds<Holds<T>>>>>>>>;
type Deep<T> = Nested<Nested<Nested<Nested<Nested<Nested<T>>>>>>;

#[test]
fn types_of_callers_may_be_deep() {
    // The compiler gives up on proofs of more than 128 steps.
    is_send_sync::<Deep<Gpu>>();
    is_send_sync::<Deep<Session>>();
    is_send_sync::<Deep<SessionState>>();
}

#[test]
fn everything_may_cross_threads() {
    is_send_sync::<Gpu>();
    is_send_sync::<Model>();
    is_send_sync::<Session>();
    is_send_sync::<gristmill::Outputs>();
    is_send_sync::<gristmill::GpuOutputs>();
    let (model, x) = (affine(), Tensor::vector(&[1.0f32]));
    let session = session(&model, Options::default());
    let inputs = [("x", x.view())];
    is_send(&session.run(&inputs));
    let mut state = session.state().expect("there is none to make");
    is_send(&session.run_with(&mut state, &inputs));
    is_send(&state.get("x"));
}

#[test]
fn a_second_run_makes_nothing() {
    let session = session(&product(), Options::default());
    let x = Tensor::new([2, 4], &[1.0f32; 8]).expect("8 elements");
    session.run_blocking(&[("x", x.view())]).expect("the run succeeds");
    let before = session.counters();
    assert!(before.plans == 1 && before.buffers > 0 && before.bind_groups > 0);
    let y = session.run_blocking(&[("x", x.view())]).expect("the run succeeds");
    assert_eq!(session.counters(), before);
    assert_eq!(floats(&y["y"]), [18.0, 22.0, 26.0, 18.0, 22.0, 26.0]);
    let longer = Tensor::new([3, 4], &[1.0f32; 12]).expect("12 elements");
    session.run_blocking(&[("x", longer.view())]).expect("the run succeeds");
    assert_eq!(session.counters().plans, 2, "another shape gets another plan");
}

#[test]
fn threads_share_a_session_and_sessions_share_pipelines() {
    let model = affine();
    let first = session(&model, Options::default());
    let run = |k: usize| {
        let x = Tensor::vector(&[k as f32; 1000]);
        let y = first.run_blocking(&[("x", x.view())]).expect("the run succeeds");
        assert_eq!(floats(&y["y"]), [k as f32 * 3.0 + 1.0; 1000]);
    };
    run(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || (0..8).for_each(|round| run(thread * 8 + round)));
        }
    });
    assert_eq!(first.counters().plans, 1);
    let second = session(&model, Options::default());
    let x = Tensor::vector(&[1.0f32; 1000]);
    second.run_blocking(&[("x", x.view())]).expect("the run succeeds");
    assert_eq!(second.counters().pipelines, 0, "the device compiled this kernel for the first session");
}

#[test]
fn taps_return_intermediate_values() {
    let tapped = session(&affine(), Options { taps: vec!["product".into()], ..Options::default() });
    let x = Tensor::vector(&[-1.0f32, 2.0]);
    let y = tapped.run_blocking(&[("x", x.view())]).expect("the run succeeds");
    assert_eq!(y.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["y", "product"]);
    assert_eq!((floats(&y["product"]), floats(&y["y"])), (vec![-3.0, 6.0], vec![0.0, 7.0]));
    let all = session(&affine(), Options { keep_all: true, ..Options::default() });
    assert_eq!(all.run_blocking(&[("x", x.view())]).expect("the run succeeds").len(), 3);
    let wrong = Session::new_blocking(gpu(), &affine(), Options { taps: vec!["no such".into()], ..Options::default() });
    assert_eq!(wrong.map(|_| ()).expect_err("the tap names nothing").kind(), ErrorKind::InvalidArgument);
}

#[test]
fn inputs_and_constants_may_be_outputs_and_outputs_may_repeat() {
    let mut b = Builder::new("outputs");
    let x = b.input("x", DType::F32, &[named("n"), Dim::Known(2)]);
    let c = b.constant("c", Tensor::vector(&[5i64, 6]));
    let flat = b.constant("flat", Tensor::vector(&[-1i64]));
    let alias = b.node("alias", reshape::reshape(false), &[Some(x), Some(flat)]);
    let y = b.node("y", elementwise::unary("Neg").expect("Neg exists"), &[Some(x)]);
    let flat_y = b.node("flat_y", reshape::reshape(false), &[Some(y), Some(flat)]);
    for (name, id) in [("x", x), ("c", c), ("alias", alias), ("y", y), ("flat_y", flat_y), ("y", y)] {
        b.output(name, id).expect("the name is the value's");
    }
    let model = Model::from_graph(b.finish().expect("the graph is sound"));
    let x = Tensor::new([2, 2], &[1.0f32, 2.0, 3.0, 4.0]).expect("4 elements");
    for session in [session(&model, Options::default()), Session::cpu(&model, Options::default()).expect("the model is sound")] {
        let out = session.run_blocking(&[("x", x.view())]).expect("the run succeeds");
        assert_eq!(out["x"], x);
        assert_eq!(out["c"], Tensor::vector(&[5i64, 6]));
        assert_eq!(out["alias"], Tensor::vector(&[1.0f32, 2.0, 3.0, 4.0]));
        assert_eq!(out["flat_y"], Tensor::vector(&[-1.0f32, -2.0, -3.0, -4.0]));
        assert_eq!(out.iter().filter(|(name, _)| *name == "y").count(), 2);
    }
}

#[test]
fn nodes_without_a_kernel_run_on_the_host_in_between() {
    let mut b = Builder::new("host");
    let x = b.input("x", DType::F32, &[named("n")]);
    let a = b.node("a", elementwise::unary("Neg").expect("Neg exists"), &[Some(x)]);
    let h = b.node("h", Arc::new(HostDouble), &[Some(a)]);
    let s = b.node("s", elementwise::binary("Add").expect("Add exists"), &[Some(h), Some(a)]);
    let y = b.node("y", Arc::new(HostDouble), &[Some(s)]);
    b.output("y", y).expect("the name is free");
    let model = Model::from_graph(b.finish().expect("the graph is sound"));
    let x = Tensor::vector(&[1.0f32, -2.0, 3.0]);
    let mixed = session(&model, Options::default());
    let out = mixed.run_blocking(&[("x", x.view())]).expect("the run succeeds");
    assert_eq!(floats(&out["y"]), [-6.0, 12.0, -18.0]);
    let explained = mixed.explain(&[("x", x.ty().clone())]).expect("it can be planned");
    assert_eq!(explained.host_nodes.len(), 2);
    assert!(explained.to_string().contains("it is meant to run on the host"));
    let strict = session(&model, Options { strict_gpu: true, ..Options::default() });
    let error = strict.run_blocking(&[("x", x.view())]).expect_err("strict_gpu forbids it");
    assert_eq!((error.kind(), error.node()), (ErrorKind::Unsupported, Some("HostDouble:h")));
}

#[test]
fn shapes_that_depend_on_data_are_computed_first() {
    // The positions of positive elements, as floats, doubled on the GPU.
    let mut b = Builder::new("stages");
    let x = b.input("x", DType::F32, &[named("n")]);
    let zero = b.constant("zero", Tensor::scalar(0.0f32));
    let three = b.constant("three", Tensor::scalar(3.0f32));
    let scaled = b.node("scaled", elementwise::binary("Mul").expect("Mul exists"), &[Some(x), Some(three)]);
    let mask = b.node("mask", elementwise::binary("Greater").expect("Greater exists"), &[Some(scaled), Some(zero)]);
    let at = b.node("at", select::non_zero(), &[Some(mask)]);
    let at = b.node("float", elementwise::cast(DType::F32).expect("Cast exists"), &[Some(at)]);
    let y = b.node("y", elementwise::binary("Mul").expect("Mul exists"), &[Some(at), Some(three)]);
    b.output("y", y).expect("the name is free");
    b.output("scaled", scaled).expect("the name is the value's");
    let model = Model::from_graph(b.finish().expect("the graph is sound"));
    let session = session(&model, Options::default());
    for n in [8usize, 100] {
        let data: Vec<f32> = (0..n).map(|i| if i % 3 == 1 { 1.0 } else { -1.0 }).collect();
        let out = session.run_blocking(&[("x", Tensor::vector(&data).view())]).expect("the run succeeds");
        let expected: Vec<f32> = (0..n).filter(|i| i % 3 == 1).map(|i| i as f32 * 3.0).collect();
        assert_eq!(floats(&out["y"]), expected);
        assert_eq!(floats(&out["scaled"])[1], 3.0);
    }
    let before = session.counters();
    let shifted: Vec<f32> = (0..100).map(|i| if i % 3 == 2 { 1.0 } else { -1.0 }).collect();
    session.run_blocking(&[("x", Tensor::vector(&shifted).view())]).expect("the run succeeds");
    assert_eq!(session.counters(), before, "as many positions as in an earlier run need no new plan");
}

#[test]
fn shapes_that_depend_on_small_inputs_make_plans_by_value() {
    let mut b = Builder::new("by value");
    let x = b.input("x", DType::F32, &[Dim::Known(6)]);
    let dims = b.input("dims", DType::I64, &[Dim::Known(2)]);
    let r = b.node("r", reshape::reshape(false), &[Some(x), Some(dims)]);
    let y = b.node("y", elementwise::unary("Neg").expect("Neg exists"), &[Some(r)]);
    b.output("y", y).expect("the name is free");
    let model = Model::from_graph(b.finish().expect("the graph is sound"));
    let session = session(&model, Options { strict_gpu: true, ..Options::default() });
    let x = Tensor::vector(&[1.0f32; 6]);
    for dims in [[2i64, 3], [3, 2], [2, 3], [-1, 6]] {
        let dims = Tensor::vector(&dims);
        let out = session.run_blocking(&[("x", x.view()), ("dims", dims.view())]).expect("the run succeeds");
        let expected: Vec<usize> = dims.to_i64().iter().map(|d| if *d < 0 { 1 } else { *d as usize }).collect();
        assert_eq!(out["y"].shape().dims(), expected);
    }
    assert_eq!(session.counters().plans, 3, "one per value");
    let bad = Tensor::vector(&[4i64, 4]);
    assert!(session.run_blocking(&[("x", x.view()), ("dims", bad.view())]).is_err());
}

#[test]
fn values_that_shapes_depend_on_may_be_computed_from_data() {
    // Range(0, x[0]) for a float tensor too large to plan by value.
    let mut b = Builder::new("range");
    let x = b.input("x", DType::F32, &[named("n")]);
    let sum = gristmill::internals::ops::reduce::reduce(gristmill::internals::ops::reduce::Reduction::Sum, None, false, false);
    let total = b.node("total", sum, &[Some(x)]);
    let zero = b.constant("zero", Tensor::scalar(0.0f32));
    let one = b.constant("one", Tensor::scalar(1.0f32));
    let range = b.node("range", shape::range(), &[Some(zero), Some(total), Some(one)]);
    let y = b.node("y", elementwise::unary("Neg").expect("Neg exists"), &[Some(range)]);
    b.output("y", y).expect("the name is free");
    let model = Model::from_graph(b.finish().expect("the graph is sound"));
    let session = session(&model, Options::default());
    let x = Tensor::vector(&[0.03125f32; 96]);
    let out = session.run_blocking(&[("x", x.view())]).expect("the run succeeds");
    assert_eq!(floats(&out["y"]), [-0.0, -1.0, -2.0]);
}

#[test]
fn integers_beyond_the_assumed_bounds_are_right_too() {
    let mut b = Builder::new("large");
    let x = b.input("x", DType::I64, &[named("n")]);
    let y = b.node("y", elementwise::binary("Add").expect("Add exists"), &[Some(x), Some(x)]);
    b.output("y", y).expect("the name is free");
    let model = Model::from_graph(b.finish().expect("the graph is sound"));
    let session = session(&model, Options::default());
    for data in [[1i64, -5, 1 << 23], [1 << 40, -(1 << 50), 3], [7, 8, 9]] {
        let out = session.run_blocking(&[("x", Tensor::vector(&data).view())]).expect("the run succeeds");
        assert_eq!(out["y"], Tensor::vector(&data.map(|x| 2 * x)));
    }
    assert_eq!(session.counters().plans, 2, "one with the assumption and one without");
}

#[test]
fn wrong_inputs_are_named() {
    let mut b = Builder::new("two");
    let x = b.input("x", DType::F32, &[named("n"), Dim::Known(2)]);
    let z = b.input("z", DType::F32, &[named("n"), Dim::Known(2)]);
    let y = b.node("y", elementwise::binary("Add").expect("Add exists"), &[Some(x), Some(z)]);
    b.output("y", y).expect("the name is free");
    let model = Model::from_graph(b.finish().expect("the graph is sound"));
    let session = session(&model, Options::default());
    let ok = Tensor::new([3, 2], &[0.0f32; 6]).expect("6 elements");
    let wide = Tensor::new([2, 3], &[0.0f32; 6]).expect("6 elements");
    let long = Tensor::new([4, 2], &[0.0f32; 8]).expect("8 elements");
    let flat = Tensor::vector(&[0.0f32; 6]);
    let ints = Tensor::new([3, 2], &[0i32; 6]).expect("6 elements");
    let cases: Vec<(Vec<(&str, &Tensor)>, &str)> = vec![
        (vec![("x", &ok)], "input `z` is missing"),
        (vec![("x", &ok), ("z", &ok), ("w", &ok)], "`w` is no input of the model; expected `x`, `z`"),
        (vec![("x", &ok), ("x", &ok), ("z", &ok)], "input `x` is given twice"),
        (vec![("x", &wide), ("z", &ok)], "input `x`: expected shape [n,2], found [2,3]"),
        (vec![("x", &flat), ("z", &ok)], "input `x`: expected shape [n,2], found [6]"),
        (vec![("x", &ok), ("z", &long)], "input `z`: expected shape [n,2] with n=3 as in `x`, found [4,2]"),
        (vec![("x", &ok), ("z", &ints)], "input `z`: expected f32, found i32"),
    ];
    for (inputs, message) in cases {
        let views: Vec<_> = inputs.iter().map(|(name, tensor)| (*name, tensor.view())).collect();
        let error = session.run_blocking(&views).expect_err("the inputs are wrong");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains(message), "{error}");
    }
}

#[test]
fn tensors_may_stay_on_the_gpu() {
    let session = session(&product(), Options::default());
    let gpu = gpu();
    let usage = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let descriptor = wgpu::BufferDescriptor { label: None, size: 32, usage, mapped_at_creation: false };
    let buffer = gpu.device().create_buffer(&descriptor);
    gpu.queue().write_buffer(&buffer, 0, Tensor::vector(&[2.0f32; 8]).bytes());
    let input = GpuInput { buffer: &buffer, shape: &[2, 4] };
    let first = session.run_on_gpu_blocking(&[("x", input)]).expect("the run succeeds");
    let made = session.counters();
    drop(first);
    let outputs = session.run_on_gpu_blocking(&[("x", input)]).expect("the run succeeds");
    assert_eq!(session.counters(), made, "a second run makes nothing");
    let (ty, y) = outputs.get("y").expect("y is an output");
    assert_eq!(ty.shape.dims(), [2, 3]);
    // The result of one model goes on as the input of the next without leaving the GPU.
    let negated = affine();
    let next = Session::new_blocking(gpu, &negated, Options::default()).expect("the model is sound");
    let chained = next.run_on_gpu_blocking(&[("x", GpuInput { buffer: y.wgpu(), shape: &[6] })]).expect("the run succeeds");
    let (_, z) = chained.get("y").expect("y is an output");
    assert_eq!(download(gpu, z.wgpu(), 24), [109.0, 133.0, 157.0, 109.0, 133.0, 157.0]);
    let small = session.run_on_gpu_blocking(&[("x", GpuInput { buffer: &buffer, shape: &[3, 4] })]);
    assert_eq!(small.map(|_| ()).expect_err("the buffer is too small").kind(), ErrorKind::InvalidInput);
}

fn download(gpu: &Gpu, buffer: &wgpu::Buffer, bytes: u64) -> Vec<f32> {
    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
    let staging =
        gpu.device().create_buffer(&wgpu::BufferDescriptor { label: None, size: bytes, usage, mapped_at_creation: false });
    let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, bytes);
    gpu.queue().submit([encoder.finish()]);
    staging.map_async(wgpu::MapMode::Read, .., |_| {});
    gpu.device().poll(wgpu::PollType::wait_indefinitely()).expect("the device answers");
    let mapped = staging.get_mapped_range(..).expect("it is mapped");
    mapped.chunks_exact(4).map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[test]
fn a_lost_device_is_opened_again() {
    let own = Gpu::new_blocking(Power::High).expect("the tests need an adapter");
    let session = Session::new_blocking(&own, &product(), Options::default()).expect("the model is sound");
    let x = Tensor::new([1, 4], &[1.0f32; 4]).expect("4 elements");
    let before = session.run_blocking(&[("x", x.view())]).expect("the run succeeds");
    own.device().destroy();
    let after = session.run_blocking(&[("x", x.view())]).expect("the run succeeds on a fresh device");
    assert_eq!(before["y"], after["y"]);
}

#[test]
fn a_tensor_beyond_the_binding_limit_is_refused_by_name() {
    let session = session(&affine(), Options::default());
    let n = gpu().caps().max_storage_binding as usize / 4 + 1;
    let error = session.explain(&[("x", TensorType::new(DType::F32, [n]))]).expect_err("the input is too large");
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.message().contains("`x`") || error.message().contains("`y`"), "{error}");
}

#[test]
fn validation_reports_every_node_and_profiles_every_dispatch() {
    let session = session(&affine(), Options::default());
    let x = Tensor::vector(&[1.0f32, f32::NAN, 3.0]);
    let report = session.validate_blocking(&[("x", x.view())], Tolerance::default()).expect("the run succeeds");
    assert!(report.passed());
    assert_eq!(report.values.iter().map(|v| v.value.as_str()).collect::<Vec<_>>(), ["product", "sum", "y"]);
    assert_eq!(report.first_non_finite().map(|v| v.value.as_str()), Some("product"));
    if gpu().caps().timestamps {
        let profile = session.profile_blocking(&[("x", x.view())], 3).expect("the run succeeds");
        assert_eq!(profile.dispatches.len(), 1, "three elementwise nodes are one dispatch");
        assert!(profile.wall_microseconds > 0.0);
    }
}

#[test]
fn a_session_runs_on_the_callers_device() {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    let adapter = adapters.first().expect("the tests need an adapter");
    // Default limits and no features: what a program that knows nothing of this crate asks for.
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).expect("it opens");
    let own = Gpu::from_wgpu(device, queue).expect("default limits suffice");
    let session = Session::new_blocking(&own, &product(), Options::default()).expect("the model is sound");
    let x = Tensor::new([1, 4], &[1.0f32; 4]).expect("4 elements");
    let y = session.run_blocking(&[("x", x.view())]).expect("the run succeeds");
    assert_eq!(floats(&y["y"]), [18.0, 22.0, 26.0]);
    assert!(session.profile_blocking(&[("x", x.view())], 1).is_err(), "the device was opened without timestamps");
}

#[test]
fn more_shapes_than_plans_are_kept_for_run_too() {
    let session = session(&affine(), Options::default());
    for n in (1..40).chain([1, 2]) {
        let x = Tensor::vector(&vec![1.0f32; n]);
        let y = session.run_blocking(&[("x", x.view())]).expect("the run succeeds");
        assert_eq!(floats(&y["y"]), vec![4.0f32; n]);
    }
    let empty: [f32; 0] = [];
    let y = session.run_blocking(&[("x", Tensor::vector(&empty).view())]).expect("no elements are fine");
    assert_eq!(y["y"].elements(), 0);
}

/// A recurrent layer of 256 units over a sequence.
fn layer(cell: Cell) -> Model {
    let mut b = Builder::new("layer");
    let x = b.input("x", DType::F32, &[named("steps"), Dim::Known(1), Dim::Known(16)]);
    let mut random = Random::new(7);
    let [w, r] = [16, 256].map(|from| random.floats(&[1, 256 * cell.gates(), from]));
    let (w, r) = (b.constant("w", w), b.constant("r", r));
    let y = b.node("y", recurrent(Recurrent::new(cell)), &[Some(x), Some(w), Some(r)]);
    b.output("y", y).expect("the name is free");
    Model::from_graph(b.finish().expect("the graph is sound"))
}

#[test]
fn steps_that_differ_in_parameters_alone_share_bind_groups() {
    let x = Tensor::zeros(TensorType::new(DType::F32, [100, 1, 16]));
    for cell in
        [Cell::Gru { linear_before_reset: true }, Cell::Gru { linear_before_reset: false }, Cell::Lstm { input_forget: false }]
    {
        let model = layer(cell);
        let plan = session(&model, Options::default()).plan(&[("x", x.view())]).expect("it can be planned");
        for variant in plan.variants.iter().flatten() {
            let session = session(&model, Options { variant: Some((*variant).into()), ..Options::default() });
            session.run_blocking(&[("x", x.view())]).expect("the run succeeds");
            let made = session.counters().bind_groups;
            assert!(made <= 20, "{cell:?} by {variant}: {made} bind groups");
        }
        // As many would be made on GPUs.
        let facts = [Fact::new(DType::F32, [100, 1, 16])];
        let Ok(Specialized::Graph(graph)) = specialize(model.graph(), &facts) else { panic!("the shapes are known") };
        let discrete = Caps { name: "discrete".into(), subgroup: Some(32), ..Caps::portable() };
        for (caps, variant) in [Caps::portable(), discrete].iter().flat_map(|caps| ["persistent", "steps_tiled"].map(|v| (caps, v)))
        {
            let options = PlanOptions { variant: Some(variant.into()), ..PlanOptions::default() };
            let plan = Plan::new(&graph, caps, &options).expect("it can be planned");
            let bound: HashSet<_> = plan.steps().map(|s| (&plan.kernels[s.kernel].storage, &s.bindings, s.numbers)).collect();
            assert!(bound.len() <= 20, "{cell:?} by {variant} on {caps}: {} bind groups", bound.len());
        }
    }
}
