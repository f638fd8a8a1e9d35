//! A graph with its plans; the stages of graphs whose shapes depend on data, and the runner that walks them.

pub(super) mod cut;
pub(super) mod planned;
mod prepare;
mod route;
mod rows;
pub(super) mod runner;
mod sequences;
pub(super) mod states;
mod steady;
mod turns;
