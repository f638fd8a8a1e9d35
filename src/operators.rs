//! The operators of networks that are written in Rust, named as ONNX names them. The inputs of each are those that ONNX has.

/// An operator, as the constructors here make it.
pub type Operator = std::sync::Arc<dyn crate::graph::Op>;

pub use crate::graph::flow::Body;
pub use crate::ops::affine_grid::affine_grid;
pub use crate::ops::argreduce::{arg_max, arg_min};
pub use crate::ops::attention::{
    Attention, CachedAttention, ConvolutionalAttention, RotaryEmbedding, Unseen, attention, cached_attention,
    convolutional_attention, rotary_embedding,
};
pub use crate::ops::causal_conv::causal_conv_with_state;
pub use crate::ops::center_crop_pad::center_crop_pad;
pub use crate::ops::concat::concat;
pub use crate::ops::conv::{AutoPad, SlidingWindow, conv, conv_transpose};
pub use crate::ops::ctc::{ctc_greedy_decode, ctc_loss};
pub use crate::ops::cumulative::{cum_prod, cum_sum};
pub use crate::ops::dequantize::dequantize_linear;
pub use crate::ops::det::det;
pub use crate::ops::dropout::dropout;
pub use crate::ops::einsum::einsum;
pub use crate::ops::elementwise::{binary, cast, cast_like, clip, clip_operands, select, unary, unary_with, variadic};
pub use crate::ops::expand::{expand, tile};
pub use crate::ops::flow::arrange::{Arrangement, arrange, identity};
pub use crate::ops::flow::branch::branch;
pub use crate::ops::flow::loops::repeat;
pub use crate::ops::flow::map::sequence_map;
pub use crate::ops::flow::sequence::{concat_from_sequence, split_to_sequence};
pub use crate::ops::gather::{gather, gather_elements, gather_nd};
pub use crate::ops::grid_sample::{GridSample, Outside, grid_sample};
pub use crate::ops::linear_attention::{LinearAttention, UpdateRule, linear_attention};
pub use crate::ops::lrn::lrn;
pub use crate::ops::matmul::{matmul, matmul_integer, matmul_nbits};
pub use crate::ops::non_max_suppression::non_max_suppression;
pub use crate::ops::norm::{
    batch_normalization, group_normalization, instance_normalization, layer_normalization, lp_normalization,
    mean_variance_normalization, rms_normalization,
};
pub use crate::ops::one_hot::one_hot;
pub use crate::ops::pad::{PadMode, pad};
pub use crate::ops::pool::{average_pool, global_average_pool, global_lp_pool, global_max_pool, lp_pool, max_pool};
pub use crate::ops::quantize::quantize_linear;
pub use crate::ops::recompute::checkpoint;
pub use crate::ops::reduce::{Reduction, reduce};
pub use crate::ops::resample::{Coordinates, Interpolation, Rounding};
pub use crate::ops::reshape::{flatten, reshape, squeeze, unsqueeze};
pub use crate::ops::resize::{AspectRatio, Resize, resize};
pub use crate::ops::reverse_sequence::reverse_sequence;
pub use crate::ops::rnn::{Activation, ActivationFunction, Cell, Direction, Recurrent, activations, recurrent};
pub use crate::ops::roi_align::{RoiAlign, roi_align};
pub use crate::ops::scatter::{Combine, scatter_elements, scatter_nd};
pub use crate::ops::select::{compress, non_zero, unique};
pub use crate::ops::shape::{constant_of_shape, eye_like, range, shape, size};
pub use crate::ops::slice::{slice, split};
pub use crate::ops::softmax::{hardmax, log_softmax, softmax};
pub use crate::ops::tensor_scatter::tensor_scatter;
pub use crate::ops::top_k::top_k;
pub use crate::ops::transpose::{BlockOrder, depth_to_space, space_to_depth, transpose};
pub use crate::ops::triangle::trilu;
