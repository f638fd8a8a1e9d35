//! The loss that a file describes.

use super::layers::Layers;
use crate::training::losses::reduction;
use gristmill::graph::ValueId;
use gristmill::train::{self, ClassLoss, Target};

/// The loss of a prediction.
pub fn loss(layers: &mut Layers<'_>, prediction: ValueId) -> gristmill::Result<Option<ValueId>> {
    let about = layers.file.json()["loss"].clone();
    let reduction = reduction(about["reduction"].as_str().expect("a reduction"));
    let target = layers.first_data(&["target", "label"]);
    // Names a part of the data.
    let data = |part: &str| {
        let name = about[part].as_str().map(|name| name.trim_start_matches("data."));
        name.map(|name| layers.data(name))
    };
    let [weight, positive] = [data("weight"), data("pos_weight")];
    let name = "criterion";
    let pair = [prediction, target];
    let number = |name: &str| about[name].as_f64().unwrap_or_default();
    match about["loss"].as_str().expect("a loss") {
        "cross_entropy" => {
            let options = ClassLoss {
                weight,
                ignore_index: about["ignore_index"].as_i64(),
                label_smoothing: number("label_smoothing"),
                target: Target::Classes,
                reduction,
            };
            // Classes stand last, and are wanted on axis 1.
            let prediction = layers.apply(gristmill::operators::flatten(-1), &[prediction]);
            let target = layers.reshaped(target, &[-1]);
            train::cross_entropy(&mut layers.builder, name, prediction, target, &options).map(Some)
        }
        "mse" => train::mean_squared_error(&mut layers.builder, name, pair, reduction).map(Some),
        "bce_with_logits" => {
            let weights = [weight, positive];
            train::binary_cross_entropy_with_logits(&mut layers.builder, name, pair, weights, reduction).map(Some)
        }
        "ctc" => ctc(layers, prediction),
        other => panic!("a loss {other}"),
    }
}

/// The loss of connectionist temporal classification, which cannot be written yet.
fn ctc(_: &mut Layers<'_>, _: ValueId) -> gristmill::Result<Option<ValueId>> {
    Ok(None)
}
