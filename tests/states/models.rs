//! Small models with states, and runs of them held against the references.

use super::onto::Onto;
use crate::plan::violations;
use crate::support::gpu;
use gristmill::graph::{Builder, Dim, ValueId};
use gristmill::internals::graph::{Fact, Io, Op, required};
use gristmill::internals::kernel::Offers;
use gristmill::internals::ops::reduce::{Reduction, reduce};
use gristmill::internals::ops::reshape::identity;
use gristmill::internals::ops::{concat, elementwise, shape};
use gristmill::internals::plan::Written;
use gristmill::{DType, Error, ErrorKind, Model, Options, Result, Session, SessionState, Tensor, TensorView};
use std::sync::Arc;

/// Doubles on the host; fails where the first element is above 1000.
#[derive(Debug)]
pub struct HostDouble;

impl Op for HostDouble {
    fn name(&self) -> &'static str {
        "HostDouble"
    }

    gristmill::attributes!();

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let input = required("HostDouble", inputs, 0)?;
        Ok(vec![Fact::new(input.dtype(), input.shape().clone())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let input = required("HostDouble", inputs, 0)?;
        let doubled: Vec<f64> = input.to_f64().iter().map(|x| x * 2.0).collect();
        if doubled.first().is_some_and(|x| *x > 2000.0) {
            return Err(Error::invalid_input("too large to double"));
        }
        Ok(vec![Tensor::from_f64(input.ty().clone(), &doubled)?])
    }

    fn lower(&self, _: &Io, _: &mut Offers) -> Result<()> {
        Err(Error::unsupported("it is meant to run on the host"))
    }
}

pub fn add() -> Arc<dyn Op> {
    elementwise::binary("Add").expect("Add exists")
}

pub fn multiply() -> Arc<dyn Op> {
    elementwise::binary("Mul").expect("Mul exists")
}

pub fn finish(b: Builder) -> Model {
    Model::from_graph(b.finish().expect("the graph is sound"))
}

pub fn on_gpu(model: &Model, options: Options) -> Session {
    Session::new_blocking(gpu(), model, options).expect("the model is sound")
}

pub fn on_cpu(model: &Model) -> Session {
    Session::cpu(model, Options::default()).expect("the model is sound")
}

pub fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.as_slice::<f32>().expect("a tensor of f32").to_vec()
}

/// The kind of an error, and what it says.
pub fn refused<T>(result: Result<T>) -> (ErrorKind, String) {
    let error = result.map(|_| ()).expect_err("it is refused");
    (error.kind(), error.to_string())
}

/// A model of one state of four floats, of which `more` makes the next from `x`.
pub fn keeping(name: &str, more: impl FnOnce(&mut Builder, ValueId, ValueId) -> ValueId) -> Model {
    let mut b = Builder::new(name);
    let x = b.input("x", DType::F32, &[Dim::Known(4)]);
    let state = b.state("state", Tensor::vector(&[1.0f32, 2.0, 3.0, 4.0]));
    let next = more(&mut b, state, x);
    b.write_state("state", next).expect("it is written once");
    finish(b)
}

/// The sum of all `x`, and as output what it was before.
pub fn total() -> Model {
    keeping("total", |b, state, x| {
        let before = b.node("before", identity(), &[Some(state)]);
        b.output("before", before).expect("the name is its own");
        b.node("next", add(), &[Some(state), Some(x)])
    })
}

/// As `total`, by an operator that writes in place, and no output.
pub fn in_place() -> Model {
    keeping("in_place", |b, state, x| {
        let next = b.node("next", Arc::new(Onto), &[Some(state), Some(x)]);
        b.output("next", next).expect("the name is its own");
        next
    })
}

/// What `x` was two runs before.
pub fn delay() -> Model {
    let mut b = Builder::new("delay");
    let x = b.input("x", DType::F32, &[Dim::Known(4)]);
    let [first, second] = ["first", "second"].map(|name| b.state(name, Tensor::vector(&[0.0f32; 4])));
    let y = b.node("y", add(), &[Some(second), Some(x)]);
    b.output("y", y).expect("the name is its own");
    let [kept, moved] = [("kept", x), ("moved", first)].map(|(name, from)| b.node(name, identity(), &[Some(from)]));
    b.write_state("first", kept).expect("it is written once");
    b.write_state("second", moved).expect("it is written once");
    finish(b)
}

