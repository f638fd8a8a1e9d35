//! The tuner and what is kept between programs: measured choices, refused variants, compiled pipelines.

use crate::support::{gpu, optimized, warnings};
use gristmill::internals::graph::{Builder, Dim, Fact, Graph, Io, Key, Op};
use gristmill::internals::kernel::{Access, Caps, Dispatch, Field, Kernel, Lowering, Offers, Operand, Shader, Work};
use gristmill::internals::ops::{matmul, softmax};
use gristmill::internals::plan::{Choices, Chosen, Plan, PlanOptions, measurable};
use gristmill::internals::tensor::Scalar;
use gristmill::{CacheFolder, DType, Error, ErrorKind, Gpu, Model, Options, Power, Result, Session, Tensor, Tuning};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

/// A folder that is removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Folder(std::env::temp_dir().join(format!("gristmill-tuner-{}-{number}", std::process::id())))
    }

    fn options(&self, tuning: Tuning) -> Options {
        Options { tuning, cache: CacheFolder::At(self.0.clone()), ..Options::default() }
    }

    /// The one file of a kind.
    fn file(&self, kind: &str) -> Option<PathBuf> {
        let entries = fs::read_dir(&self.0).ok()?;
        let mut paths = entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == kind));
        let first = paths.next();
        assert!(paths.next().is_none(), "one adapter has one file of each kind");
        first
    }

    fn text(&self) -> String {
        self.file("tuning").map(|path| fs::read_to_string(path).expect("it is text")).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether a file of the cache is whole: three lines, of which the third is the checksum of the rest.
fn is_whole(path: &Path) -> bool {
    let bytes = fs::read(path).expect("the file is there");
    let mut parts = bytes.splitn(4, |b| *b == b'\n');
    let (Some(kind), Some(_), Some(checksum), Some(payload)) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = payload.iter().fold(0xcbf2_9ce4_8422_2325, fold);
    kind.starts_with(b"gristmill ") && checksum == format!("checksum {hash:016x} of {} bytes", payload.len()).as_bytes()
}

/// y = softmax(x * w), for x of m x k and a constant w of k x n.
fn model(k: usize, n: usize) -> Model {
    let mut b = Builder::new("tuned");
    let x = b.input("x", DType::F32, &[Dim::Named("m".into()), Dim::Known(k)]);
    let numbers: Vec<f32> = (0..k * n).map(|i| (i % 13) as f32 / 64.0).collect();
    let w = b.constant("w", Tensor::new([k, n], &numbers).expect("as many elements"));
    let product = b.node("product", matmul::matmul(), &[Some(x), Some(w)]);
    let y = b.node("y", softmax::softmax(-1), &[Some(product)]);
    b.output("y", y).expect("the name is free");
    Model::from_graph(b.finish().expect("the graph is sound"))
}

fn input(m: usize, k: usize) -> Tensor {
    let numbers: Vec<f32> = (0..m * k).map(|i| (i % 7) as f32 / 16.0).collect();
    Tensor::new([m, k], &numbers).expect("as many elements")
}

fn run(session: &Session, x: &Tensor) -> Vec<f32> {
    let outputs = session.run_blocking(&[("x", x.view())]).expect("the run succeeds");
    outputs["y"].as_slice::<f32>().expect("f32").to_vec()
}

fn session(model: &Model, options: Options) -> Session {
    Session::new_blocking(gpu(), model, options).expect("the model is sound")
}

/// How the nodes of a plan that have a choice were chosen.
fn chosen(session: &Session, x: &Tensor) -> Vec<Chosen> {
    let plan = session.plan(&[("x", x.view())]).expect("it can be planned");
    let choices = plan.chosen.iter().zip(&plan.variants);
    choices.filter(|(_, variants)| variants.len() > 1).map(|(chosen, _)| *chosen).collect()
}

/// A session that has measured all that it can choose. A busy machine may need several tries to tell anything.
fn tuned(model: &Model, folder: &Folder, x: &Tensor) -> Session {
    for _ in 0..20 {
        let session = session(model, folder.options(Tuning::On));
        run(&session, x);
        if chosen(&session, x).iter().all(|c| *c == Chosen::Measured) {
            return session;
        }
    }
    panic!("measurement told nothing in twenty tries");
}

#[test]
fn results_do_not_depend_on_tuning_and_warm_runs_make_nothing() {
    let (folder, model, x) = (Folder::new(), model(64, 96), input(48, 64));
    let plain = run(&session(&model, Options { cache: CacheFolder::Off, ..Options::default() }), &x);
    let session = tuned(&model, &folder, &x);
    let before = session.counters();
    let found = run(&session, &x);
    assert_eq!(session.counters(), before);
    assert!(!chosen(&session, &x).is_empty(), "this adapter has several variants of a matrix product");
    for (f, p) in found.iter().zip(&plain) {
        approx::assert_relative_eq!(f, p, max_relative = 1e-4);
    }
    let x = input(47, 64);
    run(&session, &x);
    assert!(chosen(&session, &x).iter().all(|c| *c == Chosen::Measured), "a near shape shares what was measured");
}

#[test]
fn measured_choices_are_kept_and_measured_again_when_forced() {
    let (folder, model, x) = (Folder::new(), model(64, 64), input(40, 64));
    drop(tuned(&model, &folder, &x));
    let kept = folder.text();
    assert!(kept.contains("measured\tMatMul"), "{kept}");
    let plain = session(&model, folder.options(Tuning::Off));
    let (kept, forced) = (session(&model, folder.options(Tuning::On)), session(&model, folder.options(Tuning::Forced)));
    assert!(chosen(&kept, &x).iter().all(|c| *c == Chosen::Measured), "known before the first run");
    assert!(chosen(&plain, &x).iter().all(|c| *c == Chosen::Table), "and not heeded where tuning is off");
    [&plain, &kept, &forced].iter().for_each(|s| drop(run(s, &x)));
    assert_eq!(kept.counters().buffers, plain.counters().buffers, "nothing is measured again");
    assert!(forced.counters().buffers > plain.counters().buffers, "unless forced");
}

#[test]
fn damaged_and_foreign_files_are_ignored_and_rewritten() {
    let (folder, model, x) = (Folder::new(), model(64, 80), input(40, 64));
    drop(tuned(&model, &folder, &x));
    let path = folder.file("tuning").expect("measurements are kept");
    let whole = fs::read(&path).expect("the file is there");
    let mut flipped = whole.clone();
    let last = flipped.len() - 2;
    flipped[last] ^= 1;
    let foreign = String::from_utf8_lossy(&whole).replacen("gristmill tuning 1", "gristmill tuning 2", 1).into_bytes();
    for damaged in [flipped, foreign, whole[..whole.len() / 2].to_vec(), vec![], vec![0xff; 100]] {
        fs::write(&path, damaged).expect("the folder can be written");
        assert!(chosen(&session(&model, folder.options(Tuning::On)), &x).iter().all(|c| *c == Chosen::Table));
        drop(tuned(&model, &folder, &x));
        assert!(is_whole(&path));
        assert!(folder.text().contains("measured\tMatMul"));
    }
}

#[test]
fn sessions_that_write_at_a_time_keep_each_others_results() {
    let folder = Folder::new();
    let sizes = [(64, 64, 8), (64, 128, 32), (128, 64, 64), (128, 128, 16)];
    std::thread::scope(|scope| {
        for (k, n, m) in sizes {
            let folder = &folder;
            scope.spawn(move || tuned(&model(k, n), folder, &input(m, k)));
        }
    });
    for (k, n, m) in sizes {
        let session = session(&model(k, n), folder.options(Tuning::On));
        assert!(chosen(&session, &input(m, k)).iter().all(|c| *c == Chosen::Measured), "{k} x {n}");
    }
    assert!(is_whole(&folder.file("tuning").expect("measurements are kept")));
}

#[test]
fn files_that_nobody_used_for_long_are_removed() {
    let (folder, model, x) = (Folder::new(), model(64, 48), input(40, 64));
    fs::create_dir_all(&folder.0).expect("temporary folders can be written");
    let days = |days: u64| SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
    let make = |name: &str, text: &str, age: u64| {
        let path = folder.0.join(name);
        fs::write(&path, text).expect("the folder can be written");
        File::options().append(true).open(&path).and_then(|f| f.set_modified(days(age))).expect("the file is ours");
        path
    };
    let other = "gristmill tuning 1\nadapter; driver; gristmill 0.0.1; kernels\n";
    let gone = [
        make("adapter-0123456789abcdef.tuning", other, 91),
        make("adapter-0123456789abcdef.lock", "", 91),
        make("adapter-fedcba9876543210.pipelines", "gristmill pipelines 9\n", 200),
        make("adapter-00000000000000ff.12-0.new", "grist", 91),
    ];
    let kept = [
        make("adapter-aaaaaaaaaaaaaaaa.tuning", other, 89),
        make("adapter-aaaaaaaaaaaaaaaa.lock", "", 200),
        make("adapter-bbbbbbbbbbbbbbbb.tuning", other, 91),
        make("adapter-bbbbbbbbbbbbbbbb.lock", "", 91),
        make("adapter-cccccccccccccccc.tuning", "somebody else's", 91),
        make("notes.tuning", other, 91),
        make("adapter-0123.tuning", other, 91),
    ];
    let lock = File::open(&kept[3]).expect("it was made");
    lock.lock().expect("temporary folders can hold locks");
    drop(tuned(&model, &folder, &x));
    assert_eq!(gone.iter().filter(|path| path.exists()).collect::<Vec<_>>(), Vec::<&PathBuf>::new());
    assert_eq!(kept.iter().filter(|path| !path.exists()).collect::<Vec<_>>(), Vec::<&PathBuf>::new());
    // The file of this version counts as used when it is read, though nothing is added to it.
    let current = fs::read_dir(&folder.0).expect("it is there").flatten().map(|entry| entry.path());
    let own = current.filter(|path| !kept.contains(path)).find(|path| path.extension().is_some_and(|e| e == "tuning"));
    let own = own.expect("measurements are kept");
    File::options().append(true).open(&own).and_then(|f| f.set_modified(days(91))).expect("the file is ours");
    run(&session(&model, folder.options(Tuning::On)), &x);
    let modified = fs::metadata(&own).and_then(|m| m.modified()).expect("it is still there");
    assert!(modified > days(1));
}

#[test]
fn a_damaged_file_of_pipelines_is_ignored_and_rewritten() {
    let (folder, model, x) = (Folder::new(), model(32, 32), input(8, 32));
    // A device reads the file once.
    let fresh = || pollster::block_on(Gpu::new(Power::High)).expect("the tests need an adapter");
    let run_on = |gpu: &Gpu| {
        let session = Session::new_blocking(gpu, &model, folder.options(Tuning::Off)).expect("the model is sound");
        run(&session, &x)
    };
    let first = fresh();
    let expected = run_on(&first);
    if !first.device().features().contains(wgpu::Features::PIPELINE_CACHE) {
        return;
    }
    let path = folder.file("pipelines").expect("compiled pipelines are kept");
    assert!(is_whole(&path));
    let whole = fs::read(&path).expect("the file is there");
    let mut flipped = whole.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    for damaged in [flipped, whole[..whole.len() - 1].to_vec(), vec![]] {
        fs::write(&path, damaged).expect("the folder can be written");
        assert_eq!(run_on(&fresh()), expected);
        assert!(is_whole(&path));
    }
    assert_eq!(run_on(&fresh()), expected, "from what was kept");
}

/// Doubles, by candidates of the caller's.
#[derive(Debug)]
struct Doubled(&'static [(&'static str, &'static Shader, [u32; 3])]);

static FIELDS: &[Field] = &[Field { name: "count", scalar: Scalar::U32, count: 1, offset: 0 }];
static SOUND: Shader = Shader {
    name: "double",
    source: "
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<f32>;
@group(0) @binding(2) var<storage, read_write> doubled: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x < params.count { doubled[id.x] = data[id.x] * 2.0; }
}",
    params: FIELDS,
};
static UNSOUND: Shader = Shader { name: "unsound", source: "fn main( {", params: FIELDS };
static ALSO_UNSOUND: Shader = Shader { name: "also_unsound", source: "fn main( { }", params: FIELDS };
static HUNGRY: Shader = Shader { name: "hungry", source: "var<workgroup> tile: array<vec4<f32>, 8u * 1024u>;", params: FIELDS };

impl Op for Doubled {
    fn name(&self) -> &'static str {
        "Doubled"
    }

    fn attributes(&self, _: &mut Key) {}
    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let input = inputs[0].ok_or_else(|| Error::invalid_model("an input is missing"))?;
        Ok(vec![Fact::new(input.dtype(), input.shape().clone())])
    }
    fn reference(&self, _: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        Err(Error::unsupported("it is meant to run on the device"))
    }
    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let count = io.input(0)?.ty.elements() as u32;
        for (variant, shader, workgroup) in self.0 {
            offers.add(variant, 0, || {
                let kernel = Kernel::new(shader, &[Access::Read, Access::Write], *workgroup);
                let bindings = vec![Operand::Input(0), Operand::Output(0)];
                let (params, grid) = (count.to_ne_bytes().to_vec(), [count.div_ceil(64), 1, 1]);
                let dispatch = Dispatch { kernel, params, numbers: vec![], bindings, grid, turns: 0, work: Work::default() };
                Ok(Lowering::new(vec![dispatch]))
            });
        }
        Ok(())
    }
}

