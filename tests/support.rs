//! What several tests share: one device, comparing tensors, and planning without a device.

use crate::cases::Tolerance;
use crate::plan::violations;
use gristmill::internals::graph::{Fact, Graph};
use gristmill::internals::kernel::Caps;
use gristmill::internals::passes::{self, Specialized};
use gristmill::internals::plan::{Plan, PlanOptions, Written};
use gristmill::{Gpu, Power, Session, Tensor, TensorView};
use std::fs;
use std::path::Path;
use std::sync::{Mutex, Once, PoisonError};

/// Devices that no test uses at the moment.
static IDLE: Mutex<Vec<&'static Gpu>> = Mutex::new(Vec::new());

/// A device in use; another test gets it when the thread ends.
struct Lease(&'static Gpu);

impl Lease {
    fn new() -> Lease {
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let open = || Box::leak(Box::new(Gpu::new_blocking(Power::High).expect("the tests need an adapter; lavapipe will do")));
        Lease(idle.unwrap_or_else(|| open()))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(self.0);
    }
}

/// The device of a test, which is a thread; without any adapter the test fails. Tests that run at a time have one each: a
/// software driver compiles within its queue, one kernel after the other.
pub fn gpu() -> &'static Gpu {
    thread_local!(static LEASE: Lease = Lease::new());
    LEASE.with(|lease| lease.0)
}

/// Where and how far `found` lies from `expected`, if it is out of tolerance.
pub fn difference(found: &Tensor, expected: &Tensor, tolerance: Tolerance) -> Option<String> {
    if found.ty() != expected.ty() {
        return Some(format!("expected {}, found {}", expected.ty(), found.ty()));
    }
    let (f, e) = (found.to_f64(), expected.to_f64());
    let exact = !expected.dtype().is_float();
    let same = |f: f64, e: f64| {
        let near = if exact { f == e } else { (f - e).abs() <= tolerance.absolute + tolerance.relative * e.abs() };
        near || f == e || (f.is_nan() && e.is_nan())
    };
    let wrong: Vec<usize> = (0..f.len()).filter(|&i| !same(f[i], e[i])).collect();
    let first = *wrong.first()?;
    let worst = wrong.iter().map(|&i| (f[i] - e[i]).abs()).fold(0.0, f64::max);
    let mut index = Vec::new();
    let mut rest = first;
    for (d, s) in expected.shape().iter().zip(expected.shape().strides()) {
        index.push(rest / s % d.max(&1));
        rest %= s.max(1);
    }
    Some(format!(
        "{} of {} elements of {}; first at {index:?}: expected {}, found {}; largest difference {worst}",
        wrong.len(),
        f.len(),
        expected.ty(),
        e[first],
        f[first]
    ))
}

/// The optimised graph for inputs like these; inputs that shapes depend on become constants. `None` when a shape depends
/// on a value that is computed during the run.
pub fn optimized(graph: &Graph, inputs: &[Tensor], caps: &Caps) -> gristmill::Result<Option<Graph>> {
    let assumed = |t: &Tensor| {
        let bounds = t.dtype().range().filter(|_| t.dtype().size() == 8).map(|_| (-(1 << 24), 1 << 24));
        Fact::new(t.dtype(), t.shape().clone()).bounded(bounds)
    };
    let mut facts: Vec<Fact> = inputs.iter().map(assumed).collect();
    loop {
        match passes::specialize(graph, &facts)? {
            Specialized::Graph(graph) => {
                let options =
                    passes::Options { max_storage_buffers: caps.max_storage_buffers as usize, strict: true, ..Default::default() };
                return passes::optimize(&graph, &options).map(Some);
            }
            Specialized::Stage { .. } => return Ok(None),
            Specialized::Blocked { value, .. } => {
                let blocked = graph.inputs().iter().position(|i| i.value == value);
                // What shapes are computed from are integers.
                let known = (0..inputs.len()).filter(|k| facts[*k].value.is_none() && inputs[*k].dtype().is_integer());
                let wanted: Vec<usize> = blocked.map_or_else(|| known.collect(), |index| vec![index]);
                if wanted.is_empty() {
                    return Ok(None);
                }
                for index in wanted {
                    facts[index] = Fact::of(inputs[index].clone());
                }
            }
        }
    }
}

/// What a text and the one on file first differ in; none when they are equal. Where `UPDATE_SNAPSHOTS` is set, the file gets the text.
pub fn changed(file: &Path, text: &str) -> Option<String> {
    let kept = fs::read_to_string(file).unwrap_or_default();
    if kept.trim_end() == text.trim_end() {
        return None;
    }
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(file, format!("{}\n", text.trim_end())).expect("the file can be written");
        return None;
    }
    let number = kept.lines().zip(text.lines()).take_while(|(kept, new)| kept == new).count();
    let line = |text: &str| text.lines().nth(number).unwrap_or("nothing more").trim().to_string();
    Some(format!("{}:{}: expected {}, found {}", file.display(), number + 1, line(&kept), line(text)))
}

/// The plan of an optimised graph, after a check of what must hold of it.
pub fn planned(graph: &Graph, caps: &Caps) -> Result<Plan, String> {
    let plan = Plan::new(graph, caps, &PlanOptions::default()).map_err(|e| format!("no plan on {caps}: {e}"))?;
    let broken = violations(&plan);
    if broken.is_empty() { Ok(plan) } else { Err(format!("the plan on {caps} is broken: {}\n{plan}of {graph}", broken.join("; "))) }
}

/// How states are written by the plan for these inputs and states, of which nothing passes through the host.
pub fn states_on_device(session: &Session, given: &[(&str, TensorView<'_>)]) -> Vec<Written> {
    let plan = session.plan(given).expect("it can be planned");
    assert_eq!(plan.segments.len(), 1, "{plan}");
    assert!(plan.states.iter().all(|state| state.scalar.is_some() && state.written != Written::Host), "{plan}");
    plan.states.iter().map(|state| state.written).collect()
}

/// Warnings so far that hold a word; collected from when it is first called, for all tests, as a process has one logger.
pub fn warnings(about: &str) -> Vec<String> {
    static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static START: Once = Once::new();
    struct Collector;
    impl log::Log for Collector {
        fn enabled(&self, metadata: &log::Metadata) -> bool {
            metadata.level() <= log::Level::Warn
        }
        fn log(&self, record: &log::Record) {
            if self.enabled(record.metadata()) {
                LINES.lock().expect("nobody panics here").push(record.args().to_string());
            }
        }
        fn flush(&self) {}
    }
    START.call_once(|| {
        log::set_logger(&Collector).expect("nobody else collects");
        log::set_max_level(log::LevelFilter::Warn);
    });
    LINES.lock().expect("nobody panics here").iter().filter(|line| line.contains(about)).cloned().collect()
}
