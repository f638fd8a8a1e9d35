//! The tables `[loss]` and `metrics`: what is to become small, and what else is measured.

use super::configuration::{DecodedTable, LossName, LossTable, MetricKind, Source};
use super::names::{listed, nearest};
use crate::failure::Result;
use gristmill::graph::Graph;
use gristmill::train::{self, Accuracy, Exact, LossKind, MeanOf, Metric, NamedLoss, TokenErrorRate};

/// The name of the loss in the graph.
pub(crate) const LOSS: &str = "loss";

/// The graph with its loss.
pub(crate) fn with_loss(graph: &Graph, table: &LossTable, source: &Source) -> Result<Graph> {
    let kind = kind(table, source)?;
    if graph.find(&table.prediction).is_none() {
        let outputs: Vec<&str> = graph.outputs().iter().map(|id| graph.value(*id).name.as_str()).collect();
        let values = graph.values().iter().map(|value| value.name.as_str());
        let near = nearest(&table.prediction, outputs.iter().copied().chain(values));
        let meant = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
        let message = format!("the network has no value `{}`{meant}; its outputs are {}", table.prediction, listed(&outputs));
        return Err(source.wrong("loss.prediction", message));
    }
    let loss = NamedLoss { target: table.target.clone(), name: LOSS.into(), ..NamedLoss::new(kind, &table.prediction) };
    train::with_loss(graph, &loss).map_err(source.because("loss"))
}

fn kind(table: &LossTable, source: &Source) -> Result<LossKind> {
    let allow =
        |kind: &str, own: &[&str]| source.allow("loss", &format!("the loss `{kind}`"), &["kind", "prediction", "target"], own);
    Ok(match table.kind {
        LossName::CrossEntropy => {
            allow("cross_entropy", &["axis", "ignore", "label_smoothing"])?;
            LossKind::CrossEntropy {
                axis: table.axis.unwrap_or(-1),
                ignore_index: table.ignore,
                label_smoothing: table.label_smoothing.unwrap_or(0.0),
            }
        }
        LossName::BinaryCrossEntropy => {
            allow("binary_cross_entropy", &[])?;
            LossKind::BinaryCrossEntropyWithLogits
        }
        LossName::MeanSquaredError => {
            allow("mean_squared_error", &[])?;
            LossKind::MeanSquaredError
        }
        LossName::L1 => {
            allow("l1", &[])?;
            LossKind::L1
        }
        LossName::Huber => {
            allow("huber", &["delta"])?;
            LossKind::Huber { delta: table.delta.unwrap_or(1.0) }
        }
        LossName::Ctc => {
            allow("ctc", &["blank", "zero_infinity", "batch_first", "input_lengths", "target_lengths"])?;
            let needed = |key: &str, name: &Option<String>| {
                name.clone().ok_or_else(|| source.wrong(&format!("loss.{key}"), "the key is missing: the input that holds lengths"))
            };
            LossKind::Ctc {
                blank: table.blank.unwrap_or(0),
                zero_infinity: table.zero_infinity.unwrap_or(false),
                batch_first: table.batch_first.unwrap_or(false),
                input_lengths: needed("input_lengths", &table.input_lengths)?,
                target_lengths: needed("target_lengths", &table.target_lengths)?,
            }
        }
    })
}

/// Metrics by what the loss says of prediction and target.
pub(crate) fn metrics(
    kinds: &[MetricKind],
    loss: &LossTable,
    decoded: Option<&DecodedTable>,
    source: &Source,
) -> Result<Vec<Box<dyn Metric>>> {
    kinds.iter().map(|kind| metric(*kind, loss, decoded, source)).collect()
}

fn metric(kind: MetricKind, loss: &LossTable, decoded: Option<&DecodedTable>, source: &Source) -> Result<Box<dyn Metric>> {
    let has_classes = loss.kind == LossName::CrossEntropy;
    let fits = match kind {
        MetricKind::Loss => true,
        MetricKind::Perplexity | MetricKind::Accuracy => has_classes,
        MetricKind::TokenErrorRate | MetricKind::Exact => has_classes || loss.kind == LossName::Ctc,
    };
    if !fits {
        let message = format!("`{}` needs a loss of classes; `loss.kind` is none", name_of(kind));
        return Err(source.wrong("training.metrics", message));
    }
    Ok(match kind {
        MetricKind::Loss => Box::new(MeanOf::new(LOSS)),
        MetricKind::Perplexity => Box::new(MeanOf::perplexity(LOSS)),
        MetricKind::Accuracy => {
            let accuracy = Accuracy::new(&loss.prediction, &loss.target).with_axis(loss.axis.unwrap_or(-1));
            Box::new(match loss.ignore {
                Some(class) => accuracy.ignoring(class),
                None => accuracy,
            })
        }
        MetricKind::TokenErrorRate => Box::new(token_errors(loss, decoded)),
        MetricKind::Exact => Box::new(Exact::new(token_errors(loss, decoded))),
    })
}

fn token_errors(loss: &LossTable, decoded: Option<&DecodedTable>) -> TokenErrorRate {
    let mut errors = TokenErrorRate::new(&loss.prediction, &loss.target);
    errors.target_lengths = loss.target_lengths.clone();
    if let Some(decoded) = decoded {
        (errors.scores, errors.end) = (decoded.value.clone(), decoded.end);
    } else if loss.kind == LossName::Ctc {
        errors.time_first = !loss.batch_first.unwrap_or(false);
        errors.lengths = loss.input_lengths.clone();
        errors.blank = Some(loss.blank.and_then(|blank| i64::try_from(blank).ok()).unwrap_or(0));
    }
    errors
}

/// What logs and early stops call a metric.
pub(crate) fn name_of(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Loss => LOSS,
        MetricKind::Perplexity => "perplexity",
        MetricKind::Accuracy => "accuracy",
        MetricKind::TokenErrorRate => "token_error_rate",
        MetricKind::Exact => "exact",
    }
}

/// Whether more of a metric is better.
pub(crate) fn more_is_better(kind: MetricKind) -> bool {
    matches!(kind, MetricKind::Accuracy | MetricKind::Exact)
}