fn doubled(candidates: &'static [(&'static str, &'static Shader, [u32; 3])]) -> Model {
    let mut b = Builder::new("doubled");
    let x = b.input("x", DType::F32, &[Dim::Named("n".into())]);
    let y = b.node("y", Arc::new(Doubled(candidates)), &[Some(x)]);
    b.output("y", y).expect("the name is free");
    Model::from_graph(b.finish().expect("the graph is sound"))
}

#[test]
fn a_variant_that_does_not_compile_is_skipped_with_one_warning_and_remembered() {
    const CANDIDATES: &[(&str, &Shader, [u32; 3])] = &[("unsound_first", &UNSOUND, [64, 1, 1]), ("sound", &SOUND, [64, 1, 1])];
    let (folder, model) = (Folder::new(), doubled(CANDIDATES));
    let (short, long) = (Tensor::vector(&[1.0f32, -2.0]), Tensor::vector(&[3.0f32; 100]));
    let check = |session: &Session, expected: usize| {
        assert_eq!(run(session, &short), [2.0, -4.0]);
        assert_eq!(run(session, &long), [6.0; 100]);
        assert_eq!(warnings("unsound_first").len(), expected);
        let plan = session.plan(&[("x", short.view())]).expect("it can be planned");
        assert_eq!(plan.steps().map(|s| s.variant).collect::<Vec<_>>(), ["sound"]);
    };
    assert_eq!(warnings("unsound_first").len(), 0);
    check(&session(&model, folder.options(Tuning::Off)), 1);
    assert!(folder.text().contains("refused\tDoubled\tunsound_first\t"), "{}", folder.text());
    check(&session(&model, folder.options(Tuning::Off)), 1);
    check(&session(&model, folder.options(Tuning::On)), 1);
    // Without what was kept, it is found while measuring.
    fs::write(folder.file("tuning").expect("refusals are kept"), "damaged").expect("the folder can be written");
    check(&session(&model, folder.options(Tuning::Forced)), 2);
    check(&session(&model, folder.options(Tuning::On)), 2);
}