/// Its state is doubled by the host, and used by the GPU before and after.
pub fn through_host() -> Model {
    keeping("through_host", |b, state, x| {
        let sum = b.node("sum", add(), &[Some(state), Some(x)]);
        let doubled = b.node("doubled", Arc::new(HostDouble), &[Some(sum)]);
        let y = b.node("y", multiply(), &[Some(doubled), Some(state)]);
        b.output("y", y).expect("the name is its own");
        doubled
    })
}

/// Its state is made by the host, for the next run alone.
pub fn by_host() -> Model {
    keeping("by_host", |b, state, x| {
        let sum = b.node("sum", add(), &[Some(state), Some(x)]);
        b.node("doubled", Arc::new(HostDouble), &[Some(sum)])
    })
}

/// The host interrupts, and an operator that could write in place must not.
pub fn interrupted() -> Model {
    keeping("interrupted", |b, state, x| {
        let doubled = b.node("doubled", Arc::new(HostDouble), &[Some(x)]);
        b.node("next", Arc::new(Onto), &[Some(state), Some(doubled)])
    })
}

/// As many numbers as the state counts, which grows by the length of `x`; a second state grows along.
pub fn staged() -> Model {
    let mut b = Builder::new("staged");
    let x = b.input("x", DType::F32, &[Dim::Named("n".into())]);
    let (count, sum) = (b.state("count", Tensor::scalar(1.0f32)), b.state("sum", Tensor::vector(&[0.0f32; 80])));
    let [zero, one] = [0.0f32, 1.0].map(|number| b.constant("number", Tensor::scalar(number)));
    let total = b.node("total", reduce(Reduction::Sum, None, false, false), &[Some(x)]);
    let next = b.node("next", add(), &[Some(count), Some(total)]);
    let range = b.node("range", shape::range(), &[Some(zero), Some(next), Some(one)]);
    let whole = b.node("whole", reduce(Reduction::Sum, None, false, false), &[Some(range)]);
    let more = b.node("more", add(), &[Some(sum), Some(whole)]);
    b.output("range", range).expect("the name is its own");
    b.write_state("count", next).expect("it is written once");
    b.write_state("sum", more).expect("it is written once");
    finish(b)
}

/// A cache of rows that grows by those of `x`, and their sum; the cache is an input and an output of the model without states.
pub fn growing() -> Model {
    let mut b = Builder::new("growing");
    let x = b.input("x", DType::F32, &[Dim::Named("new".into()), Dim::Known(2)]);
    let past = b.input("past", DType::F32, &[Dim::Named("old".into()), Dim::Known(2)]);
    let present = b.node("present", concat::concat(0), &[Some(past), Some(x)]);
    let y = b.node("y", reduce(Reduction::Sum, Some(vec![0]), false, false), &[Some(present)]);
    b.output("y", y).expect("the name is its own");
    b.output("present", present).expect("the name is its own");
    finish(b).with_states(&[("present", "past")]).expect("they fit")
}

/// How the plan for these inputs writes each state, after a look at the laws of memory.
pub fn written(session: &Session, inputs: &[(&str, TensorView<'_>)]) -> Vec<&'static str> {
    let plan = session.plan(inputs).expect("it can be planned");
    assert_eq!(violations(&plan), [""; 0], "{plan}");
    let name = |written: &Written| match written {
        Written::InPlace => "in place",
        Written::Swapped => "swapped",
        Written::Copied(_) => "copied",
        Written::Host => "host",
    };
    assert!(plan.states.iter().all(|state| !state.reason.is_empty()), "{plan}");
    plan.states.iter().map(|state| name(&state.written)).collect()
}

pub fn start(session: &Session) -> SessionState {
    session.state().expect("the model has states")
}

/// Runs a model on the GPU and by the references; outputs and states must agree after every run.
pub fn held_against_references(model: &Model, options: Options, runs: &[Tensor]) {
    let (gpu, cpu) = (on_gpu(model, options), on_cpu(model));
    let (mut found, mut expected) = (start(&gpu), start(&cpu));
    for (number, x) in runs.iter().enumerate() {
        let inputs = [("x", x.view())];
        let outputs = gpu.run_with_blocking(&mut found, &inputs).expect("the run succeeds");
        let wanted = cpu.run_with_blocking(&mut expected, &inputs).expect("the run succeeds");
        assert!(wanted.iter().all(|(name, tensor)| outputs[name] == *tensor), "run {number}: {outputs:?}, not {wanted:?}");
        for info in gpu.states() {
            let [found, wanted] = [&found, &expected].map(|state| state.get_blocking(&info.name).expect("it is there"));
            assert_eq!(found, wanted, "state `{}` after run {number}", info.name);
        }
    }
}
