//! Rows of Einsum.

use super::matmul::sums;
use super::{Case, Random};
use gristmill::DType;
use gristmill::internals::ops::einsum::einsum;

fn row(name: &str, equation: &str, shapes: &[&[usize]]) -> Case {
    let mut random = Random::new(equation.len() as u64);
    let inputs = shapes.iter().map(|shape| random.floats(shape)).collect();
    Case::new(format!("einsum/{name}"), einsum(equation), inputs)
        .tolerance(sums(shapes.iter().map(|s| s.iter().product::<usize>()).sum()))
}

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(2);
    let whole = vec![random.integers(DType::I32, &[3, 4], -9, 9), random.integers(DType::I32, &[4, 5], -9, 9)];
    vec![
        row("matmul", "ij,jk->ik", &[&[5, 7], &[7, 6]]),
        row("batch_matmul", "bij, bjk -> bik", &[&[3, 5, 7], &[3, 7, 6]]),
        row("scores", "bhlk,bhtk->bhlt", &[&[2, 3, 5, 8], &[2, 3, 7, 8]]),
        row("heads_inside", "bqhd,bkhd->bhqk", &[&[2, 5, 3, 8], &[2, 7, 3, 8]]),
        row("implicit", "ij,jk", &[&[5, 7], &[7, 6]]),
        row("output_transposed", "ij,jk->ki", &[&[5, 7], &[7, 6]]),
        row("transpose", "ij->ji", &[&[5, 7]]),
        row("copy", "ij->ij", &[&[5, 7]]),
        row("sum", "ij->i", &[&[5, 7]]),
        row("sum_all", "ij->", &[&[5, 7]]),
        row("diagonal", "ii->i", &[&[6, 6]]),
        row("trace", "ii", &[&[6, 6]]),
        row("batch_diagonal", "...ii->...i", &[&[2, 3, 5, 5]]),
        row("ellipsis", "...ij,...jk->...ik", &[&[2, 1, 5, 7], &[3, 7, 6]]),
        row("ellipsis_summed", "...i,...i->i", &[&[3, 4], &[1, 4]]),
        row("inner", "i,i->", &[&[9], &[9]]),
        row("outer", "i,j->ij", &[&[4], &[5]]),
        row("multiply", "ij,ij->ij", &[&[4, 5], &[4, 5]]),
        row("several_terms", "abcd,cdef->abef", &[&[2, 3, 4, 5], &[4, 5, 2, 3]]),
        row("one_sided_sum", "ijk,kl->il", &[&[3, 4, 5], &[5, 6]]),
        row("three", "ij,jk,kl->il", &[&[3, 4], &[4, 5], &[5, 6]]),
        row("three_outer", "a,ab,b->", &[&[4], &[4, 5], &[5]]),
        row("scalar", "->", &[&[]]),
        row("no_terms", "ij,jk->ik", &[&[2, 0], &[0, 3]]),
        Case::new("einsum/i32", einsum("ij,jk->ik"), whole),
    ]
}
