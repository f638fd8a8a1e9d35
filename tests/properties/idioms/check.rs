//! One network, held against itself: what was imported against what was meant, optimised against not, GPU against references.

use super::error::{Expected, expected, values};
use super::network::Network;
use crate::support::{gpu, optimized, planned};
use gristmill::internals::graph::Graph;
use gristmill::internals::kernel::{Caps, Kernel};
use gristmill::{DType, Model, Options, Session, Tensor, TensorType, TensorView};
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Where a network fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Import,
    Reference,
    Passes,
    Plan,
    Device,
}

/// What is wrong with a network.
#[derive(Clone, Debug)]
pub struct Failure {
    pub stage: Stage,
    pub message: String,
    /// The kernel variant that was asked for.
    pub variant: Option<String>,
}

/// What a network is put through.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// False stays on the CPU.
    pub device: bool,
    pub checked: bool,
    /// Which of the variants offered beside those taken, counted round.
    pub other: Option<usize>,
    /// A variant by name.
    pub variant: Option<String>,
    /// Runs every node by itself, too.
    pub apart: bool,
    /// Runs it with a state, too.
    pub lasts: bool,
}

/// What a network that is right says of the test.
pub struct Passed {
    /// The bounds of its first output say little.
    pub loose: bool,
    /// The kernels that it ran.
    pub kernels: Vec<Kernel>,
}

thread_local! {
    /// What the last panic said, and where; kept by the hook of the long run.
    pub static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

fn panic_text(cause: &(dyn std::any::Any + Send)) -> String {
    let kept = PANIC.take();
    let text = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
    format!("panic: {}", if kept.is_empty() { text.unwrap_or("?") } else { &kept })
}

/// Runs one stage; errors and panics become failures.
fn stage<T>(stage: Stage, work: impl FnOnce() -> Result<T, String>) -> Result<T, Failure> {
    let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|cause| Err(panic_text(&*cause)));
    result.map_err(|message| Failure { stage, message, variant: None })
}

/// The model, in which no input has a default, and what its outputs should be.
pub fn reference(network: &Network) -> Result<(Model, Vec<Expected>), Failure> {
    let plain = network.without_defaults();
    let model = stage(Stage::Import, || Model::from_bytes(&plain.encode(), None).map_err(|e| e.to_string()))?;
    let graph = model.graph();
    let inputs = stage(Stage::Import, || {
        let declared = |name: &str| graph.inputs().iter().any(|i| graph.value(i.value).name == name);
        match network.inputs.iter().find(|(name, _)| !declared(name)) {
            Some((name, _)) => Err(format!("the model has no input `{name}`")),
            None => given(network, graph),
        }
    })?;
    let right = stage(Stage::Reference, || {
        let right = values(graph, &inputs, None).map_err(|e| e.to_string())?;
        let found: HashMap<&str, &Tensor> =
            graph.values().iter().zip(&right).filter_map(|(v, t)| Some((v.name.as_str(), t.as_ref()?))).collect();
        for node in &network.nodes {
            for name in &node.outputs {
                let (Some(meant), Some(found)) = (network.types.get(name), found.get(name.as_str())) else { continue };
                if meant != found.ty() {
                    return Err(format!("{name}: expected {meant}, found {} of\n{node:?}", found.ty()));
                }
            }
        }
        expected(graph, &inputs, right).map_err(|e| e.to_string())
    })?;
    Ok((model, right))
}

/// The inputs of a run, in the order in which a graph declares them.
pub fn given(network: &Network, graph: &Graph) -> Result<Vec<Tensor>, String> {
    let given = graph.inputs().iter().map(|input| {
        let name = &graph.value(input.value).name;
        let found = network.inputs.iter().find(|(own, _)| own == name);
        found.map(|(_, tensor)| tensor.clone()).ok_or_else(|| format!("the graph has an input `{name}`"))
    });
    given.collect()
}

/// The outputs of an optimised graph, whose inputs are some of the model's.
fn by_references(network: &Network, graph: &Graph) -> Result<Vec<Tensor>, String> {
    let values = values(graph, &given(network, graph)?, None).map_err(|e| e.to_string())?;
    graph.outputs().iter().map(|id| values[id.index()].clone().ok_or_else(|| "an output was not computed".into())).collect()
}

fn compare(right: &[Expected], found: &[Tensor]) -> Result<(), String> {
    if right.len() != found.len() {
        return Err(format!("expected {} outputs, found {}", right.len(), found.len()));
    }
    let wrong = right.iter().zip(found).enumerate().find_map(|(k, (right, found))| Some((k, right.difference(found)?)));
    wrong.map_or(Ok(()), |(k, message)| Err(format!("output {k}: {message}")))
}

