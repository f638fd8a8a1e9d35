//! The table `[model]`: the network, and which of its parameters learn.

use super::configuration::{ModelTable, Network, Source};
use super::names::{is_of, listed};
use crate::failure::Result;
use gristmill::graph::Graph;
use gristmill::models::{Cnn, Gpt, LeNet, Seq2Seq, Speech, Subsampling, drawn_anew};
use gristmill::train::{self, Safetensors};
use gristmill::{Model, Tensor};
use std::path::Path;

/// Keys of every model.
const COMMON: [&str; 3] = ["initial", "seed", "frozen"];

/// The network of a table, which does not know its loss yet. Paths are relative to `folder`.
pub(crate) fn network(table: &ModelTable, folder: &Path, source: &Source) -> Result<Graph> {
    let graph = match (table.network, &table.file) {
        (Some(network), None) => written(network, table, source)?,
        (None, Some(file)) => imported(table, &folder.join(file), source)?,
        (Some(_), Some(_)) => return Err(source.wrong("model.file", "a model is a `network` or a `file`; expected one of them")),
        (None, None) => return Err(source.wrong("model", "expected `network = \"...\"` or `file = \"MODEL.onnx\"`")),
    };
    match &table.initial {
        Some(file) => with_parameters(&graph, &folder.join(file), source),
        None => Ok(graph),
    }
}

fn imported(table: &ModelTable, path: &Path, source: &Source) -> Result<Graph> {
    source.allow("model", "a model of a file", &COMMON, &["file", "redraw"])?;
    let wrong = source.because("model.file");
    let graph = train::training(Model::load(path).map_err(&wrong)?.graph()).map_err(&wrong)?;
    match table.redraw {
        true => drawn_anew(&graph, table.seed).map_err(source.because("model.redraw")),
        false => Ok(graph),
    }
}

fn written(network: Network, table: &ModelTable, source: &Source) -> Result<Graph> {
    let own: &[&str] = match network {
        Network::Cnn => &["classes", "hidden"],
        Network::Lenet => &["classes"],
        Network::Seq2seq => {
            &["source_vocabulary", "target_vocabulary", "embedding", "hidden", "layers", "dropout", "start", "end", "longest"]
        }
        Network::Gpt => &["vocabulary", "context", "layers", "heads", "width", "dropout", "bias", "tied"],
        Network::Speech => &["bands", "classes", "hidden", "layers", "dropout", "stacked"],
    };
    source.allow("model", "this network", &[&COMMON[..], &["network"]].concat(), own)?;
    let graph = match network {
        Network::Cnn => {
            let base = Cnn::default();
            let (hidden, classes) = (table.hidden.unwrap_or(base.hidden), table.classes.unwrap_or(base.classes));
            Cnn { hidden, classes, ..base }.graph(table.seed)
        }
        Network::Lenet => {
            let base = LeNet::default();
            LeNet { classes: table.classes.unwrap_or(base.classes), ..base }.graph(table.seed)
        }
        Network::Seq2seq => seq2seq(table, source)?.learning(table.seed, needed("longest", table.longest, source)?),
        Network::Gpt => gpt(table, source)?.graph(table.seed),
        Network::Speech => speech(table, source)?.learning(table.seed),
    };
    graph.map_err(source.because("model"))
}

fn needed(key: &str, value: Option<usize>, source: &Source) -> Result<usize> {
    value.ok_or_else(|| source.wrong(&format!("model.{key}"), "the key is missing: this network needs it"))
}

fn seq2seq(table: &ModelTable, source: &Source) -> Result<Seq2Seq> {
    let source_vocabulary = needed("source_vocabulary", table.source_vocabulary, source)?;
    let target_vocabulary = needed("target_vocabulary", table.target_vocabulary, source)?;
    let base = Seq2Seq::new(source_vocabulary, target_vocabulary);
    Ok(Seq2Seq {
        embedding: table.embedding.unwrap_or(base.embedding),
        hidden: table.hidden.unwrap_or(base.hidden),
        layers: table.layers.unwrap_or(base.layers),
        dropout: table.dropout.unwrap_or(base.dropout),
        start: table.start.unwrap_or(base.start),
        end: table.end.unwrap_or(base.end),
        ..base
    })
}

fn gpt(table: &ModelTable, source: &Source) -> Result<Gpt> {
    let base = Gpt::new(needed("vocabulary", table.vocabulary, source)?);
    Ok(Gpt {
        context: table.context.unwrap_or(base.context),
        layers: table.layers.unwrap_or(base.layers),
        heads: table.heads.unwrap_or(base.heads),
        width: table.width.unwrap_or(base.width),
        dropout: table.dropout.unwrap_or(base.dropout),
        bias: table.bias.unwrap_or(base.bias),
        tied: table.tied.unwrap_or(base.tied),
        ..base
    })
}

fn speech(table: &ModelTable, source: &Source) -> Result<Speech> {
    let base = Speech::new(needed("bands", table.bands, source)?, needed("classes", table.classes, source)?);
    Ok(Speech {
        subsampling: table.stacked.map_or(base.subsampling, Subsampling::Stacked),
        hidden: table.hidden.unwrap_or(base.hidden),
        layers: table.layers.unwrap_or(base.layers),
        dropout: table.dropout.unwrap_or(base.dropout),
        ..base
    })
}

/// The graph with the parameters of a file, which may hold more than those.
fn with_parameters(graph: &Graph, path: &Path, source: &Source) -> Result<Graph> {
    let wrong = source.because("model.initial");
    let tensors: Vec<(String, Tensor)> = Safetensors::load(path).map_err(&wrong)?.tensors;
    let (graph, count) = graph.with_constants_among(&tensors).map_err(&wrong)?;
    match count {
        0 => {
            let names: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
            let message = format!("{} has no parameter of the network; it has {}", path.display(), listed(&names));
            Err(source.wrong("model.initial", message))
        }
        _ => Ok(graph),
    }
}

/// The names of the parameters that learn, of all that the loss is computed from.
pub(crate) fn learning(parameters: Vec<String>, table: &ModelTable, source: &Source) -> Result<Vec<String>> {
    for pattern in &table.frozen {
        if !parameters.iter().any(|name| is_of(pattern, name)) {
            let message = format!("no parameter is named `{pattern}`; there are {}", listed(&parameters));
            return Err(source.wrong("model.frozen", message));
        }
    }
    let is_frozen = |name: &String| table.frozen.iter().any(|pattern| is_of(pattern, name));
    let learning: Vec<String> = parameters.into_iter().filter(|name| !is_frozen(name)).collect();
    match learning.is_empty() {
        true => Err(source.wrong("model", "no parameter is left that could learn")),
        false => Ok(learning),
    }
}
