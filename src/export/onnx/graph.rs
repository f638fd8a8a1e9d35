//! [`Graph`] to the bytes of a `ModelProto`.

use super::context::Context;
use super::file::File;
use super::form::form;
use super::frame::Frame;
use super::proto::{self, ValueType, value_info};
use super::wire::Message;
use super::{OnnxOptions, facts, operators};
use crate::error::{Error, Result};
use crate::graph::{Fact, Graph, Input, OpExt, ValueId};
use crate::ops::gradient::Gradient;

/// The most bytes of a file: readers of protocol buffers count them in 32 bits.
const MOST_BYTES: usize = i32::MAX as usize;

/// What stands before the name of a state's input in the metadata, which name its output.
const STATE: &str = "gristmill.state.";

/// The ONNX file of a graph.
pub(in crate::export) fn export(graph: &Graph, options: &OnnxOptions) -> Result<Vec<u8>> {
    let settled;
    let graph = if options.constant_states {
        settled = with_constant_states(graph)?;
        &settled
    } else {
        graph
    };
    let held: usize = graph.values().iter().filter_map(|value| value.constant.as_ref()).map(|tensor| tensor.bytes().len()).sum();
    check_size(held)?;
    let mut file = File::default();
    let names = graph.values().iter().map(|value| file.values.unique(&value.name)).collect();
    let given: Vec<Option<Fact>> = graph.inputs().iter().map(facts::declared).collect();
    let mut frame = Frame::new(graph, names, facts::facts(graph, &given), facts::is_closed(graph));
    file.nodes(&mut frame);
    if !file.failures.is_empty() {
        let (count, list) = (file.failures.len(), file.failures.join("; "));
        return Err(Error::unsupported(format!("ONNX has no form of {count} of the nodes: {list}")));
    }
    let mut model = Message::default();
    model.text(proto::model::PRODUCER_NAME, "gristmill");
    model.text(proto::model::PRODUCER_VERSION, env!("CARGO_PKG_VERSION"));
    file.ends(&mut frame, &mut model);
    model.int(proto::model::IR_VERSION, file.ir_version());
    model.message(proto::model::OPSET_IMPORT, &proto::operator_set("", file.opset()));
    for domain in &file.domains {
        model.message(proto::model::OPSET_IMPORT, &proto::operator_set(domain, 1));
    }
    check_size(model.len() + frame.message.len())?;
    model.message(proto::model::GRAPH, &frame.message);
    Ok(model.into_bytes())
}

fn check_size(bytes: usize) -> Result<()> {
    match bytes <= MOST_BYTES {
        true => Ok(()),
        false => Err(Error::limit(format!("an ONNX file holds 2 GiB at most, and this one would have {bytes} bytes"))),
    }
}

/// The graph with what its states hold at first in their place.
fn with_constant_states(graph: &Graph) -> Result<Graph> {
    let mut settled = graph.clone();
    for state in graph.states() {
        let start = graph.state_input(state)?;
        let start = state.start(start).ok_or_else(|| {
            Error::invalid_argument(format!("state `{}` has no initial value: it cannot be a constant", state.name))
        })?;
        settled.values[state.input.index()].constant = Some(start);
        settled.inputs.retain(|input| input.value != state.input);
    }
    let written = graph.written_states();
    settled.outputs = graph.outputs().iter().zip(written).filter(|(_, state)| state.is_none()).map(|(id, _)| *id).collect();
    settled.states.clear();
    Ok(settled)
}

impl File {
    /// Writes the nodes of a graph.
    pub(super) fn nodes<'g>(&mut self, frame: &mut Frame<'g>) {
        for node in frame.graph.nodes() {
            let mut context = Context { file: self, frame, node };
            let written = context.control().or_else(|| operators::write(&*node.op, &mut context));
            let reason = match written {
                Some(Ok(())) => continue,
                Some(Err(error)) => error.message().to_string(),
                None if node.op.downcast::<Gradient>().is_some() => "a gradient".into(),
                None => "an operator of this library alone".into(),
            };
            self.failures.push(format!("{} ({reason})", node.path));
        }
    }

    /// Writes inputs, outputs and constants of the file's graph.
    fn ends(&mut self, frame: &mut Frame<'_>, model: &mut Message) {
        let graph = frame.graph;
        let outputs = self.outputs(frame, model);
        let consumers = graph.consumers();
        for input in graph.declared() {
            // What decided which elements are dropped, and is no input of ONNX's Dropout.
            if !frame.is_read(input.value) && !consumers[input.value.index()].is_empty() {
                continue;
            }
            if frame.graph.constant(input.value).is_some() {
                frame.read(input.value);
            }
            let name = frame.name(input.value).to_string();
            frame.message.message(proto::graph::INPUT, &value_info(&name, Some(&type_of(input))));
        }
        for (name, id) in &outputs {
            let ty = frame.ty(*id);
            frame.message.message(proto::graph::OUTPUT, &value_info(name, ty.as_ref()));
        }
        let name = if graph.name().is_empty() { "graph" } else { graph.name() };
        frame.message.text(proto::graph::NAME, name);
        let apart: Vec<ValueId> = outputs.iter().filter(|(name, id)| frame.name(*id) == name).map(|(_, id)| *id).collect();
        frame.close(|id| apart.contains(&id));
    }

    /// The outputs with their names. One that stands there twice, or is a state's input, is an Identity of that.
    fn outputs(&mut self, frame: &mut Frame<'_>, model: &mut Message) -> Vec<(String, ValueId)> {
        let graph = frame.graph;
        let mut outputs: Vec<(String, ValueId)> = Vec::new();
        for (id, state) in graph.outputs().iter().zip(graph.written_states()) {
            let state = state.map(|state| &graph.states()[state]);
            let mut name = frame.read(*id);
            let passes = state.is_some_and(|state| state.input == *id);
            if passes || outputs.iter().any(|(known, _)| *known == name) {
                let label = state.map_or_else(|| name.clone(), |state| format!("{}.next", state.name));
                let own = self.values.unique(&label);
                let node = self.nodes.unique(&own);
                self.holds(&form("Identity"));
                let node = proto::node(&node, &form("Identity"), &[name], std::slice::from_ref(&own));
                frame.message.message(proto::graph::NODE, &node);
                name = own;
            }
            if let Some(state) = state {
                let key = format!("{STATE}{}", frame.name(state.input));
                model.message(proto::model::METADATA, &proto::entry(&key, &name));
            }
            outputs.push((name, *id));
        }
        outputs
    }
}

/// The type that an input declares.
fn type_of(input: &Input) -> ValueType {
    ValueType { form: input.form, dtype: input.dtype, dims: input.dims.clone() }
}
