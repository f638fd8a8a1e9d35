//! Every row of the case table: the reference against golden numbers, and every kernel variant against the reference. Compiled with run-time
//! checks, which takes as long again, each row runs by one of its variants, the one that had the fewest rows before. `CASES=softmax` runs only the
//! rows whose names contain it, with checks by all variants too.

use crate::cases::{self, Case, Random};
use crate::support::{difference, gpu};
use gristmill::internals::ops::tensor_scatter::tensor_scatter;
use gristmill::{ErrorKind, Model, Options, Outputs, Session, Tensor};
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{iter, thread};

fn selected() -> Vec<Case> {
    let filter = std::env::var("CASES").unwrap_or_default();
    cases::all().into_iter().filter(|case| case.name.contains(&filter)).collect()
}

/// What is wrong with a row.
fn checked(case: &Case, check: impl Fn(&Case) -> Vec<String>) -> Vec<String> {
    let found = catch_unwind(AssertUnwindSafe(|| check(case))).unwrap_or_else(|_| vec!["panicked".into()]);
    found.into_iter().map(|message| format!("{}: {message}", case.name)).collect()
}

/// Fails with the messages of all rows at once.
fn report(failures: &[String]) {
    assert!(failures.is_empty(), "{} failures:\n  {}", failures.len(), failures.join("\n  "));
}

fn for_each_case(check: impl Fn(&Case) -> Vec<String>) {
    report(&selected().iter().flat_map(|case| checked(case, &check)).collect::<Vec<_>>());
}

/// On all cores: this takes longer than all other tests together.
fn for_each_case_at_once(check: impl Fn(&Case) -> Vec<String> + Sync) {
    let (cases, next) = (selected(), AtomicUsize::new(0));
    let work = || {
        let rows = iter::from_fn(|| cases.get(next.fetch_add(1, Ordering::Relaxed)));
        rows.flat_map(|case| checked(case, &check)).collect::<Vec<_>>()
    };
    let failures = thread::scope(|scope| {
        let threads: Vec<_> = (0..thread::available_parallelism().map_or(1, usize::from)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("panics are caught")).collect::<Vec<_>>()
    });
    report(&failures);
}

/// Names of the kernel variants that the node can run by; empty when it runs on the host, is folded, or has no plan before
/// its data are known.
fn variants(case: &Case, model: &Model) -> gristmill::Result<Vec<&'static str>> {
    let session = Session::new_blocking(gpu(), model, Options::default())?;
    match session.plan(&case.views(&session)) {
        Ok(plan) => {
            let mut names: Vec<_> = plan.variants.into_iter().flatten().collect();
            names.dedup();
            Ok(names)
        }
        Err(e) if e.kind() == ErrorKind::Unsupported => Ok(vec![]),
        Err(e) => Err(e),
    }
}

fn run(case: &Case, model: &Model, options: Options) -> gristmill::Result<Outputs> {
    let session = Session::new_blocking(gpu(), model, options)?;
    session.run_blocking(&case.views(&session))
}

/// Runs a row by those of its variants that `choose` leaves.
fn against_reference(case: &Case, checked: bool, choose: impl FnOnce(&mut Vec<&'static str>)) -> Vec<String> {
    let inputs: Vec<Option<&Tensor>> = case.inputs.iter().map(Option::as_ref).collect();
    let expected = match case.op.reference(&inputs) {
        Ok(expected) => expected,
        Err(e) => return vec![format!("the reference fails: {e}")],
    };
    let model = case.model();
    let mut variants = match variants(case, &model) {
        Ok(variants) => variants,
        Err(e) => return vec![format!("no plan: {e}")],
    };
    choose(&mut variants);
    let mut choices: Vec<Option<String>> = variants.iter().map(|v| Some((*v).to_string())).collect();
    if choices.is_empty() {
        choices.push(None);
    }
    let mut failures = Vec::new();
    for variant in choices {
        let name = variant.clone().unwrap_or_else(|| "no kernel".into());
        match run(case, &model, Options { checked, variant, ..Options::default() }) {
            Ok(outputs) => {
                for ((output, found), expected) in outputs.iter().zip(&expected) {
                    failures.extend(difference(found, expected, case.tolerance).map(|d| format!("variant {name}, {output}: {d}")));
                }
            }
            Err(e) => failures.push(format!("variant {name}: {e}")),
        }
    }
    failures
}

#[test]
fn reference_matches_golden() {
    for_each_case(|case| {
        let Some(golden) = &case.golden else { return vec![] };
        let inputs: Vec<Option<&Tensor>> = case.inputs.iter().map(Option::as_ref).collect();
        match case.op.reference(&inputs) {
            Ok(found) => found.iter().zip(golden).filter_map(|(f, g)| difference(f, g, case.tolerance)).collect(),
            Err(e) => vec![e.to_string()],
        }
    });
}

#[test]
fn gpu_matches_reference() {
    for_each_case_at_once(|case| against_reference(case, false, |_| {}));
}

#[test]
fn gpu_matches_reference_with_checks() {
    let all = std::env::var_os("CASES").is_some();
    let rows = RefCell::new(HashMap::new());
    for_each_case(|case| {
        against_reference(case, true, |variants| {
            let mut rows = rows.borrow_mut();
            let rows_of = |variant: &&'static str| rows.get(&(case.op.name(), *variant)).copied().unwrap_or(0usize);
            if let Some(variant) = variants.iter().copied().min_by_key(rows_of).filter(|_| !all) {
                *variants = vec![variant];
                *rows.entry((case.op.name(), variant)).or_default() += 1;
            }
        })
    });
}

#[test]
fn rows_outside_of_a_cache_fail_the_run() {
    let mut random = Random::new(0x0075);
    let inputs = vec![random.floats(&[4, 5, 4]), random.floats(&[4, 2, 4]), Tensor::vector(&[4i64, -1, 8_000_000, 3])];
    let case = Case::new("tensor_scatter/outside", tensor_scatter(1, false), inputs);
    let [Some(cache), Some(update), Some(indices)] = &case.inputs[..] else { panic!("three inputs") };
    let error = case.op.reference(&[Some(cache), Some(update), Some(indices)]).expect_err("the rows do not fit");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.message(), "TensorScatter has no room for 2 rows at write index 4 of a cache of capacity 5");
    for checked in [false, true] {
        let error = run(&case, &case.model(), Options { checked, ..Options::default() }).expect_err("the rows do not fit");
        assert_eq!((error.kind(), error.node()), (ErrorKind::InvalidInput, Some("CheckWriteIndices:node")));
    }
}

#[test]
fn a_cache_that_nobody_reads_again_is_written_where_it_lies() {
    let mut random = Random::new(0x0076);
    let inputs = vec![random.floats(&[2, 3, 64, 8]), random.floats(&[2, 3, 1, 8]), Tensor::vector(&[5i64, 63])];
    for (constants, expected) in [(&[][..], vec!["in_place"]), (&[0], vec!["copy", "copy"])] {
        let case = Case::new("tensor_scatter/kept", tensor_scatter(-2, false), inputs.clone()).weights(constants);
        let session = Session::new_blocking(gpu(), &case.model(), Options::default()).expect("a session");
        let plan = session.plan(&case.views(&session)).expect("a plan");
        assert_eq!(plan.steps().map(|step| step.variant).collect::<Vec<_>>(), expected);
    }
}