#[test]
fn it_is_an_error_when_no_variant_compiles() {
    const CANDIDATES: &[(&str, &Shader, [u32; 3])] = &[("bad", &UNSOUND, [64, 1, 1]), ("worse", &ALSO_UNSOUND, [64, 1, 1])];
    let (folder, x) = (Folder::new(), Tensor::vector(&[1.0f32]));
    for tuning in [Tuning::Off, Tuning::On, Tuning::Forced] {
        let session = session(&doubled(CANDIDATES), folder.options(tuning));
        for _ in 0..2 {
            let error = session.run_blocking(&[("x", x.view())]).expect_err("nothing can run it");
            assert_eq!(error.kind(), ErrorKind::Internal);
            assert!(error.message().contains("the device refused"), "{error}");
        }
    }
    let asked = Options { variant: Some("bad".into()), ..folder.options(Tuning::Off) };
    const ONE_SOUND: &[(&str, &Shader, [u32; 3])] = &[("sound", &SOUND, [64, 1, 1]), ("bad", &UNSOUND, [64, 1, 1])];
    let session = session(&doubled(ONE_SOUND), asked);
    session.run_blocking(&[("x", x.view())]).expect_err("a variant that is asked for by name is not replaced");
}

fn graph_of(model: &Model, inputs: &[Tensor], caps: &Caps) -> Graph {
    optimized(model.graph(), inputs, caps).expect("the graph is sound").expect("no shape depends on data")
}