/// The outputs of two runs of one plan, which must find nothing that the other left behind.
fn by_device(network: &Network, options: Options) -> Result<[Vec<Tensor>; 2], String> {
    let model = Model::from_bytes(&network.encode(), None).map_err(|e| e.to_string())?;
    let session = Session::new_blocking(gpu(), &model, options).map_err(|e| e.to_string())?;
    let given: Vec<(&str, TensorView)> = network.inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
    let run = || -> Result<Vec<Tensor>, String> {
        let outputs = session.run_blocking(&given).map_err(|e| e.to_string())?;
        Ok(network.outputs.iter().filter_map(|name| outputs.get(name).cloned()).collect())
    };
    Ok([run()?, run()?])
}

/// An output of floats that has the type of an input, and that input.
fn pair(network: &Network) -> Option<(String, String)> {
    let plain = |name: &String| network.initializers.iter().all(|(known, _)| known != name);
    let inputs = network.inputs.iter().filter(|(name, tensor)| plain(name) && tensor.dtype() == DType::F32);
    let alike = |ty: &TensorType| network.outputs.iter().find(|name| network.types.get(*name) == Some(ty));
    inputs.filter_map(|(input, tensor)| Some((alike(tensor.ty())?.clone(), input.clone()))).next()
}

/// Runs a network with an output as a state, which an input reads. Each run is held against the references from what the state held before it.
fn by_states(network: &Network, options: Options) -> Result<(), String> {
    let Some((output, input)) = pair(network) else { return Ok(()) };
    let text = |e: gristmill::Error| e.to_string();
    let model = Model::from_bytes(&network.without_defaults().encode(), None).map_err(text)?;
    let model = model.with_states(&[(&output, &input)]).map_err(text)?;
    let session = Session::new_blocking(gpu(), &model, options).map_err(text)?;
    let mut state = session.state().map_err(text)?;
    let mut now = network.clone();
    let initial = now.inputs.iter().find(|(name, _)| *name == input).map(|(_, tensor)| tensor.clone());
    state.set(&input, &initial.ok_or("the input is gone")?.view()).map_err(text)?;
    for run in 0..3 {
        let before = state.get_blocking(&input).map_err(text)?;
        now.inputs.iter_mut().filter(|(name, _)| *name == input).for_each(|(_, tensor)| *tensor = before.clone());
        let (_, right) = reference(&now).map_err(|failure| failure.message)?;
        let given = now.inputs.iter().filter(|(name, _)| *name != input);
        let given: Vec<(&str, TensorView)> = given.map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
        let outputs = session.run_with_blocking(&mut state, &given).map_err(text)?;
        let after = state.get_blocking(&input).map_err(text)?;
        let found: Vec<Tensor> = network
            .outputs
            .iter()
            .filter_map(|name| if *name == output { Some(after.clone()) } else { outputs.get(name).cloned() })
            .collect();
        compare(&right, &found).map_err(|message| format!("run {run} with state {input} = {output}: {message}"))?;
    }
    Ok(())
}

/// Puts a network through a trial.
pub fn check(network: &Network, trial: &Trial) -> Result<Passed, Failure> {
    let (model, right) = reference(network)?;
    let software = Caps::software();
    let fewer = stage(Stage::Passes, || {
        let inputs = given(network, model.graph())?;
        let fewer = optimized(model.graph(), &inputs, &software).map_err(|e| e.to_string())?;
        if let Some(graph) = &fewer {
            let found = by_references(network, graph)?;
            compare(&right, &found).map_err(|message| format!("{message}\nof {graph}"))?;
        }
        Ok(fewer)
    })?;
    let mut variant = trial.variant.clone();
    let mut kernels = Vec::new();
    if let Some(graph) = &fewer {
        let plan = stage(Stage::Plan, || {
            planned(graph, &Caps::portable())?;
            planned(graph, if trial.device { gpu().caps() } else { &software })
        })?;
        kernels.extend(plan.kernels.iter().cloned());
        if let (None, Some(other)) = (&variant, trial.other) {
            let taken: Vec<&str> = plan.steps().map(|s| s.variant).collect();
            let others: Vec<&str> = plan.variants.iter().flatten().copied().filter(|v| !taken.contains(v)).collect();
            variant = (!others.is_empty()).then(|| others[other % others.len()].to_string());
        }
    }
    if trial.device {
        let options = Options { checked: trial.checked, variant: variant.clone(), ..Options::default() };
        let result = stage(Stage::Device, || {
            for (run, found) in by_device(network, options.clone())?.iter().enumerate() {
                compare(&right, found).map_err(|message| format!("run {run}: {message}"))?;
            }
            if trial.lasts {
                by_states(network, options.clone())?;
            }
            if trial.apart {
                let [found, _] = by_device(network, Options { keep_all: true, ..options })?;
                compare(&right, &found).map_err(|message| format!("node by node: {message}"))?;
            }
            Ok(())
        });
        result.map_err(|failure| Failure { variant, ..failure })?;
    }
    Ok(Passed { loose: right.first().is_some_and(Expected::is_loose), kernels })
}
