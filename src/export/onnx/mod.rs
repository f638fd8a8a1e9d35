//! ONNX, from operator set 21 on.

mod context;
mod facts;
mod file;
mod flow;
mod form;
mod frame;
mod graph;
mod operators;
mod proto;
mod row;
mod wire;

pub(super) use graph::export;

/// What is said of a graph that becomes an ONNX file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnnxOptions {
    /// States are constants, which hold their initial values. Otherwise each is an input and an output of the file, under the names that
    /// both have in the graph, and [`Model::with_states`](crate::Model::with_states) makes it a state again.
    pub constant_states: bool,
}