#[test]
fn a_kernel_beyond_the_limits_is_no_candidate() {
    const CANDIDATES: &[(&str, &Shader, [u32; 3])] = &[
        ("deep", &SOUND, [1, 1, 65]),
        ("many", &SOUND, [256, 2, 1]),
        ("overflowing", &SOUND, [1 << 16, 1 << 16, 1]),
        ("hungry", &HUNGRY, [64, 1, 1]),
        ("sound", &SOUND, [64, 1, 1]),
    ];
    let x = Tensor::vector(&[1.0f32; 8]);
    let offered = |caps: &Caps, candidates| {
        let plan = Plan::new(&graph_of(&doubled(candidates), std::slice::from_ref(&x), caps), caps, &PlanOptions::default());
        plan.expect("something is left, if only the host").variants.concat()
    };
    assert_eq!(offered(&Caps::portable(), CANDIDATES), ["sound"]);
    let roomy = Caps { max_workgroup_storage: 128 << 10, max_workgroup: [256, 256, 256], ..Caps::portable() };
    assert_eq!(offered(&roomy, CANDIDATES), ["deep", "hungry", "sound"]);
    assert_eq!(offered(&Caps::portable(), &CANDIDATES[..1]), [""; 0], "it runs on the host then");
    assert_eq!(Kernel::new(&HUNGRY, &[], [1, 1, 1]).workgroup_bytes(), Some(128 << 10));
}

