//! The calls of a session that hold it against the references.

use super::report::{Tolerance, Validation, report};
use super::suspect::Search;
use crate::error::Result;
use crate::gpu::{Tally, boxed};
use crate::graph::evaluate_structures;
use crate::session::execution::reference;
use crate::session::front::Session;
use crate::session::options::Options;
use crate::session::runtime::Runtime;
use crate::tensor::TensorView;
use std::sync::Arc;

impl Session {
    /// Holds a run against the references: every intermediate value of a run that fuses nothing, and the outputs of the
    /// run as it is. States are what they are before the first run, unless they are given as inputs are; what they become is held
    /// against the references too.
    ///
    /// # Errors
    /// As [`run`](Session::run).
    pub async fn validate(&self, inputs: &[(&str, TensorView<'_>)], tolerance: Tolerance) -> Result<Validation> {
        let runtime = self.runtime(inputs.iter().map(|(name, _)| *name))?;
        boxed(validated(&runtime, inputs, tolerance)).await
    }

    /// [`validate`](Session::validate), blocking.
    ///
    /// # Errors
    /// As `validate`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn validate_blocking(&self, inputs: &[(&str, TensorView<'_>)], tolerance: Tolerance) -> Result<Validation> {
        crate::gpu::block_on(self.validate(inputs, tolerance))
    }
}

async fn validated(runtime: &Runtime, inputs: &[(&str, TensorView<'_>)], tolerance: Tolerance) -> Result<Validation> {
    let graph = runtime.model.graph();
    let starts = runtime.starts(inputs)?;
    let named: Vec<(&str, TensorView<'_>)> =
        inputs.iter().copied().chain(starts.iter().map(|(name, tensor)| (name.as_str(), tensor.view()))).collect();
    let inputs = named.as_slice();
    let given: Vec<_> = runtime.ordered_with_states(inputs)?.iter().map(|input| input.map(TensorView::to_tensor)).collect();
    let turns = runtime.options.max_turns;
    let expected = evaluate_structures(graph, &given, turns)?;
    let options = Options { keep_all: true, taps: vec![], ..runtime.options.clone() };
    let unfused = Runtime::new(runtime.gpu().as_ref(), &runtime.model, &options, Arc::<Tally>::default())?;
    let found = unfused.all_outputs(inputs).await?;
    let values = report(graph, &found, &expected, tolerance);
    let search = Search { runtime, inputs, expected: reference::outputs(graph, &given, turns)?, tolerance };
    let outputs = search.outputs(runtime).await?;
    let mut validation = Validation { values, outputs, suspect: None };
    if validation.first_divergent().is_none() && !validation.passed() {
        validation.suspect = search.suspect(&given).await?;
    }
    Ok(validation)
}
