//! Gradients of what is picked, put and padded beyond the files.

use super::differences::{Case, check, floats, given, integers};
use crate::properties::idioms::network::Attribute;
use gristmill::{DType, Tensor, TensorType};

fn case(operator: &'static str, attributes: &[(&'static str, Attribute)], inputs: Vec<Tensor>) -> Case {
    Case { operator, attributes: attributes.to_vec(), inputs }
}

fn text(text: &str) -> Attribute {
    Attribute::Text(text.into())
}

fn bools(values: &[i128]) -> Tensor {
    Tensor::from_i128(TensorType::new(DType::Bool, [values.len()]), values).expect("as many elements")
}

#[test]
fn training_gradients_of_picked_elements() {
    let axis = |axis: i64| ("axis", Attribute::Int(axis));
    let sequences = [("time_axis", Attribute::Int(0)), ("batch_axis", Attribute::Int(1))];
    check(&[
        case("Gather", &[axis(1)], vec![floats(1, &[2, 3, 2]), integers(&[2, 2], &[0, -1, 1, 0])]),
        case("Gather", &[axis(-1)], vec![floats(1, &[2, 3]), integers(&[3], &[2, 2, 1])]),
        case("Gather", &[axis(0)], vec![floats(1, &[4, 3]), integers(&[], &[2])]),
        case("Gather", &[axis(0)], vec![floats(1, &[4, 3]), integers(&[2], &[3, 1])]),
        case("GatherElements", &[axis(0)], vec![floats(1, &[3, 2]), integers(&[4, 2], &[0, 1, 2, 1, -1, 0, 0, 0])]),
        case("GatherND", &[("batch_dims", Attribute::Int(1))], vec![floats(1, &[2, 3, 2]), integers(&[2, 1], &[1, 0])]),
        case(
            "GatherND",
            &[("batch_dims", Attribute::Int(1))],
            vec![floats(1, &[2, 3, 2]), integers(&[2, 3, 2], &[0, 1, 2, 0, 0, 1, 1, 1, -1, 0, 1, 1])],
        ),
        case("TopK", &[axis(0), ("largest", Attribute::Int(0))], vec![floats(1, &[4, 2]), integers(&[1], &[3])]),
        case("Concat", &[axis(0)], vec![floats(1, &[1, 2]), floats(2, &[0, 2]), floats(3, &[2, 2])]),
        case("Compress", &[axis(1)], vec![floats(1, &[2, 4]), bools(&[0, 1, 1])]),
        case("Compress", &[], vec![floats(1, &[2, 3]), bools(&[1, 0, 0, 1, 1])]),
        case("ReverseSequence", &sequences, vec![floats(1, &[4, 3, 2]), integers(&[3], &[4, 1, 3])]),
        case("Trilu", &[("upper", Attribute::Int(1))], vec![floats(1, &[2, 3, 4]), integers(&[], &[1])]),
        case("OneHot", &[axis(1)], vec![integers(&[2, 2], &[0, 2, -1, 5]), integers(&[], &[3]), given(&[2], &[0.5, 2.0])]),
    ]);
}

#[test]
fn training_gradients_of_scattered_updates() {
    let axis = |axis: i64| ("axis", Attribute::Int(axis));
    let by = |name: &str| ("reduction", text(name));
    let data = || given(&[3, 2], &[0.5, 0.0, -1.0, 2.0, 1.5, 0.25]);
    let updates = || given(&[4, 2], &[0.0, 1.5, 0.75, -2.0, 3.0, 0.0, -0.25, 1.25]);
    let indices = || integers(&[4, 2], &[0, 1, 2, 1, 0, 2, -1, 0]);
    let tuples = || integers(&[4, 1], &[0, 2, -3, 1]);
    let mut cases = Vec::new();
    for reduction in ["add", "mul", "max", "min"] {
        cases.push(case("ScatterElements", &[axis(0), by(reduction)], vec![data(), indices(), updates()]));
        cases.push(case("ScatterND", &[by(reduction)], vec![data(), tuples(), updates()]));
    }
    cases.push(case("ScatterND", &[], vec![data(), integers(&[2, 1], &[2, 0]), floats(5, &[2, 2])]));
    cases.push(case("ScatterElements", &[axis(1)], vec![data(), integers(&[2, 1], &[1, 0]), floats(5, &[2, 1])]));
    let cache = || floats(6, &[2, 4, 2]);
    cases.push(case("TensorScatter", &[axis(1)], vec![cache(), floats(7, &[2, 2, 2]), integers(&[2], &[2, 1])]));
    cases.push(case("TensorScatter", &[axis(1)], vec![cache(), floats(7, &[2, 2, 2])]));
    let around = [axis(1), ("mode", text("circular"))];
    cases.push(case("TensorScatter", &around, vec![cache(), floats(7, &[2, 3, 2]), integers(&[2], &[3, 1])]));
    check(&cases);
}

#[test]
fn training_gradients_of_pads() {
    let mode = |name: &str| [("mode", text(name))];
    let pads = |pads: &[i64]| integers(&[pads.len()], pads);
    let image = || floats(8, &[2, 4, 3]);
    check(&[
        case("Pad", &mode("constant"), vec![image(), pads(&[0, 1, -1, 1, -2, 3]), given(&[], &[0.5])]),
        case("Pad", &mode("constant"), vec![image(), pads(&[1, 2]), given(&[], &[0.5]), integers(&[1], &[-1])]),
        case("Pad", &mode("reflect"), vec![image(), pads(&[0, 3, 2, 1, 2, 1])]),
        case("Pad", &mode("reflect"), vec![image(), pads(&[0, -1, 2, 0, 2, -1])]),
        case("Pad", &mode("edge"), vec![image(), pads(&[1, 3, 0, 0, 2, 4])]),
        case("Pad", &mode("edge"), vec![image(), pads(&[0, -2, 0, 0, 2, 0])]),
        case("Pad", &mode("wrap"), vec![image(), pads(&[1, 3, 2, 0, 2, 1])]),
    ]);
}

#[test]
fn training_gradients_of_losses_over_classes() {
    let by = |name: &str| ("reduction", text(name));
    let ignore = ("ignore_index", Attribute::Int(1));
    let target = || integers(&[4], &[2, 1, 0, 2]);
    let weights = || given(&[3], &[0.5, 2.0, 1.25]);
    let mut cases = Vec::new();
    for operator in ["SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"] {
        cases.push(case(operator, &[by("mean")], vec![floats(9, &[4, 3]), target()]));
        cases.push(case(operator, &[by("mean"), ignore.clone()], vec![floats(9, &[4, 3]), target(), weights()]));
        cases.push(case(operator, &[by("none")], vec![floats(9, &[2, 3, 2]), integers(&[2, 2], &[0, 1, 2, 2]), weights()]));
        cases.push(case(operator, &[by("sum"), ignore.clone()], vec![floats(9, &[4, 3]), target()]));
    }
    check(&cases);
}
