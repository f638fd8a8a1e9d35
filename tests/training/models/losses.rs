//! The loss that a file describes.

use super::layers::Layers;
use crate::training::losses::reduction;
use gristmill::graph::ValueId;
use gristmill::train::{self, ClassLoss, CtcInputs, CtcOptions, Target};

/// The loss of a prediction.
pub fn loss(layers: &mut Layers<'_>, prediction: ValueId) -> gristmill::Result<ValueId> {
    let about = layers.file.json()["loss"].clone();
    let reduction = reduction(about["reduction"].as_str().expect("a reduction"));
    let target = layers.first_data(&["target", "label"]);
    // Names a part of the data.
    let data = |part: &str| {
        let name = about[part].as_str().map(|name| name.trim_start_matches("data."));
        name.map(|name| layers.data(name))
    };
    let [weight, positive] = [data("weight"), data("pos_weight")];
    let name = "loss";
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
            train::cross_entropy(&mut layers.builder, name, prediction, target, &options)
        }
        "mse" => train::mean_squared_error(&mut layers.builder, name, pair, reduction),
        "bce_with_logits" => {
            let weights = [weight, positive];
            train::binary_cross_entropy_with_logits(&mut layers.builder, name, pair, weights, reduction)
        }
        "ctc" => {
            let options = CtcOptions {
                blank: about["blank"].as_u64().expect("a class") as usize,
                zero_infinity: about["zero_infinity"] == true,
                reduction,
            };
            let inputs = CtcInputs {
                logits: by_time(layers, prediction),
                target,
                input_lengths: layers.data("input_lengths"),
                target_lengths: layers.data("target_lengths"),
            };
            train::ctc_loss(&mut layers.builder, name, inputs, &options)
        }
        other => panic!("a loss {other}"),
    }
}

/// Predictions of sequences with their times first; which axis that is in, the target does not say, but the layers before it.
fn by_time(layers: &mut Layers<'_>, prediction: ValueId) -> ValueId {
    if layers.batch_first { layers.transposed(prediction, &[1, 0, 2]) } else { prediction }
}