#[test]
fn plans_are_a_function_of_the_choices() {
    let caps = Caps::portable();
    let measured = Some(BTreeMap::new());
    let choices = |measured| PlanOptions { choices: Arc::new(Choices { measured, ..Choices::default() }), ..Default::default() };
    let offer = |m: usize, k: usize| {
        let graph = graph_of(&model(k, 256), &[input(m, k)], &caps);
        let offers = measurable(&graph, &caps, &choices(measured.clone())).expect("it can be planned");
        let product = offers.into_iter().find(|o| graph.nodes()[o.node].op.name() == "MatMul").expect("several variants");
        (graph, product)
    };
    let (graph, product) = offer(500, 256);
    let near = offer(488, 256).1;
    assert_eq!((product.key.to_string(), product.variants.clone()), (near.key.to_string(), near.variants));
    assert_ne!(product.key, offer(300, 256).1.key, "another bucket");
    assert!(product.key.to_string().starts_with("MatMul f32[512x256] f32[256x256]*"), "{}", product.key);
    let second = product.variants[1];
    let options = choices(Some([(product.key, second.to_string())].into()));
    let plan = Plan::new(&graph, &caps, &options).expect("it can be planned");
    assert_eq!(plan.chosen[product.node], Chosen::Measured);
    assert!(plan.steps().any(|s| s.node == product.node && s.variant == second));
    let named = PlanOptions { variant: Some(product.variants[0].to_string()), ..options };
    assert_eq!(Plan::new(&graph, &caps, &named).expect("it can be planned").chosen[product.node], Chosen::Named);
    assert!(measurable(&graph, &caps, &PlanOptions::default()).expect("it can be planned").is_empty());
}
