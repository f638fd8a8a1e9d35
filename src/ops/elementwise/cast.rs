//! Conversion between dtypes.

use super::functions::{any, scalar};
use crate::kernel::{Arguments, ScalarFunction, Signature};
use crate::tensor::{DType, Scalar};

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction {
        name: "Cast",
        arity: (1, 1),
        signature: Signature::Cast,
        accepts: any,
        float: Some(|a| a[0]),
        integer: Some(|a| a[0]),
        bounds: Some(|b| Some(b[0])),
        wgsl: |a| Some(text(a)),
    },
    ScalarFunction {
        name: "Identity",
        arity: (1, 1),
        signature: Signature::Same,
        accepts: any,
        float: Some(|a| a[0]),
        integer: Some(|a| a[0]),
        bounds: Some(|b| Some(b[0])),
        wgsl: |a| Some(a.terms[0].clone()),
    },
];

/// Floats go toward zero and are held within the integer's range, NaN to 0; integers keep their low bits.
fn text(a: &Arguments) -> String {
    let (x, from, to) = (&a.terms[0], a.dtypes[0], a.result);
    let number = match (scalar(from), scalar(to)) {
        (Scalar::F32, Scalar::F32) => x.clone(),
        (_, Scalar::F32) => format!("Float({x})"),
        (_, Scalar::U32) if from == DType::Bool => x.clone(),
        // NaN is true, like every value but zero.
        (Scalar::F32, _) if to == DType::Bool => return format!("truth(magnitude_bits({x}) != Uint(0u))"),
        (Scalar::I32, _) if to == DType::Bool => return format!("truth({x} != Int(0))"),
        (Scalar::U32, _) if to == DType::Bool => return format!("truth({x} != Uint(0u))"),
        (Scalar::F32, kind) => {
            let (low, high) = to.range().unwrap_or_default();
            // The largest floats below 2^31 and 2^32.
            let high = match kind {
                Scalar::I32 => high.min(2_147_483_520),
                _ => high.min(4_294_967_040),
            };
            return match kind {
                Scalar::I32 => format!("float_to_int({x}, {:?}, {high:?}.0)", low.max(i32::MIN.into()) as f32),
                _ => format!("float_to_uint({x}, {high}.0)"),
            };
        }
        (Scalar::I32, Scalar::I32) | (Scalar::U32, Scalar::U32) => x.clone(),
        (_, Scalar::I32) => format!("bitcast<Int>({x})"),
        (_, Scalar::U32) => format!("bitcast<Uint>({x})"),
    };
    match to {
        DType::F16 if from != DType::F16 => format!("round_f16({number})"),
        DType::BF16 if from != DType::BF16 => format!("round_bf16({number})"),
        _ => number,
    }
}
