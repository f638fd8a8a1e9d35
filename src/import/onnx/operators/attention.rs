//! Attention, written out as the products, masks and Softmax that it stands for. A pass finds them again and runs them as
//! one kernel; what is said here about shapes is folded away before. Over a cache of which each sequence fills a part it stays one
//! operator, since its work follows the part.

use super::{Row, row};
use crate::error::{Error, Result};
use crate::graph::ValueId;
use crate::import::onnx::context::Context;
use crate::ops::attention::{CachedAttention, RotaryEmbedding, cached_attention, rotary_embedding};
use crate::ops::elementwise::{binary, cast, cast_like, select, unary, unary_with};
use crate::ops::linear_attention::{LinearAttention, UpdateRule, linear_attention};
use crate::ops::pad::{PadMode, pad};
use crate::ops::reduce::{Reduction, reduce};
use crate::ops::{concat, expand, matmul, reshape, shape, softmax, transpose};
use crate::tensor::{DType, Tensor};

pub(super) const ROWS: &[Row] = &[
    row("Attention", 23, 3..=6, 4, attention).until(23),
    row("Attention", 24, 3..=7, 4, |c| if is_over_cache(c)? { over_cache(c) } else { attention(c) }),
    row("LinearAttention", 27, 3..=6, 2, linear),
    row("RotaryEmbedding", 23, 3..=4, 1, rotary),
];

/// What the optional output 3 holds, by the attribute `qk_matmul_output_mode`.
mod mode {
    pub(super) const PRODUCT: i64 = 0;
    pub(super) const CAPPED: i64 = 1;
    pub(super) const BIASED: i64 = 2;
    pub(super) const PROBABILITIES: i64 = 3;
}

fn rotary(c: &mut Context<'_, '_>) -> Result<()> {
    let op = rotary_embedding(RotaryEmbedding {
        interleaved: c.flag("interleaved", false)?,
        rotary_embedding_dim: c.count("rotary_embedding_dim", 0)?,
        num_heads: c.count("num_heads", 0)?,
    });
    c.emit(op, &c.inputs())
}

/// A scale of 0 stands for the default. The size of chunks is a hint that the kernels have no use for.
fn linear(c: &mut Context<'_, '_>) -> Result<()> {
    let heads = |name: &str| match c.attributes.int(name)? {
        Some(_) => c.count(name, 0),
        None => Err(c.missing(name)),
    };
    let op = linear_attention(LinearAttention {
        rule: UpdateRule::from_name(c.string("update_rule", "gated_delta")?)?,
        query_heads: heads("q_num_heads")?,
        heads: heads("kv_num_heads")?,
        scale: Some(c.float("scale", 0.0)?).filter(|scale| *scale != 0.0),
    });
    c.emit(op, &c.inputs())
}

