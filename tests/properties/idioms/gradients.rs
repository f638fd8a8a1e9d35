//! Gradients of random networks: by the rules of operators in double precision against slopes, and on the device, fused, against the
//! references, within what rounding alone does to them.

use super::check::Trial;
use super::error::{expected, values};
use super::network::Network;
use super::search::number;
use super::{check, drawn};
use crate::support::gpu;
use gristmill::internals::graph::{Fact, Structure};
use gristmill::internals::passes::{self, Specialized};
use gristmill::internals::session::{Question, Whole};
use gristmill::{DType, Model, Options, Session, Tensor, TensorView};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Random directions in which inputs of many elements are followed.
const DIRECTIONS: usize = 2;

/// How often a point is moved when there is a kink too near to it.
const POINTS: u64 = 3;

/// What there is to say of a network.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Right,
    /// The gradients are right on the device; slopes have kinks wherever it was looked.
    Kinked,
    /// There is no gradient, for a reason.
    Without(String),
}

fn text(error: gristmill::Error) -> String {
    error.to_string()
}

/// Holds the gradients by the references against slopes; false where there are kinks everywhere.
fn slopes(question: &Question) -> Result<bool, String> {
    for seed in 0..POINTS {
        let Ok(near) = question.nearby(seed) else { return Ok(false) };
        let found = near.gradients().map_err(text)?;
        let all = near.compare(&found, DIRECTIONS, seed).map_err(text)?;
        if let Some(wrong) = all.iter().find(|comparison| comparison.wrong > 0) {
            return Err(format!("slopes: {wrong:?}"));
        }
        if all.iter().all(|comparison| comparison.unsettled == 0) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Holds the gradients of the device against the references, within what shaking those says.
fn on_device(whole: &Whole, question: &Question) -> Result<(), String> {
    let model = Model::from_graph(whole.differentiated(question.worth()).map_err(text)?);
    let mut given = whole.given.clone();
    let floats = question.worth().iter().flatten();
    for (k, worth) in floats.enumerate() {
        let name = format!("worth.{k}");
        let dtype =
            model.graph().inputs().iter().find(|i| model.graph().value(i.value).name == name).map_or(DType::F32, |i| i.dtype);
        let ty = gristmill::TensorType::new(dtype, worth.shape().clone());
        given.push((name, Tensor::from_f64(ty, &worth.to_f64()).expect("as many elements")));
    }
    let fact = |(name, tensor): &(String, Tensor)| {
        let open = whole.inputs.iter().any(|(own, _)| own == name) || name.starts_with("worth.");
        if open { Fact::new(tensor.dtype(), tensor.shape().clone()) } else { Fact::of(tensor.clone()) }
    };
    let facts: Vec<Fact> = given.iter().map(fact).collect();
    let Specialized::Graph(graph) = passes::specialize(model.graph(), &facts).map_err(text)? else {
        return Err("the graph with gradients has stages".into());
    };
    let plain = passes::Options { fuse: false, strict: true, ..Default::default() };
    let graph = passes::optimize(&graph, &plain).map_err(text)?;
    let inputs: Vec<Tensor> =
        given.iter().zip(&facts).filter(|(_, fact)| fact.value.is_none()).map(|((_, t), _)| t.clone()).collect();
    let right = values(&graph, &inputs, None).map_err(text)?;
    let right = expected(&graph, &inputs, right).map_err(text)?;
    let session = Session::new_blocking(gpu(), &model, Options::default()).map_err(text)?;
    let views: Vec<(&str, TensorView)> = given.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
    let found = session.run_blocking(&views).map_err(text)?;
    let outputs = right.len() - whole.inputs.len();
    for (k, (right, (name, _))) in right.iter().skip(outputs).zip(&whole.inputs).enumerate() {
        let found = found.get(&format!("gradient.{k}")).ok_or_else(|| format!("no gradient of {name}"))?;
        if right.tensor.to_f64().iter().any(|x| !x.is_finite()) {
            continue;
        }
        if let Some(wrong) = right.difference(found) {
            return Err(format!("device: {name}: {wrong}"));
        }
    }
    Ok(())
}

/// What there is to say of a network's gradients.
fn outcome(network: &Network) -> Result<Outcome, String> {
    let model = Model::from_bytes(&network.without_defaults().encode(), None).map_err(text)?;
    let given: Vec<Structure<Tensor>> = check::given(network, model.graph())?.into_iter().map(Structure::Tensor).collect();
    let whole = match Whole::new(model.graph(), &given) {
        Ok(whole) => whole,
        Err(error) if error.kind() == gristmill::ErrorKind::Unsupported => return Ok(Outcome::Without(error.message().into())),
        Err(error) => return Err(text(error)),
    };
    let inputs = whole.tensors();
    let subjects: Vec<usize> = (0..inputs.len()).collect();
    if subjects.is_empty() {
        return Ok(Outcome::Without("no floats go in".into()));
    }
    let question = Question::new(&whole.graph, &inputs, &subjects, 3).map_err(text)?;
    if question.worth().iter().all(Option::is_none) {
        return Ok(Outcome::Without("no floats come out".into()));
    }
    match question.gradients() {
        Err(error) if error.message().contains("has no gradient") => return Ok(Outcome::Without(error.message().into())),
        found => found.map_err(text)?,
    };
    let settled = slopes(&question)?;
    match on_device(&whole, &question) {
        // Here counts of loops are known, in a session they are what a run is given.
        Err(message) if message.contains("gradients go through no network that runs in stages") => {
            return Ok(Outcome::Without("a session has stages for it".into()));
        }
        found => found?,
    }
    Ok(if settled { Outcome::Right } else { Outcome::Kinked })
}

/// Checks the networks of some seeds, and says how many of each outcome there are.
fn through(seeds: impl Iterator<Item = u64>) -> (BTreeMap<Outcome, Vec<u64>>, Vec<String>) {
    let (mut outcomes, mut failures) = (BTreeMap::<Outcome, Vec<u64>>::new(), Vec::new());
    for seed in seeds {
        let (network, Trial { .. }) = drawn(seed, None);
        match catch_unwind(AssertUnwindSafe(|| outcome(&network))).unwrap_or_else(|_| Err("panicked".into())) {
            Ok(found) => outcomes.entry(found).or_default().push(seed),
            Err(message) => failures.push(format!("seed {seed}: {message}\n{network}")),
        }
    }
    (outcomes, failures)
}

/// How many of the networks of the normal test there are.
const NETWORKS: u64 = 40;

#[test]
fn training_gradients_of_networks() {
    let (outcomes, failures) = through(0..NETWORKS);
    assert!(failures.is_empty(), "{} of {NETWORKS} networks fail:\n{}", failures.len(), failures.join("\n"));
    let right = outcomes.get(&Outcome::Right).map_or(0, Vec::len);
    assert!(right > NETWORKS as usize / 2, "few networks say anything: {outcomes:?}");
}

/// `FUZZ_GRAPHS` networks from `FUZZ_SEED` on, every `FUZZ_STEP`th.
#[test]
#[ignore = "runs as long as it is told to; scripts/fuzz starts it"]
fn training_search() {
    let (graphs, first, step) = (number("FUZZ_GRAPHS", 300), number("FUZZ_SEED", 0), number("FUZZ_STEP", 1));
    let (outcomes, failures) = through((0..graphs).map(|k| first + k * step));
    for (outcome, seeds) in &outcomes {
        println!("{:5} x {outcome:?}: seeds {:?}", seeds.len(), &seeds[..seeds.len().min(8)]);
    }
    assert!(failures.is_empty(), "{} of {graphs} networks fail:\n{}", failures.len(), failures.join("\n"));
}
