//! Attention over convolved keys.

use super::{Case, Random};
use gristmill::Tensor;
use gristmill::internals::ops::attention::{ConvolutionalAttention, convolutional_attention};

/// Name, grid, window, heads, and batch, channels and value channels.
type Row<'a> = (&'a str, &'a [usize], &'a [usize], usize, [usize; 3]);

/// Convolved keys in a row and on a plane.
pub fn cases() -> Vec<Case> {
    let mut random = Random::new(0xC0A7);
    let mut cases = vec![];
    let rows: &[Row<'_>] = &[
        ("row", &[13], &[3], 1, [2, 8, 5]),
        ("row_heads", &[17], &[5], 2, [1, 8, 12]),
        ("row_of_one", &[1], &[7], 1, [1, 4, 4]),
        ("plane", &[5, 6], &[3, 3], 1, [2, 8, 8]),
        ("plane_heads", &[4, 7], &[3, 5], 3, [1, 12, 6]),
        ("plane_tap", &[3, 3], &[1, 1], 1, [1, 6, 3]),
    ];
    for (name, grid, window, heads, [batch, channels, value_channels]) in rows {
        let positions: usize = grid.iter().product();
        let op = ConvolutionalAttention { heads: *heads, ..ConvolutionalAttention::new(grid) };
        let scale = (*heads == 3).then_some(0.7);
        let op = ConvolutionalAttention { scale, ..op };
        let inputs = vec![
            random.floats(&[*batch, positions, *channels]),
            random.floats(&[*batch, positions, *channels]),
            random.floats(&[*batch, positions, *value_channels]),
            random.floats(&[&[*channels, 1], *window].concat()),
        ];
        cases.push(Case::new(format!("convolutional_attention/{name}"), convolutional_attention(op), inputs).weights(&[3]));
    }
    cases.push(by_hand());
    cases
}

/// One query over two positions with keys 1 and 2 and weights 3, 5 and 7 before, at and after a position: the keys become
/// 5 + 14 and 3 + 10, the scores ln 3 times their difference apart when the query is ln 3 / 6.
fn by_hand() -> Case {
    let tensor = |shape: &[usize], data: &[f32]| Tensor::new(shape, data).expect("as many elements");
    let query = 3f32.ln() / 6.0;
    let inputs = vec![
        tensor(&[1, 2, 1], &[query, -query]),
        tensor(&[1, 2, 1], &[1.0, 2.0]),
        tensor(&[1, 2, 1], &[1.0, 0.0]),
        tensor(&[1, 1, 3], &[3.0, 5.0, 7.0]),
    ];
    let op = convolutional_attention(ConvolutionalAttention::new(&[2]));
    Case::new("convolutional_attention/by_hand", op, inputs).golden(vec![tensor(&[1, 2, 1], &[0.75, 0.25])])
}