fn attention(c: &mut Context<'_, '_>) -> Result<()> {
    let query_heads = c.attributes.int("q_num_heads")?;
    let joined = match c.rank(c.input(0)?) {
        Some(rank) => rank == 3,
        None => query_heads.is_some(),
    };
    let (mut query, mut key, mut value) = (c.input(0)?, c.input(1)?, c.input(2)?);
    if joined {
        let query_heads = query_heads.ok_or_else(|| c.missing("q_num_heads"))?;
        let key_heads = c.attributes.int("kv_num_heads")?.ok_or_else(|| c.missing("kv_num_heads"))?;
        query = split_heads(c, query, query_heads)?;
        key = split_heads(c, key, key_heads)?;
        value = split_heads(c, value, key_heads)?;
    }
    if let (Some(past_key), Some(past_value)) = (c.optional(4), c.optional(5)) {
        key = c.node(concat::concat(2), &[Some(past_key), Some(key)]);
        value = c.node(concat::concat(2), &[Some(past_value), Some(value)]);
    }
    c.emit_output(1, reshape::identity(), &[Some(key)]);
    c.emit_output(2, reshape::identity(), &[Some(value)]);

    let wide_key = repeat_heads(c, query, key)?;
    let wide_value = repeat_heads(c, query, value)?;
    let turned = c.apply(transpose::transpose(Some(vec![0, 1, 3, 2])), wide_key);
    let product = c.node(matmul::matmul(), &[Some(query), Some(turned)]);
    let scores = scaled(c, product, query)?;
    let output_mode = c.int("qk_matmul_output_mode", mode::PRODUCT)?;
    let keep = |c: &mut Context<'_, '_>, mode: i64, value: ValueId| {
        if mode == output_mode {
            c.emit_output(3, reshape::identity(), &[Some(value)]);
        }
    };
    keep(c, mode::PRODUCT, scores);
    let softcap = c.float("softcap", 0.0)?;
    let capped = if softcap > 0.0 {
        let inner = c.apply(unary_with("Div", &[softcap.into()])?, scores);
        let inner = c.apply(unary("Tanh")?, inner);
        c.apply(unary_with("Mul", &[softcap.into()])?, inner)
    } else {
        scores
    };
    keep(c, mode::CAPPED, capped);
    let bias = bias(c, query, key)?;
    let biased = match bias {
        Some(bias) => c.node(binary("Add")?, &[Some(capped), Some(bias)]),
        None => capped,
    };
    keep(c, mode::BIASED, biased);
    let probabilities = probabilities(c, biased, query, bias)?;
    keep(c, mode::PROBABILITIES, probabilities);
    if !joined {
        c.emit_output(0, matmul::matmul(), &[Some(probabilities), Some(wide_value)]);
        return Ok(());
    }
    let mixed = c.node(matmul::matmul(), &[Some(probabilities), Some(wide_value)]);
    let mixed = c.apply(transpose::transpose(Some(vec![0, 2, 1, 3])), mixed);
    let extents = c.int_constant("joined", &[0, 0, -1])?;
    c.emit_output(0, reshape::reshape(false), &[Some(mixed), Some(extents)]);
    Ok(())
}

/// Whether keys have lengths that are data, and nothing is asked for that only nodes written out have.
fn is_over_cache(c: &Context<'_, '_>) -> Result<bool> {
    let is_windowed = c.int("left_window_size", -1)? >= 0 || c.int("right_window_size", -1)? >= 0;
    let is_precise = c.attributes.dtype("softmax_precision")?.is_none_or(|precision| precision == DType::F32);
    let has_past = c.optional(4).is_some() || c.optional(5).is_some();
    let is_alone = !(1..c.outputs()).any(|output| c.wants(output));
    Ok(c.optional(6).is_some() && !is_windowed && is_precise && !has_past && is_alone)
}

fn over_cache(c: &mut Context<'_, '_>) -> Result<()> {
    let heads = |name: &str| c.count(name, 0);
    let op = cached_attention(CachedAttention {
        causal: c.flag("is_causal", false)?,
        scale: c.attributes.float("scale")?,
        softcap: Some(c.float("softcap", 0.0)?).filter(|cap| *cap > 0.0),
        heads: if c.attributes.has("q_num_heads") { Some([heads("q_num_heads")?, heads("kv_num_heads")?]) } else { None },
    });
    c.emit(op, &[c.optional(0), c.optional(1), c.optional(2), c.optional(3), c.optional(6)])
}

/// `[batch, length, heads * size]` as `[batch, heads, length, size]`.
fn split_heads(c: &mut Context<'_, '_>, value: ValueId, heads: i64) -> Result<ValueId> {
    if heads < 1 {
        return Err(Error::invalid_model(format!("Attention has {heads} heads: expected 1 or more")));
    }
    let extents = c.int_constant("heads", &[0, 0, heads, -1])?;
    let split = c.node(reshape::reshape(false), &[Some(value), Some(extents)]);
    Ok(c.apply(transpose::transpose(Some(vec![0, 2, 1, 3])), split))
}

/// One extent, as a tensor of one element.
fn extent(c: &mut Context<'_, '_>, value: ValueId, axis: i64) -> ValueId {
    c.apply(shape::shape(axis, axis.checked_add(1)), value)
}

