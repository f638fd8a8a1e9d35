//! What lasts from run to run, as arguments and results.

use crate::failure::{Failure, Result};
use crate::inputs::Inputs;
use clap::Args;
use gristmill::internals::graph::{Dim, Input};
use gristmill::{Model, Outputs, Session, SessionState, Tensor};

/// Pairs of outputs and inputs.
#[derive(Args, Debug, Default)]
pub(crate) struct StateArguments {
    /// An input that holds in each run what an output was in the run before; it starts from --inputs, its default or zeros; may be repeated
    #[arg(long = "state", value_name = "OUTPUT=INPUT", value_parser = parse_pair)]
    states: Vec<(String, String)>,
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(output, input)| !output.is_empty() && !input.is_empty());
    let (output, input) = pair.ok_or_else(|| format!("expected OUTPUT=INPUT, found `{text}`"))?;
    Ok((output.to_string(), input.to_string()))
}

impl StateArguments {
    /// The model with these states.
    pub(crate) fn of(&self, model: &Model) -> Result<Model> {
        let pairs: Vec<(&str, &str)> = self.states.iter().map(|(output, input)| (output.as_str(), input.as_str())).collect();
        Ok(model.with_states(&pairs)?)
    }
}

/// Whether an input is that of a state.
pub(crate) fn is_of_state(model: &Model, input: &Input) -> bool {
    model.graph().states().iter().any(|state| state.input == input.value)
}

/// Whether an input is that of a state that starts from something known.
pub(crate) fn starts_by_itself(model: &Model, input: &Input) -> bool {
    let known = input.dims.as_ref().is_some_and(|dims| dims.iter().all(|dim| matches!(dim, Dim::Known(_))));
    model.graph().states().iter().any(|state| state.input == input.value && (known || state.initial.is_some()))
}

/// The states of a session, of which some start from what is given; that is taken out of the inputs.
pub(crate) fn started(session: &Session, inputs: &mut Inputs) -> Result<SessionState> {
    let mut state = session.state()?;
    for info in session.states() {
        if let Some(place) = inputs.iter().position(|(name, _)| *name == info.name) {
            state.set(&info.name, &inputs.remove(place).1.view())?;
        }
    }
    Ok(state)
}

/// Runs a model once, with its states if it has any.
pub(crate) fn run(session: &Session, state: &mut SessionState, inputs: &Inputs) -> Result<Outputs> {
    Ok(session.run_with_blocking(state, &crate::inputs::views(inputs))?)
}

/// What states hold, by name.
pub(crate) fn contents(state: &SessionState) -> Result<Vec<(String, Tensor)>> {
    let tensor = |name: &String| state.get_blocking(name).map(|tensor| (name.clone(), tensor)).map_err(Failure::from);
    state.infos().iter().map(|info| tensor(&info.name)).collect()
}
