//! Layouts that constant operands are packed into when the model is loaded.

use crate::tensor::{DType, Tensor};
use half::f16;

/// Rows of packed panels are padded to a multiple of this, as the preludes have it.
pub(super) const PANEL_ROWS: usize = 32;

/// A packing: the bytes of a tensor in another layout, by the arguments of the layout.
pub(super) type Pack = fn(&Tensor, &[u32]) -> Vec<u8>;

/// A constant matrix, from the arguments of a packing: rows, columns, row stride, column stride, offset.
pub(super) fn elements(tensor: &Tensor, arguments: &[u32], mut put: impl FnMut(usize, usize, f32)) {
    let converted: Vec<f32>;
    let data = match tensor.as_slice::<f32>() {
        Ok(data) if tensor.dtype() == DType::F32 => data,
        _ => {
            converted = tensor.to_f64().iter().map(|x| *x as f32).collect();
            &converted
        }
    };
    let step = |n: u32| i64::from(n.cast_signed());
    let (row, column, offset) = (step(arguments[2]), step(arguments[3]), step(arguments[4]));
    for k in 0..arguments[0] as usize {
        for n in 0..arguments[1] as usize {
            put(k, n, data[(offset + k as i64 * row + n as i64 * column) as usize]);
        }
    }
}

/// Panels `[n / width, k, width]`, padded with zeros.
pub(super) fn panels(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let (k, n, width) = (arguments[0] as usize, arguments[1] as usize, arguments[5] as usize);
    let rows = k.next_multiple_of(PANEL_ROWS);
    let mut packed = vec![0f32; n.div_ceil(width) * rows * width];
    elements(tensor, arguments, |k, n, value| packed[(n / width * rows + k) * width + n % width] = value);
    bytemuck::cast_slice(&packed).to_vec()
}

/// Columns `[n, rows]`, padded with zeros.
pub(super) fn columns(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let rows = arguments[5] as usize;
    let mut packed = vec![0f32; arguments[1] as usize * rows];
    elements(tensor, arguments, |k, n, value| packed[n * rows + k] = value);
    bytemuck::cast_slice(&packed).to_vec()
}

/// Rows `[rows, padded]`, padded with zeros, from the arguments rows, length, padded length.
pub(super) fn rows(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let &[rows, length, padded] = arguments else { return vec![] };
    let padded = padded as usize;
    let mut packed = vec![0f32; rows as usize * padded];
    let whole = [rows, length, length, 1, 0];
    elements(tensor, &whole, |row, column, value| packed[row * padded + column] = value);
    bytemuck::cast_slice(&packed).to_vec()
}

/// Panels of half floats `[n / width, k / 2, width / 4]` of groups of two rows by four columns, padded with zeros.
pub(super) fn panels_f16(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let (k, n, width) = (arguments[0] as usize, arguments[1] as usize, arguments[5] as usize);
    let rows = k.next_multiple_of(PANEL_ROWS);
    let mut packed = vec![0u16; n.div_ceil(width) * rows * width];
    elements(tensor, arguments, |k, n, value| {
        let group = ((n / width * rows + k / 2 * 2) * width + n % width / 4 * 8) / 8;
        packed[group * 8 + k % 2 * 4 + n % 4] = f16::from_f32(value).to_bits();
    });
    bytemuck::cast_slice(&packed).to_vec()
}
