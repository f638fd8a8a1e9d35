//! The rules of operators over the whole table of cases: gradients by the references in double precision against slopes of the same
//! references, near the numbers of each row.

use crate::cases::{self, Case};
use crate::sources::root;
use gristmill::internals::graph::{Fact, OpExt};
use gristmill::internals::ops::REGISTRY;
use gristmill::internals::ops::elementwise::Map;
use gristmill::internals::passes::{self, Specialized};
use gristmill::internals::session::{Comparison, Question, Single};
use gristmill::{ErrorKind, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Random directions in which inputs of many elements are followed.
const DIRECTIONS: usize = 2;

/// How often a point is moved when there is a kink or a jump too near to it.
const POINTS: u64 = 4;

/// What there is to say of a row.
enum Outcome {
    /// The gradients are right, and the greatest element of any is so large.
    Right(f64),
    /// There is nothing to compare, for a reason.
    Without(String),
    Wrong(String),
}

fn text(error: gristmill::Error) -> String {
    error.to_string()
}

/// Holds all gradients of a question against slopes; none where an operator has no rule.
fn compared(question: &Question, seed: u64) -> Result<Option<Vec<Comparison>>, String> {
    let found: Vec<Tensor> = match question.gradients() {
        Ok(found) => found,
        Err(error) if error.message().contains("has no gradient") => return Ok(None),
        Err(error) => return Err(text(error)),
    };
    question.compare(&found, DIRECTIONS, seed).map(Some).map_err(text)
}

/// Holds the gradients of a question against slopes, at a point without kinks.
fn settled(question: &Question) -> Outcome {
    let mut last = String::new();
    for seed in 0..POINTS {
        let near = match question.nearby(seed) {
            Ok(near) => near,
            Err(error) if error.kind() == ErrorKind::Unsupported => return Outcome::Without(text(error)),
            Err(error) => return Outcome::Wrong(text(error)),
        };
        match compared(&near, seed) {
            Err(message) => return Outcome::Wrong(message),
            Ok(None) => return Outcome::Without("it has no rule".into()),
            Ok(Some(all)) => match all.iter().find(|found| found.wrong + found.unsettled > 0) {
                None => return Outcome::Right(all.iter().map(|found| found.greatest).fold(0.0, f64::max)),
                Some(found) => last = format!("{found:?}"),
            },
        }
    }
    Outcome::Wrong(last)
}

fn outcome(case: &Case) -> Outcome {
    if case.op.flow().is_some() {
        return Outcome::Without("it is a flow".into());
    }
    if case.op.base().is_some() {
        return Outcome::Without("it is fused, which the passes do after gradients are written".into());
    }
    let single = match Single::new(&case.op, &case.inputs, &vec![true; case.outputs], &[]) {
        Ok(single) => single,
        Err(error) => return Outcome::Wrong(text(error)),
    };
    if single.subjects.is_empty() {
        return Outcome::Without("no floats go in".into());
    }
    let question = match Question::new(&single.graph, &single.inputs, &single.subjects, 5) {
        Ok(question) if question.worth().iter().all(Option::is_none) => return Outcome::Without("no floats come out".into()),
        Ok(question) => question,
        Err(error) => return Outcome::Wrong(text(error)),
    };
    match settled(&question) {
        // Some inputs may have a rule where others have none.
        Outcome::Without(reason) if single.subjects.len() > 1 => {
            let each = (0..single.subjects.len()).map(|k| settled(&question.about(k)));
            let mut found = Outcome::Without(reason);
            for outcome in each {
                found = match (found, outcome) {
                    (_, Outcome::Wrong(message)) | (Outcome::Wrong(message), _) => Outcome::Wrong(message),
                    (Outcome::Right(a), Outcome::Right(b)) => Outcome::Right(f64::max(a, b)),
                    (Outcome::Right(most), _) | (_, Outcome::Right(most)) => Outcome::Right(most),
                    (found, _) => found,
                };
            }
            found
        }
        outcome => outcome,
    }
}

/// Inputs and outputs of at most so many elements are followed in the test that always runs.
const LARGE: usize = 1 << 14;

/// Operators that no gradient goes back through, and why: lines `operator: reason`.
const WITHOUT: &str = "tests/training/without_gradient.txt";

/// The operators that a row differentiates: its own, the functions of an elementwise program, and what a composition becomes.
fn operators(case: &Case) -> Vec<&'static str> {
    let mut names = vec![case.op.name()];
    if let Some(map) = case.op.downcast::<Map>() {
        names.extend(map.program.instructions.iter().map(|instruction| instruction.function.name));
        names.push("Map");
    }
    let Ok(single) = Single::new(&case.op, &case.inputs, &vec![true; case.outputs], &[]) else { return names };
    let open = |tensor: &Tensor| Fact::new(tensor.dtype(), tensor.shape().clone());
    let fact = |tensor: &Tensor| if tensor.dtype().is_float() { open(tensor) } else { Fact::of(tensor.clone()) };
    let facts: Vec<Fact> = single.inputs.iter().map(fact).collect();
    if let Ok(Specialized::Graph(graph)) = passes::specialize(&single.graph, &facts) {
        names.extend(graph.nodes().iter().map(|node| node.op.name()));
    }
    names
}

