//! Numbers that scores, queries or keys are multiplied by, which become the scale of the attention.

use super::super::common::{plain, read_as};
use crate::error::Result;
use crate::graph::{Node, OpExt, ValueId, Writer};
use crate::kernel::{Program, Term};
use crate::ops::elementwise::Map;
use crate::ops::matmul::MatMul;
use crate::tensor::View;

/// A value read through a view.
pub(super) type Seen = (ValueId, View);

/// The product that a value comes from through nothing but scales and reshapes, none of which anything else reads, and the scale.
pub(super) fn scaled_product(writer: &Writer, mut id: ValueId) -> Result<Option<(&Node, f64)>> {
    let mut scale = 1.0;
    loop {
        let (Some(node), Some(_)) = (writer.maker(id), writer.only_consumer(id)) else { return Ok(None) };
        if node.op.downcast::<MatMul>().is_some() {
            return Ok(Some((node, scale)));
        }
        if let Some(input) = writer.alias(id) {
            id = input;
            continue;
        }
        let Some(map) = node.op.downcast::<Map>() else { return Ok(None) };
        let Some((operand, factor)) = scaling(writer, node, &map.program) else { return Ok(None) };
        match node.input(operand) {
            Some(value) if plain(writer, node, &map.program, operand, writer.fact(id)?.shape()) => {
                (id, scale) = (value, scale * factor)
            }
            _ => return Ok(None),
        }
    }
}

/// The operand that a program multiplies by a number, and the number.
fn scaling(writer: &Writer, node: &Node, program: &Program) -> Option<(usize, f64)> {
    let [instruction] = program.instructions.as_slice() else { return None };
    let number = |term: &Term| match term {
        Term::Literal(x) => Some(*x),
        Term::Operand(k) => writer.scalar(node.input(*k)?),
        _ => None,
    };
    match (instruction.function.name, instruction.arguments.as_slice()) {
        ("Mul", [Term::Operand(k), other]) if number(other).is_some() => Some((*k, number(other)?)),
        ("Mul", [other, Term::Operand(k)]) if number(other).is_some() => Some((*k, number(other)?)),
        ("Div", [Term::Operand(k), other]) if number(other).is_some_and(|x| x != 0.0) => Some((*k, 1.0 / number(other)?)),
        _ => None,
    }
}

/// A factor of a product without the number it was multiplied by, which joins the scale.
pub(super) fn unscaled(writer: &Writer, (mut id, mut view): Seen, mut scale: f64) -> Result<(Seen, f64)> {
    while let Some(node) = writer.maker(id) {
        let Some(map) = node.op.downcast::<Map>() else { break };
        let Some((operand, factor)) = scaling(writer, node, &map.program) else { break };
        let Some(input) = node.input(operand) else { break };
        let own = read_as(writer, input, &map.program.operands[operand].view)?;
        if &own.shape != writer.fact(id)?.shape() {
            break;
        }
        let Some(composed) = view.of(&own) else { break };
        (id, view, scale) = (input, composed, scale * factor);
    }
    Ok(((id, view), scale))
}
