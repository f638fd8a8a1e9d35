//! A graph with its plans, and the stages of graphs whose shapes depend on data.

mod cut;
pub(super) mod planned;
