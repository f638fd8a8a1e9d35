//! Compiled kernels: how long they live, and what is told of them.

use gristmill::internals::graph::{Builder, Dim};
use gristmill::internals::kernel::Kernel;
use gristmill::internals::ops::{elementwise, matmul, softmax};
use gristmill::{CacheFolder, DType, Gpu, KernelEvent, Model, Options, Power, Progress, Session, Tensor, Tuning};
use std::sync::{Arc, Mutex};

/// y = softmax(x * w) + 1 for a constant 4 x 3 matrix w.
fn model() -> Model {
    let mut b = Builder::new("product");
    let x = b.input("x", DType::F32, &[Dim::Named("m".into()), Dim::Known(4)]);
    let w = b.constant("w", Tensor::new([4, 3], &(0..12).map(|i| i as f32).collect::<Vec<_>>()).expect("12 elements"));
    let one = b.constant("one", Tensor::scalar(1.0f32));
    let product = b.node("product", matmul::matmul(), &[Some(x), Some(w)]);
    let shares = b.node("shares", softmax::softmax(-1), &[Some(product)]);
    let y = b.node("y", elementwise::binary("Add").expect("Add exists"), &[Some(shares), Some(one)]);
    b.output("y", y).expect("the name is free");
    Model::from_graph(b.finish().expect("the graph is sound"))
}

fn run(session: &Session, rows: usize) -> Tensor {
    let x = Tensor::new([rows, 4], &vec![0.25f32; rows * 4]).expect("as many elements");
    session.run_blocking(&[("x", x.view())]).expect("the run succeeds")["y"].clone()
}

#[test]
fn pipelines_go_with_the_last_session_that_uses_them() {
    // A device of its own, on which no other test compiles anything.
    let gpu = Gpu::new_blocking(Power::High).expect("the tests need an adapter; lavapipe will do");
    let session = || Session::new_blocking(&gpu, &model(), Options::default()).expect("the model is sound");
    let (first, second) = (session(), session());
    run(&first, 2);
    let held = gpu.pipelines_held();
    assert!(held > 0);
    run(&second, 2);
    assert_eq!((gpu.pipelines_held(), second.counters().pipelines), (held, 0), "equal kernels are compiled once");
    drop(first);
    assert_eq!(gpu.pipelines_held(), held, "the other session still uses them");
    gpu.trim();
    assert_eq!(gpu.pipelines_held(), held, "they are in use");
    drop(second);
    let third = session();
    run(&third, 2);
    assert_eq!(third.counters().pipelines, 0, "a session like the last one finds them");
    drop(third);
    gpu.trim();
    assert_eq!(gpu.pipelines_held(), 0, "nothing uses them any more");
}

/// What a session tells.
#[derive(Default)]
struct Told {
    announced: [usize; 2],
    compiled: Vec<Kernel>,
    dispatched: Vec<Kernel>,
}

fn watched(options: Options) -> (Options, Arc<Mutex<Told>>) {
    let told: Arc<Mutex<Told>> = Arc::default();
    let listener = told.clone();
    let progress = Progress::to(move |event| {
        let mut told = listener.lock().expect("no test panics with it");
        match event {
            KernelEvent::Compiling { kernels } => told.announced[0] += kernels,
            KernelEvent::Dispatching { kernels } => told.announced[1] += kernels,
            KernelEvent::Compiled { kernel, microseconds } => {
                assert!(microseconds > 0.0);
                told.compiled.push(kernel.clone());
            }
            KernelEvent::Dispatched { kernel, microseconds } => {
                assert!(microseconds > 0.0);
                told.dispatched.push(kernel.clone());
            }
            _ => {}
        }
    });
    (Options { progress, ..options }, told)
}

fn distinct(kernels: &[Kernel]) -> usize {
    kernels.iter().enumerate().filter(|(k, kernel)| !kernels[..*k].contains(kernel)).count()
}

#[test]
fn each_kernel_is_told_of_when_it_is_compiled_and_when_it_first_runs() {
    let gpu = Gpu::new_blocking(Power::High).expect("the tests need an adapter; lavapipe will do");
    let (options, told) = watched(Options::default());
    let session = Session::new_blocking(&gpu, &model(), options).expect("the model is sound");
    let plain = Session::new_blocking(&gpu, &model(), Options::default()).expect("the model is sound");
    let y = run(&session, 5);
    let x = Tensor::zeros(gristmill::TensorType::new(DType::F32, [5usize, 4]));
    let kernels = session.plan(&[("x", x.view())]).expect("it can be planned").kernels;
    {
        let told = told.lock().expect("no test panics with it");
        assert_eq!(told.announced, [kernels.len(); 2]);
        for list in [&told.compiled, &told.dispatched] {
            assert!(list.len() == kernels.len() && kernels.iter().all(|k| list.contains(k)), "each once");
        }
    }
    assert_eq!(y, run(&session, 5));
    assert_eq!(y, run(&plain, 5), "that somebody listens changes nothing");
    assert_eq!(told.lock().expect("no test panics with it").announced, [kernels.len(); 2], "nothing is new any more");
}

#[test]
fn tuning_compiles_no_kernel_twice() {
    let gpu = Gpu::new_blocking(Power::High).expect("the tests need an adapter; lavapipe will do");
    let (options, told) = watched(Options { tuning: Tuning::Forced, cache: CacheFolder::Off, ..Options::default() });
    let session = Session::new_blocking(&gpu, &model(), options).expect("the model is sound");
    run(&session, 64);
    let told = told.lock().expect("no test panics with it");
    assert!(told.compiled.len() > 3, "several variants were measured");
    assert_eq!(told.compiled.len(), distinct(&told.compiled));
}
