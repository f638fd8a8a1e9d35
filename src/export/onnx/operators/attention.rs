//! Attention and what stands around it.

use super::{Row, rows, whole};
use crate::error::{Error, Result};
use crate::export::onnx::context::Context;
use crate::export::onnx::form::form_since;
use crate::ops::attention::{Attention, CachedAttention, RotaryEmbedding, Unseen};
use crate::ops::linear_attention::{LinearAttention, UpdateRule};

pub(super) const ROWS: &[Row] = rows! {
    Attention => attention,
    CachedAttention => cached_attention,
    RotaryEmbedding => |op, c| {
        let form = form_since("RotaryEmbedding", 23).flag("interleaved", op.interleaved);
        c.emit(&form.count("rotary_embedding_dim", op.rotary_embedding_dim).count("num_heads", op.num_heads))
    },
    LinearAttention => |op, c| {
        let rule = match op.rule {
            UpdateRule::Linear => "linear",
            UpdateRule::Gated => "gated",
            UpdateRule::Delta => "delta",
            UpdateRule::GatedDelta => "gated_delta",
        };
        let form = form_since("LinearAttention", 27).text("update_rule", rule);
        let form = form.count("q_num_heads", op.query_heads).count("kv_num_heads", op.heads);
        c.emit(&form.maybe_float("scale", op.scale))
    },
};

/// Attention of whole heads. A query that sees no key by its mask yields zeros in ONNX, whatever it yields here.
fn attention(op: &Attention, c: &mut Context<'_, '_>) -> Result<()> {
    whole(op.query.is_none() && op.key.is_none() && op.value.is_none() && op.mask.is_none() && !op.interleaved)?;
    let has_lengths = c.node.input(4).is_some();
    if op.causal && op.causal_offset != 0 {
        return Err(Error::unsupported(format!("ONNX's Attention has no offset of {} between queries and keys", op.causal_offset)));
    }
    if op.causal && has_lengths {
        return Err(Error::unsupported("queries of ONNX's Attention stand at the end where keys have lengths"));
    }
    if op.unseen != Unseen::Hidden && (op.causal || c.node.input(3).is_some()) {
        return Err(Error::unsupported("ONNX's Attention replaces no score by a number"));
    }
    let form = form_since("Attention", if has_lengths { 24 } else { 23 }).flag("is_causal", op.causal).float("scale", op.scale);
    let [query, key, value] = [c.input(0)?, c.input(1)?, c.input(2)?];
    let inputs = vec![query, key, value, c.optional(3), String::new(), String::new(), c.optional(4)];
    c.emit_over(&form.maybe_float("softcap", op.softcap), inputs)
}

/// Over a cache of which each sequence fills a part.
fn cached_attention(op: &CachedAttention, c: &mut Context<'_, '_>) -> Result<()> {
    let mut form = form_since("Attention", 24).flag("is_causal", op.causal);
    form = form.maybe_float("scale", op.scale).maybe_float("softcap", op.softcap);
    if let Some([query, key]) = op.heads {
        form = form.count("q_num_heads", query).count("kv_num_heads", key);
    }
    let [query, key, value] = [c.input(0)?, c.input(1)?, c.input(2)?];
    let inputs = vec![query, key, value, c.optional(3), String::new(), String::new(), c.optional(4)];
    c.emit_over(&form, inputs)
}
