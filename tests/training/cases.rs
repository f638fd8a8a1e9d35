//! The rules of operators over the whole table of cases: gradients by the references in double precision against slopes of the same
//! references, near the numbers of each row.

use crate::cases::{self, Case};
use gristmill::Tensor;
use gristmill::internals::graph::OpExt;
use gristmill::internals::ops::REGISTRY;
use gristmill::internals::ops::elementwise::Map;
use gristmill::internals::session::{Comparison, Question, Single};
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

/// Operators that no gradient goes back through, and why.
const WITHOUT: &[(&str, &str)] = &[("Gradient", "it stands for what the rules of others write")];

/// The operators of a row: that of the table, those named within, and, of an elementwise program, its functions.
fn operators(case: &Case) -> Vec<&'static str> {
    let mut names = vec![case.op.name()];
    names.extend(case.within.iter().copied());
    if let Some(map) = case.op.downcast::<Map>() {
        names.extend(map.program.instructions.iter().map(|instruction| instruction.function.name));
        names.push("Map");
    }
    names
}

/// Every row's gradients, and which operators have any that is not zero.
#[test]
fn training_gradients_of_all_cases() {
    let filter = std::env::var("CASES").unwrap_or_default();
    let (mut failures, mut count) = (Vec::new(), 0);
    let mut without: BTreeMap<&str, String> = BTreeMap::new();
    let mut differentiated: BTreeSet<&str> = BTreeSet::new();
    for case in cases::all().iter().filter(|case| case.name.contains(&filter)) {
        count += 1;
        let found = catch_unwind(AssertUnwindSafe(|| outcome(case))).unwrap_or_else(|_| Outcome::Wrong("panicked".into()));
        match found {
            Outcome::Right(greatest) if greatest > 0.0 => differentiated.extend(operators(case)),
            Outcome::Right(_) => {
                without.entry(case.op.name()).or_insert_with(|| "its gradient is zero".into());
            }
            Outcome::Without(reason) => {
                without.entry(case.op.name()).or_insert(reason);
            }
            Outcome::Wrong(message) => failures.push(format!("{}: {message}", case.name)),
        }
    }
    if filter.is_empty() {
        failures.extend(unexplained(&differentiated, &without));
    }
    assert!(failures.is_empty(), "{} failures in {count} cases:\n  {}", failures.len(), failures.join("\n  "));
}

/// Registered operators that neither have a gradient in any row nor stand in the table of those without, and those that stand there in vain.
fn unexplained(differentiated: &BTreeSet<&str>, without: &BTreeMap<&str, String>) -> Vec<String> {
    let explained: BTreeSet<&str> = WITHOUT.iter().map(|(name, _)| *name).collect();
    let registered: BTreeSet<&str> = REGISTRY.iter().flat_map(|r| r.operators).copied().collect();
    let rows: BTreeSet<&str> = registered.iter().chain(without.keys()).copied().collect();
    let mut failures = Vec::new();
    for name in rows.iter().filter(|name| !differentiated.contains(*name) && !explained.contains(*name)) {
        let reason = without.get(name).map_or("no row of its own", String::as_str);
        failures.push(format!("{name} has no gradient in any row ({reason}), and the table does not say why"));
    }
    failures.extend(
        explained.intersection(differentiated).map(|name| format!("{name} has a gradient, and the table says that it has none")),
    );
    let known = |name: &&&str| !rows.contains(**name);
    failures.extend(explained.iter().filter(known).map(|name| format!("{name} stands in the table and is no operator")));
    failures
}
