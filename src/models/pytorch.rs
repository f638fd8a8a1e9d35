//! Parameters as PyTorch saves them.

use crate::error::{Error, Result};
use crate::tensor::{Tensor, TensorType};
use std::collections::HashMap;

/// Where PyTorch has the gates of ONNX's order (update, reset, new).
const GATES: [usize; 3] = [1, 0, 2];

/// Parameters of PyTorch's modules as the networks of this module have them: those of a GRU's layer (`weight_ih_l0`, `bias_hh_l0`,
/// `weight_ih_l0_reverse`, ...) become three tensors for all directions, with gates in ONNX's order; all others stay as they are.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) naming a parameter of a layer that is missing, or is not what a GRU has.
pub fn from_pytorch(tensors: &[(String, Tensor)]) -> Result<Vec<(String, Tensor)>> {
    let known: HashMap<&str, &Tensor> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut found = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let Some((layer, part, number)) = recurrent(name) else {
            found.push((name.clone(), tensor.clone()));
            continue;
        };
        // The first parameter of a layer brings all of it.
        if part != "weight_ih" || number.ends_with(REVERSE) {
            continue;
        }
        let reverse = format!("{layer}weight_ih_l{number}{REVERSE}");
        let ends = if known.contains_key(reverse.as_str()) { &["", REVERSE][..] } else { &[""] };
        for (made, parts) in [("weight_ih", &["weight_ih"][..]), ("weight_hh", &["weight_hh"]), ("bias", &["bias_ih", "bias_hh"])] {
            let names = ends.iter().flat_map(|end| parts.iter().map(move |part| format!("{layer}{part}_l{number}{end}")));
            found.push((format!("{layer}{made}_l{number}"), joined(&known, &names.collect::<Vec<_>>(), ends.len())?));
        }
    }
    Ok(found)
}

const REVERSE: &str = "_reverse";

/// What a parameter of a recurrent layer is called: the layer with a dot, the part, and the number with what stands behind it.
fn recurrent(name: &str) -> Option<(&str, &str, &str)> {
    let (layer, rest) = name.rsplit_once('.').map_or(("", name), |(layer, rest)| (&name[..=layer.len()], rest));
    let parts = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];
    parts.into_iter().find_map(|part| Some((layer, part, rest.strip_prefix(part)?.strip_prefix("_l")?)))
}

/// Parameters one after the other for each direction, their gates in ONNX's order.
fn joined(known: &HashMap<&str, &Tensor>, names: &[String], directions: usize) -> Result<Tensor> {
    let (mut numbers, mut rows, mut width) = (Vec::new(), 0, None);
    for name in names {
        let tensor = known.get(name.as_str()).ok_or_else(|| Error::invalid_input(format!("there is no parameter `{name}`")))?;
        let all = tensor.shape().first().copied().unwrap_or(0);
        let rest = tensor.shape().get(1..).unwrap_or(&[]).to_vec();
        if all == 0 || !all.is_multiple_of(GATES.len()) || *width.get_or_insert_with(|| rest.clone()) != rest {
            return Err(Error::invalid_input(format!(
                "parameter `{name}` is {}; expected that of a GRU's three gates",
                tensor.ty()
            )));
        }
        rows += all;
        let data = tensor.as_slice::<f32>()?;
        let gate = data.len() / GATES.len();
        GATES.iter().for_each(|place| numbers.extend_from_slice(&data[place * gate..(place + 1) * gate]));
    }
    let shape: Vec<usize> = [directions, rows / directions].into_iter().chain(width.unwrap_or_default()).collect();
    let expected = TensorType::new(crate::tensor::DType::F32, shape.clone());
    match expected.elements() == numbers.len() && rows % directions == 0 {
        true => Tensor::new(shape, &numbers),
        false => Err(Error::invalid_input(format!("parameters {names:?} of the directions differ"))),
    }
}
