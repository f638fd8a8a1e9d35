//! What hides keys from queries between their product and the softmax: numbers that are added to scores, or one that
//! replaces them.

use super::super::common::{plain, seen};
use super::scale::{Seen, scaled_product};
use crate::error::Result;
use crate::graph::{Node, ValueId, Writer};
use crate::kernel::{Program, Term};
use crate::ops::attention::Unseen;
use crate::ops::compose::Compose;
use crate::tensor::{Shape, Tensor, View};

/// What becomes of the scores before the softmax.
pub(super) enum Mask {
    None,
    Added {
        value: ValueId,
        view: View,
    },
    /// Scores are replaced by a number where the condition is not `keep`.
    Replaced {
        condition: ValueId,
        view: View,
        keep: bool,
        fill: f32,
    },
}

/// A mask as the operator takes it.
#[derive(Default)]
pub(super) struct OperatorMask {
    /// Input 3.
    pub(super) input: Option<Seen>,
    /// Keys past a query's own position, counted from the end of the keys, are not seen.
    pub(super) causal: bool,
    /// What becomes of the scores of keys that are not seen.
    pub(super) unseen: Unseen,
}

impl Mask {
    /// The mask seen as `[batch, heads, queries, keys]`.
    pub(super) fn over(self, shape: &Shape) -> Option<Self> {
        Some(match self {
            Mask::None => Mask::None,
            Mask::Added { value, view } => Mask::Added { value, view: view.reshape(shape)? },
            Mask::Replaced { condition, view, keep, fill } => Mask::Replaced { condition, view: view.reshape(shape)?, keep, fill },
        })
    }

    /// The mask for so many queries and keys; where it takes a node of its own, that is added to the graph.
    pub(super) fn write(self, writer: &mut Writer, name: &str, queries: usize, keys: usize) -> Result<OperatorMask> {
        let hidden = f32::NEG_INFINITY;
        match self {
            Mask::None => Ok(OperatorMask::default()),
            Mask::Added { value, view } => {
                let constant = writer.contents(value).and_then(|tensor| tensor.as_slice::<f32>().ok()).unwrap_or_default();
                let Some(fill) = constant.iter().copied().find(|x| *x != 0.0) else {
                    let input = Some((value, view)).filter(|_| writer.contents(value).is_none());
                    return Ok(OperatorMask { input, ..OperatorMask::default() });
                };
                let seen = |x: f32| if x == 0.0 { Some(true) } else { (x == fill).then_some(false) };
                let causal = is_causal(|k| constant.get(k).copied().and_then(seen), &view, queries, keys);
                if !causal || !(fill.is_finite() || fill == hidden) {
                    return Ok(OperatorMask { input: Some((value, view)), ..OperatorMask::default() });
                }
                let unseen = if fill == hidden { Unseen::Hidden } else { Unseen::Added(fill) };
                Ok(OperatorMask { input: None, causal, unseen })
            }
            Mask::Replaced { condition, view, keep, fill } => {
                let unseen = if fill == hidden { Unseen::Hidden } else { Unseen::Replaced(fill) };
                let Some(constant) = writer.contents(condition) else {
                    let not = |writer: &mut Writer| writer.function("Not", &[condition]);
                    let value = if keep { condition } else { writer.under(&format!("{name}.seen"), not)? };
                    return Ok(OperatorMask { input: Some((value, view)), causal: false, unseen });
                };
                let ty = constant.ty().clone();
                let seen: Vec<bool> = constant.to_f64().iter().map(|c| (*c != 0.0) == keep).collect();
                if seen.iter().all(|seen| *seen) {
                    return Ok(OperatorMask::default());
                }
                if is_causal(|k| seen.get(k).copied(), &view, queries, keys) {
                    return Ok(OperatorMask { input: None, causal: true, unseen });
                }
                let value = writer.constant(&format!("{name}.seen"), Tensor::new(ty.shape, &seen)?);
                Ok(OperatorMask { input: Some((value, view)), causal: false, unseen })
            }
        }
    }
}

/// True when a constant mask lets each query see the keys up to its own position, counted from the end of the keys, and no
/// other; `seen` says of an element of the mask whether it lets a key be seen, if it says anything.
fn is_causal(seen: impl Fn(usize) -> Option<bool>, view: &View, queries: usize, keys: usize) -> bool {
    if queries > keys || view.strides.len() != 4 || queries * keys == 0 {
        return false;
    }
    let alike = |axis: usize| view.shape[axis] == 1 || view.strides[axis] == 0;
    let at = |i: usize, j: usize| seen((view.offset + i as i64 * view.strides[2] + j as i64 * view.strides[3]) as usize);
    let expected = |i: usize, j: usize| at(i, j) == Some(j <= i + (keys - queries));
    alike(0) && alike(1) && (0..queries).all(|i| (0..keys).all(|j| expected(i, j)))
}

/// The scores and the mask of an elementwise node that masks.
pub(super) fn masked_scores(writer: &Writer, node: &Node, program: &Program, shape: &Shape) -> Option<(ValueId, Mask)> {
    let [instruction] = program.instructions.as_slice() else { return None };
    let value = |k: usize| node.input(k);
    let view = |k: usize| seen(writer, node, program, k, shape);
    let from_product =
        |k: usize| plain(writer, node, program, k, shape) && value(k).is_some_and(|id| writer.contents(id).is_none());
    let is_product = |k: usize| value(k).is_some_and(|id| matches!(scaled_product(writer, id), Ok(Some(_))));
    match (instruction.function.name, instruction.arguments.as_slice()) {
        ("Add", [Term::Operand(a), Term::Operand(b)]) if a != b => {
            // Scores are the operand that is no larger thing broadcast: a product's, of the full shape.
            let pick = [(*a, *b), (*b, *a)].into_iter().find(|(s, _)| from_product(*s) && is_product(*s));
            let (scores, mask) = pick?;
            Some((value(scores)?, Mask::Added { value: value(mask)?, view: view(mask)? }))
        }
        ("Where", [Term::Operand(c), yes, no]) => {
            let (scores, fill, keep) = match (yes, no) {
                (Term::Operand(s), fill) if from_product(*s) => (*s, fill, true),
                (fill, Term::Operand(s)) if from_product(*s) => (*s, fill, false),
                _ => return None,
            };
            let fill = match fill {
                Term::Literal(x) => *x as f32,
                Term::Operand(k) => uniform(writer.contents(value(*k)?)?)?,
                Term::Carried | Term::Result(_) => return None,
            };
            let sound = fill.is_finite() || fill == f32::NEG_INFINITY;
            sound.then_some((value(scores)?, Mask::Replaced { condition: value(*c)?, view: view(*c)?, keep, fill }))
        }
        _ => None,
    }
}

/// The number that all elements of a tensor are.
fn uniform(tensor: &Tensor) -> Option<f32> {
    let numbers = tensor.as_slice::<f32>().ok()?;
    numbers.first().copied().filter(|first| numbers.iter().all(|x| x == first))
}
