//! Floor 3: one file per operator family. Each holds `infer`, `reference` and `lower`, and one line in [`REGISTRY`].
//!
//! To add an operator: its shader under `shaders/`, its file here, its line below, its rows in `tests/cases/`, its row in
//! the import table. CONTRIBUTING.md walks through one.

pub mod affine_grid;
pub mod arena;
pub mod argreduce;
pub mod attention;
pub mod causal_conv;
pub mod ceiling;
pub mod center_crop_pad;
pub mod check_write_indices;
pub(crate) mod compose;
pub mod concat;
pub mod conv;
mod copy;
pub mod cross_entropy;
pub mod ctc;
pub mod cumulative;
pub mod dequantize;
pub mod det;
pub mod dropout;
pub mod einsum;
pub mod elementwise;
pub mod expand;
pub mod flow;
pub mod fused;
pub mod gather;
pub mod gradient;
pub mod grid_sample;
pub mod linear_attention;
pub mod lrn;
pub mod matmul;
pub mod movement;
pub mod non_max_suppression;
pub mod norm;
pub mod one_hot;
pub mod optimizer;
pub mod pad;
pub mod pool;
pub mod quantize;
pub mod recompute;
pub mod reduce;
mod registration;
pub mod resample;
pub mod reshape;
pub mod resize;
pub mod reverse_sequence;
pub mod rnn;
pub mod roi_align;
mod row_workgroup;
pub mod scatter;
pub mod select;
pub mod shape;
mod shared;
pub mod slice;
pub mod softmax;
pub mod tensor_scatter;
pub mod top_k;
pub mod transpose;
pub mod triangle;
pub mod variable;
pub mod view;

pub use registration::Registration;

/// Every operator family.
pub static REGISTRY: &[&Registration] = &[
    &affine_grid::REGISTRATION,
    &arena::REGISTRATION,
    &argreduce::REGISTRATION,
    &attention::REGISTRATION,
    &causal_conv::REGISTRATION,
    &ceiling::REGISTRATION,
    &center_crop_pad::REGISTRATION,
    &check_write_indices::REGISTRATION,
    &concat::REGISTRATION,
    &conv::REGISTRATION,
    &copy::REGISTRATION,
    &ctc::REGISTRATION,
    &cross_entropy::REGISTRATION,
    &cumulative::REGISTRATION,
    &dequantize::REGISTRATION,
    &det::REGISTRATION,
    &dropout::REGISTRATION,
    &einsum::REGISTRATION,
    &elementwise::REGISTRATION,
    &expand::REGISTRATION,
    &flow::arrange::REGISTRATION,
    &flow::branch::REGISTRATION,
    &flow::loops::REGISTRATION,
    &flow::map::REGISTRATION,
    &flow::sequence::REGISTRATION,
    &gather::REGISTRATION,
    &gradient::REGISTRATION,
    &grid_sample::REGISTRATION,
    &linear_attention::REGISTRATION,
    &lrn::REGISTRATION,
    &matmul::REGISTRATION,
    &non_max_suppression::REGISTRATION,
    &norm::REGISTRATION,
    &norm::GRADIENT,
    &one_hot::REGISTRATION,
    &optimizer::REGISTRATION,
    &pad::REGISTRATION,
    &pool::REGISTRATION,
    &quantize::REGISTRATION,
    &recompute::REGISTRATION,
    &reduce::REGISTRATION,
    &reshape::REGISTRATION,
    &resize::REGISTRATION,
    &reverse_sequence::REGISTRATION,
    &rnn::REGISTRATION,
    &roi_align::REGISTRATION,
    &scatter::REGISTRATION,
    &select::REGISTRATION,
    &shape::REGISTRATION,
    &slice::REGISTRATION,
    &softmax::REGISTRATION,
    &tensor_scatter::REGISTRATION,
    &top_k::REGISTRATION,
    &transpose::REGISTRATION,
    &triangle::REGISTRATION,
    &variable::REGISTRATION,
    &view::REGISTRATION,
];
