//! Gradients of products, reductions and running sums beyond the files.

use super::differences::{Case, check, floats, given, integers};
use crate::properties::idioms::network::Attribute;

fn case(operator: &'static str, attributes: &[(&'static str, Attribute)], inputs: Vec<gristmill::Tensor>) -> Case {
    Case { operator, attributes: attributes.to_vec(), inputs }
}

#[test]
fn training_gradients_of_products() {
    let int = Attribute::Int;
    let einsum = |equation: &str| [("equation", Attribute::Text(equation.into()))];
    check(&[
        case("MatMul", &[], vec![floats(1, &[2, 3, 4]), floats(2, &[4])]),
        case("MatMul", &[], vec![floats(1, &[4]), floats(2, &[2, 4, 3])]),
        case("MatMul", &[], vec![floats(1, &[2, 1, 3, 4]), floats(2, &[3, 4, 2])]),
        case("MatMul", &[], vec![floats(1, &[3, 4]), floats(2, &[2, 4, 2])]),
        case("MatMul", &[], vec![floats(1, &[1, 3, 4]), floats(2, &[2, 4, 2])]),
        case("MatMul", &[], vec![floats(1, &[2, 2, 1, 4]), floats(2, &[4, 1])]),
        case("MatMul", &[], vec![floats(1, &[4]), floats(2, &[4])]),
        case(
            "Gemm",
            &[("transA", int(1)), ("beta", Attribute::Float(0.5))],
            vec![floats(1, &[4, 3]), floats(2, &[4, 2]), floats(3, &[3, 1])],
        ),
        case("Einsum", &einsum("bij,jk->ki"), vec![floats(1, &[2, 3, 4]), floats(2, &[4, 2])]),
        case("Einsum", &einsum("ii->i"), vec![floats(1, &[3, 3])]),
        case("Einsum", &einsum("ij,ij->"), vec![floats(1, &[2, 3]), floats(2, &[2, 3])]),
    ]);
}

#[test]
fn training_gradients_of_reductions() {
    let int = Attribute::Int;
    let axes = |axes: &[i64]| integers(&[axes.len()], axes);
    let zeros = given(&[2, 2, 3], &[0.5, -1.0, 0.0, 2.0, 1.5, 0.25, 0.0, 1.0, -0.5, 0.75, 0.0, 3.0]);
    let positive = given(&[2, 3], &[0.5, 1.0, 2.0, 0.25, 3.0, 1.5]);
    check(&[
        case("ReduceLogSum", &[], vec![positive.clone(), axes(&[1])]),
        case("ReduceLogSum", &[("noop_with_empty_axes", int(1))], vec![positive]),
        case("ReduceL1", &[("noop_with_empty_axes", int(1))], vec![floats(4, &[2, 3])]),
        case("ReduceL2", &[("keepdims", int(0))], vec![floats(4, &[2, 3]), axes(&[-2])]),
        case("ReduceLogSumExp", &[("keepdims", int(0))], vec![floats(4, &[2, 3, 2]), axes(&[0, 2])]),
        case("ReduceMax", &[("keepdims", int(0))], vec![floats(4, &[2, 3, 2]), axes(&[0, 2])]),
        case("ReduceMean", &[], vec![floats(4, &[2, 3, 2])]),
        case("ReduceMean", &[], vec![floats(4, &[])]),
        case("ReduceProd", &[("keepdims", int(0))], vec![zeros.clone(), axes(&[0, 2])]),
        case("ReduceProd", &[], vec![zeros.clone(), axes(&[1])]),
        case("ReduceProd", &[], vec![zeros.clone()]),
        case("Softmax", &[("axis", int(1))], vec![floats(4, &[2, 3, 2])]),
        case("LogSoftmax", &[("axis", int(0))], vec![floats(4, &[3])]),
        case("CumSum", &[("exclusive", int(1))], vec![floats(4, &[2, 3]), integers(&[], &[-1])]),
        case("CumProd", &[], vec![floats(4, &[2, 4]), integers(&[], &[1])]),
        case("CumProd", &[], vec![zeros.clone(), integers(&[], &[2])]),
        case("CumProd", &[("exclusive", int(1))], vec![zeros.clone(), integers(&[], &[-1])]),
        case("CumProd", &[("reverse", int(1))], vec![zeros.clone(), integers(&[], &[2])]),
        case("CumProd", &[("reverse", int(1)), ("exclusive", int(1))], vec![zeros.clone(), integers(&[], &[0])]),
        case("CumProd", &[], vec![given(&[5], &[2.0, 0.0, 3.0, 0.0, 1.5]), integers(&[], &[0])]),
        case("Clip", &[], vec![floats(4, &[3, 4]), given(&[], &[-0.5]), given(&[], &[0.75])]),
        case("Clip", &[], vec![floats(4, &[3, 4]), given(&[], &[0.7]), given(&[], &[-0.2])]),
        case("Clip", &[], vec![floats(4, &[3, 4]), given(&[], &[-0.5])]),
    ]);
}