/// Keys or values with each head repeated for the query heads that share it.
fn repeat_heads(c: &mut Context<'_, '_>, query: ValueId, value: ValueId) -> Result<ValueId> {
    let heads = |value| c.extents(value).and_then(|dims| dims.get(1).copied());
    if let (Some(own), Some(wanted)) = (heads(value), heads(query))
        && own == wanted
    {
        return Ok(value);
    }
    if let (Some(own), Some(wanted)) = (c.attributes.int("kv_num_heads")?, c.attributes.int("q_num_heads")?)
        && own == wanted
    {
        return Ok(value);
    }
    let own = extent(c, value, 1);
    let wanted = extent(c, query, 1);
    let repeats = c.node(binary("Div")?, &[Some(wanted), Some(own)]);
    let axis = c.int_constant("axis", &[2])?;
    let apart = c.node(reshape::unsqueeze(), &[Some(value), Some(axis)]);
    let outer = c.apply(shape::shape(0, Some(2)), value);
    let inner = c.apply(shape::shape(2, Some(4)), value);
    let extents = c.node(concat::concat(0), &[Some(outer), Some(repeats), Some(inner)]);
    let repeated = c.node(expand::expand(), &[Some(apart), Some(extents)]);
    let batch = extent(c, value, 0);
    let extents = c.node(concat::concat(0), &[Some(batch), Some(wanted), Some(inner)]);
    Ok(c.node(reshape::reshape(true), &[Some(repeated), Some(extents)]))
}

/// The product of queries and keys times `scale`, or by default over the root of the head's size.
fn scaled(c: &mut Context<'_, '_>, product: ValueId, query: ValueId) -> Result<ValueId> {
    if let Some(scale) = c.attributes.float("scale")? {
        return Ok(c.apply(unary_with("Mul", &[scale.into()])?, product));
    }
    let size = extent(c, query, 3);
    let size = c.apply(cast(DType::F32)?, size);
    let root = c.apply(unary("Sqrt")?, size);
    let root = c.node(cast_like(), &[Some(root), Some(query)]);
    Ok(c.node(binary("Div")?, &[Some(product), Some(root)]))
}

/// What is added to the scores: the mask, and minus infinity where a key is not seen. `None` adds nothing.
fn bias(c: &mut Context<'_, '_>, query: ValueId, key: ValueId) -> Result<Option<ValueId>> {
    let mask = c.optional(3).map(|mask| padded_mask(c, mask, key)).transpose()?;
    let seen = seen(c, query, key)?;
    if mask.is_none() && seen.is_none() {
        return Ok(None);
    }
    let zero = c.number_like("zero", 0f32, query);
    let hidden = c.number_like("hidden", f32::NEG_INFINITY, query);
    let mask = match mask {
        Some(mask) if is_bool(c)? => Some(c.node(select()?, &[Some(mask), Some(zero), Some(hidden)])),
        mask => mask,
    };
    let Some(seen) = seen else { return Ok(mask) };
    Ok(Some(match mask {
        Some(mask) => c.node(select()?, &[Some(seen), Some(mask), Some(hidden)]),
        None => c.node(select()?, &[Some(seen), Some(zero), Some(hidden)]),
    }))
}

/// True when the mask says which keys are seen, false when it is added to the scores.
fn is_bool(c: &Context<'_, '_>) -> Result<bool> {
    let dtype = c.dtype(c.input(3)?).ok_or_else(|| c.unsupported("the mask needs a declared element type"))?;
    Ok(dtype == DType::Bool)
}

/// The mask with keys it does not reach hidden; versions before 24 want it to reach all.
fn padded_mask(c: &mut Context<'_, '_>, mask: ValueId, key: ValueId) -> Result<ValueId> {
    let Some(rank) = c.rank(mask).filter(|rank| *rank > 0 && c.version >= 24) else { return Ok(mask) };
    let reached = c.apply(shape::shape(-1, None), mask);
    let keys = extent(c, key, 2);
    let missing = c.node(binary("Sub")?, &[Some(keys), Some(reached)]);
    let others = c.int_constant("pads", &vec![0; rank.saturating_mul(2).saturating_sub(1)])?;
    let pads = c.node(concat::concat(0), &[Some(others), Some(missing)]);
    let hidden = match is_bool(c)? {
        true => c.number_like("unreached", false, mask),
        false => c.number_like("unreached", f32::NEG_INFINITY, mask),
    };
    Ok(c.node(pad(PadMode::Constant), &[Some(mask), Some(pads), Some(hidden)]))
}

