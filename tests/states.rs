//! What lasts from run to run, and what is written in place.

mod contents;
mod failures;
mod models;
mod onto;
mod streaming;

use crate::plan::violations;
use crate::support::gpu;
use gristmill::graph::{Builder, ValueId};
use gristmill::internals::graph::Dim;
use gristmill::internals::ops::elementwise;
use gristmill::{DType, Model, Options, Session, Tensor};
use onto::Onto;
use std::sync::Arc;

fn session(model: &Model, options: Options) -> Session {
    Session::new_blocking(gpu(), model, options).expect("the model is sound")
}

/// `Onto` twice, and what `more` makes of values before, between and after.
fn onto(more: impl FnOnce(&mut Builder, [ValueId; 3])) -> Model {
    let mut b = Builder::new("onto");
    let old = b.input("old", DType::F32, &[Dim::Known(100)]);
    let added = b.input("added", DType::F32, &[Dim::Named("n".into())]);
    let once = b.node("once", Arc::new(Onto), &[Some(old), Some(added)]);
    let twice = b.node("twice", Arc::new(Onto), &[Some(once), Some(added)]);
    b.output("twice", twice).expect("the name is free");
    more(&mut b, [old, once, twice]);
    Model::from_graph(b.finish().expect("the graph is sound"))
}

/// The kernels of the plan for these inputs, after a run and a look at its laws.
fn kernels(model: &Model, options: Options) -> Vec<&'static str> {
    let session = session(model, options);
    let (old, added) = (Tensor::vector(&[1.0f32; 100]), Tensor::vector(&[2.0f32, 3.0]));
    let inputs = [("old", old.view()), ("added", added.view())];
    let plan = session.plan(&inputs).expect("it can be planned");
    assert_eq!(violations(&plan), [""; 0], "{plan}");
    let on_cpu = Session::cpu(model, Options::default()).expect("the model is sound");
    let expected = on_cpu.run_blocking(&inputs).expect("the run succeeds");
    for _ in 0..2 {
        let found = session.run_blocking(&inputs).expect("the run succeeds");
        assert!(expected.iter().all(|(name, expected)| found[name] == *expected), "{plan}");
    }
    plan.steps().map(|step| step.variant).filter(|name| name.starts_with("onto")).collect()
}

#[test]
fn the_last_that_reads_a_value_writes_over_it() {
    const BOTH: [&str; 2] = ["onto_in_place"; 2];
    let named = |name: &str| Options { variant: Some(name.into()), ..Options::default() };
    assert_eq!(kernels(&onto(|_, _| {}), Options::default()), BOTH);
    assert_eq!(kernels(&onto(|_, _| {}), named("onto_whole")), ["onto_whole"; 2]);
    assert_eq!(kernels(&onto(|_, _| {}), named("onto_in_place")), BOTH);
    let read = |which: usize| {
        onto(move |b, values| {
            let negative = b.node("negative", elementwise::unary("Neg").expect("Neg exists"), &[Some(values[which])]);
            b.output("negative", negative).expect("the name is free");
        })
    };
    assert_eq!(kernels(&read(0), Options::default()), ["onto_whole", "onto_in_place"], "the input is read later");
    assert_eq!(kernels(&read(1), Options::default()), ["onto_in_place", "onto_whole"], "what the first makes is read later");
    assert_eq!(kernels(&read(2), Options::default()), BOTH);
    let tapped = Options { taps: vec!["once".into()], ..Options::default() };
    assert_eq!(kernels(&onto(|_, _| {}), tapped), ["onto_in_place", "onto_whole"], "a tap is an output");
    let input = onto(|b, [old, ..]| b.output("old", old).expect("the name is its own"));
    assert_eq!(kernels(&input, Options::default()), ["onto_whole", "onto_in_place"]);
}