fn size(case: &Case) -> usize {
    case.inputs.iter().flatten().map(Tensor::elements).sum()
}

/// What rows say: failures, operators with gradients, and why others have none.
#[derive(Default)]
struct Findings {
    failures: Vec<String>,
    differentiated: BTreeSet<&'static str>,
    without: BTreeMap<&'static str, String>,
}

fn look(cases: &[Case]) -> Findings {
    let mut findings = Findings::default();
    for case in cases {
        let found = catch_unwind(AssertUnwindSafe(|| outcome(case))).unwrap_or_else(|_| Outcome::Wrong("panicked".into()));
        let reason = match found {
            Outcome::Right(greatest) if greatest > 0.0 => {
                findings.differentiated.extend(operators(case));
                continue;
            }
            Outcome::Right(_) => "its gradient is zero".into(),
            Outcome::Without(reason) => reason,
            Outcome::Wrong(message) => {
                findings.failures.push(format!("{}: {message}", case.name));
                continue;
            }
        };
        findings.without.entry(case.op.name()).or_insert(reason);
    }
    findings
}

/// The rows whose names contain what `CASES` says, small ones or the others.
fn rows(small: bool) -> Vec<Case> {
    let filter = std::env::var("CASES").unwrap_or_default();
    cases::all().into_iter().filter(|case| case.name.contains(&filter) && (size(case) <= LARGE) == small).collect()
}

/// Every row's gradients, and whether each operator has any or is said to have none.
#[test]
fn training_gradients_of_all_cases() {
    let cases = rows(true);
    let mut findings = look(&cases);
    if std::env::var_os("CASES").is_none() {
        let unexplained = unexplained(&findings);
        findings.failures.extend(unexplained);
    }
    let failures = findings.failures;
    assert!(failures.is_empty(), "{} failures in {} cases:\n  {}", failures.len(), cases.len(), failures.join("\n  "));
}

/// The rows of many elements: others of their operators are among the small ones.
#[test]
#[ignore = "takes many minutes"]
fn training_gradients_of_large_cases() {
    let cases = rows(false);
    let failures = look(&cases).failures;
    assert!(failures.is_empty(), "{} failures in {} cases:\n  {}", failures.len(), cases.len(), failures.join("\n  "));
}

/// Operators that neither have a gradient in any row nor stand in the table of those without, and those that stand there in vain.
fn unexplained(findings: &Findings) -> Vec<String> {
    let table = std::fs::read_to_string(root().join(WITHOUT)).expect("the table is there");
    let explained: BTreeSet<&str> = table.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
    let registered = REGISTRY.iter().flat_map(|r| r.operators).copied();
    // Comparisons, logic and the like are functions of elementwise programs; those that floats come out of are looked at.
    let silent = |reason: &String| reason.starts_with("no floats");
    let rows = findings.without.iter().filter(|(_, reason)| !silent(reason)).map(|(name, _)| *name);
    let all: BTreeSet<&str> = registered.chain(rows).collect();
    let mut failures = Vec::new();
    for name in all.iter().filter(|name| !findings.differentiated.contains(*name) && !explained.contains(*name)) {
        let reason = findings.without.get(name).map_or("no row of its own", String::as_str);
        failures.push(format!("{name} has no gradient in any row ({reason}), and {WITHOUT} does not say why"));
    }
    let vain = explained.iter().filter(|name| findings.differentiated.contains(*name) || !all.contains(*name));
    failures.extend(vain.map(|name| format!("{name} stands in {WITHOUT} and need not")));
    failures
}