/// Which keys a query sees by causality, window and length, as bool that broadcasts to the scores.
fn seen(c: &mut Context<'_, '_>, query: ValueId, key: ValueId) -> Result<Option<ValueId>> {
    let causal = c.flag("is_causal", false)?;
    let (left, right) = (c.int("left_window_size", -1)?, c.int("right_window_size", -1)?);
    let lengths = c.optional(6);
    if !causal && left < 0 && right < 0 && lengths.is_none() {
        return Ok(None);
    }
    let keys = positions(c, key)?;
    let mut conditions = Vec::new();
    let lengths = match lengths {
        Some(lengths) => {
            // One length per batch: [batch, 1, 1, 1].
            let axes = c.int_constant("axes", &[1, 2, 3])?;
            let lengths = c.apply(cast(DType::I64)?, lengths);
            let lengths = c.node(reshape::unsqueeze(), &[Some(lengths), Some(axes)]);
            conditions.push(c.node(binary("Less")?, &[Some(keys), Some(lengths)]));
            Some(lengths)
        }
        None => None,
    };
    if causal || left >= 0 || right >= 0 {
        let column = c.int_constant("column", &[1])?;
        let own = positions(c, query)?;
        let mut own = c.node(reshape::unsqueeze(), &[Some(own), Some(column)]);
        let before = match (c.optional(4), lengths) {
            (Some(past), _) => Some(extent(c, past, 2)),
            (None, Some(lengths)) => {
                let queries = extent(c, query, 2);
                Some(c.node(binary("Sub")?, &[Some(lengths), Some(queries)]))
            }
            (None, None) => None,
        };
        if let Some(before) = before {
            own = c.node(binary("Add")?, &[Some(own), Some(before)]);
        }
        if causal {
            conditions.push(c.node(binary("LessOrEqual")?, &[Some(keys), Some(own)]));
        }
        for (size, comparison, step) in [(left, "GreaterOrEqual", "Sub"), (right, "LessOrEqual", "Add")] {
            if size >= 0 {
                let size = c.int_constant("window", &[size])?;
                let limit = c.node(binary(step)?, &[Some(own), Some(size)]);
                conditions.push(c.node(binary(comparison)?, &[Some(keys), Some(limit)]));
            }
        }
    }
    let mut conditions = conditions.into_iter();
    let Some(mut seen) = conditions.next() else { return Ok(None) };
    for condition in conditions {
        seen = c.node(binary("And")?, &[Some(seen), Some(condition)]);
    }
    Ok(Some(seen))
}

/// 0, 1, 2, ... along axis 2 of queries or keys.
fn positions(c: &mut Context<'_, '_>, value: ValueId) -> Result<ValueId> {
    let count = extent(c, value, 2);
    let start = c.constant("start", Tensor::scalar(0i64));
    let step = c.constant("step", Tensor::scalar(1i64));
    let first = c.int_constant("first", &[0])?;
    let count = c.node(reshape::squeeze(), &[Some(count), Some(first)]);
    Ok(c.node(shape::range(), &[Some(start), Some(count), Some(step)]))
}

/// Softmax of the scores. A query that sees no key gets zeros.
fn probabilities(c: &mut Context<'_, '_>, scores: ValueId, query: ValueId, bias: Option<ValueId>) -> Result<ValueId> {
    let probabilities = match c.attributes.dtype("softmax_precision")? {
        Some(precision) => {
            let precise = c.apply(cast(precision)?, scores);
            let precise = c.apply(softmax::softmax(-1), precise);
            c.node(cast_like(), &[Some(precise), Some(query)])
        }
        None => c.apply(softmax::softmax(-1), scores),
    };
    let guarded = c.optional(3).is_some() || c.optional(6).is_some() || c.attributes.has("left_window_size");
    let Some(bias) = bias.filter(|_| guarded) else { return Ok(probabilities) };
    let greatest = c.apply(reduce(Reduction::Max, Some(vec![-1]), true, false), bias);
    let blind = c.apply(unary_with("IsInf", &[1.0, 0.0])?, greatest);
    let zero = c.number_like("none", 0f32, query);
    Ok(c.node(select()?, &[Some(blind), Some(zero), Some(probabilities)]))
}
