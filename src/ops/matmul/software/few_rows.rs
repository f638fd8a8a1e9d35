//! The product of few rows with a constant: B is read once for all of them, from textures, and A where it lies.

use super::bits::b_in_texture;
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Kernel, Lowering, preludes, shader, u32s};
use crate::ops::matmul::operands::AForm;
use crate::ops::matmul::product::{MatMulParams, Product};

shader!(pub(in crate::ops::matmul) static SHADER: MatMulParams = "software/matmul_few_rows");

/// Rows up to which the reads of B, not the sums, bound a step.
pub(super) const MOST_ROWS: usize = 4;

/// Terms of a step of one row.
const TERMS: usize = 32;

/// The variant, where subgroups have eight lanes or more.
pub(super) fn lower(product: &Product, io: &Io, caps: &Caps) -> Result<Lowering> {
    if product.m > MOST_ROWS {
        return Err(Error::unsupported(format!("more than {MOST_ROWS} rows")));
    }
    let lanes = caps.broadcasting_lanes().filter(|lanes| lanes.is_power_of_two());
    let lanes = lanes.ok_or_else(|| Error::unsupported("subgroups have fewer than 8 lanes"))?;
    let (rows, panel) = (product.m.next_power_of_two(), 4 * lanes);
    let terms = TERMS / rows;
    let mut params = product.params()?;
    let b = b_in_texture(product, io, panel, &params, caps)?;
    let b = b.ok_or_else(|| Error::unsupported("the right operand is no constant that a texture holds"))?;
    let a = product.a_source(io, AForm::Rows, &mut params)?;
    let [height, step] = u32s([rows, terms])?;
    let kernel = Kernel::new(&SHADER, &[Access::Read, Access::ReadTexture, Access::Write], [lanes, 1, 1])
        .constant("LANES", lanes)
        .constant("ROWS", height)
        .constant("TERMS", step)
        .texels();
    let kernel = match product.quantized {
        Some(_) => kernel,
        None => kernel.prelude(&preludes::MATMUL_B_UNLEVELED).prelude(&preludes::MATMUL_B_PAIRS),
    };
    let grid = [product.m.div_ceil(rows), product.n.div_ceil(panel as usize), product.batches()];
    product.bind(kernel, [a, b], params, io, caps)?.finish(grid, product.k / terms + terms / 4 + rows + 8)
}
