//! Sequences into sequences: an encoder, and a decoder that starts where it ends (Cho et al. 2014; Sutskever et al. 2014).

use super::initial::Initial;
use super::layers::{Captured, Layers, are_sizes};
use super::recurrent::Gru;
use crate::error::{Error, Result};
use crate::graph::{Body, Graph, ValueId};
use crate::operators::{self, Reduction};
use crate::tensor::{DType, Tensor};
use std::sync::Arc;

/// An embedding and a GRU read a sequence of tokens; another embedding and GRU start from its last state and write a sequence, each token
/// after those before it, through a fully connected layer.
///
/// Parameters: `encoder.embedding`, `encoder.rnn`, `decoder.embedding`, `decoder.rnn`, `decoder.out`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seq2Seq {
    /// How many tokens a source may be of.
    pub source_vocabulary: usize,
    /// How many tokens a target may be of, `start` and `end` among them.
    pub target_vocabulary: usize,
    /// Width of the embeddings.
    pub embedding: usize,
    /// Width of the states.
    pub hidden: usize,
    /// Layers of either GRU.
    pub layers: usize,
    /// How much is dropped of embeddings, and of what goes from layer to layer.
    pub dropout: f64,
    /// The token that the decoder reads first.
    pub start: i32,
    /// The token that ends a target.
    pub end: i32,
}

impl Seq2Seq {
    /// Between vocabularies of these sizes: 256 wide, in one layer, with token 1 to start and 2 to end (0 is left for what pads).
    pub fn new(source_vocabulary: usize, target_vocabulary: usize) -> Self {
        Seq2Seq { source_vocabulary, target_vocabulary, embedding: 256, hidden: 256, layers: 1, dropout: 0.0, start: 1, end: 2 }
    }

    /// The network that is told what stood before each token: `source`, `[batch, length]`, of which `source_lengths`, `[batch]`, count, and
    /// `decoder_input`, `[batch, target_length]`, the target behind `start`, to `logits`, `[batch, target_length, target_vocabulary]`. All inputs are
    /// i64.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a size of 0 or above 2^20, or a token that the vocabulary has not.
    pub fn graph(&self, seed: u32) -> Result<Graph> {
        let (mut layers, state) = self.encoded(seed)?;
        let logits = self.told(&mut layers, &state)?;
        layers.finish(&[("logits", logits)])
    }

    /// The network that goes on by itself: `source` and `source_lengths` to `tokens`, i64 `[batch, most]`, each the likeliest after those before it, and
    /// how many stand before the end, `token_lengths`, i64 `[batch]`; from there on all are `end`. It is done when all sequences are.
    ///
    /// ```
    /// use gristmill::models::Seq2Seq;
    /// use gristmill::{Model, Options, Session, Tensor};
    ///
    /// let network = Seq2Seq { embedding: 8, hidden: 8, ..Seq2Seq::new(10, 12) }.greedy(1, 5)?;
    /// let session = Session::cpu(&Model::from_graph(network), Options::default())?;
    /// let (source, lengths) = (Tensor::new([1, 3], &[4i64, 5, 6])?, Tensor::vector(&[3i64]));
    /// let outputs = session.run_blocking(&[("source", source.view()), ("source_lengths", lengths.view())])?;
    /// assert_eq!(outputs["tokens"].shape()[..], [1, 5]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`graph`](Seq2Seq::graph); `most` is 1 or more.
    pub fn greedy(&self, seed: u32, most: usize) -> Result<Graph> {
        let (mut layers, state) = self.encoded(seed)?;
        let [tokens, lengths] = self.untold(&mut layers, &state, most)?;
        layers.finish(&[("tokens", tokens), ("token_lengths", lengths)])
    }

    /// Both in one: what a step learns from is `logits`, and what an evaluation says of it also `tokens`.
    ///
    /// # Errors
    /// As [`greedy`](Seq2Seq::greedy).
    pub fn learning(&self, seed: u32, most: usize) -> Result<Graph> {
        let (mut layers, state) = self.encoded(seed)?;
        let logits = self.told(&mut layers, &state)?;
        let [tokens, lengths] = self.untold(&mut layers, &state, most)?;
        layers.finish(&[("logits", logits), ("tokens", tokens), ("token_lengths", lengths)])
    }

    fn check(&self) -> Result<()> {
        let is_token = |token: i32| usize::try_from(token).is_ok_and(|token| token < self.target_vocabulary);
        let sizes = [self.source_vocabulary, self.target_vocabulary, self.embedding, self.hidden, self.layers];
        match are_sizes(&sizes) && is_token(self.start) && is_token(self.end) {
            true => Ok(()),
            false => {
                Err(Error::invalid_argument(format!("a size is out of bounds, or a token is none of the vocabulary: {self:?}")))
            }
        }
    }

    fn gru<'a>(&self, name: &'a str) -> Gru<'a> {
        let Seq2Seq { embedding: inputs, hidden, layers, dropout, .. } = *self;
        Gru { name, inputs, hidden, layers, bidirectional: false, dropout }
    }

    /// The encoder: the last state of each layer.
    fn encoded(&self, seed: u32) -> Result<(Layers, Vec<ValueId>)> {
        self.check()?;
        let mut layers = Layers::new("seq2seq", seed);
        let source = layers.input("source", DType::I64, [&"batch", &"length"]);
        let lengths = layers.input("source_lengths", DType::I64, [&"batch"]);
        let lengths = layers.cast("source_lengths.i32", lengths, DType::I32)?;
        let source = layers.transposed("source.by_time", source, &[1, 0]);
        let extents = [self.source_vocabulary, self.embedding];
        let x = layers.embedding("encoder.embedding", source, extents, Initial::Normal(1.0))?;
        let x = layers.dropout("encoder.dropout", x, self.dropout)?;
        let state = self.gru("encoder.rnn").write(&mut layers, x, Some(lengths), &[])?.last;
        Ok((layers, state))
    }

    /// The decoder over tokens by time, `[length, batch]`: logits `[length, batch, target_vocabulary]`, and the last state of each layer.
    fn decoded(&self, layers: &mut Layers, tokens: ValueId, state: &[ValueId], dropout: f64) -> Result<(ValueId, Vec<ValueId>)> {
        let extents = [self.target_vocabulary, self.embedding];
        let x = layers.embedding("decoder.embedding", tokens, extents, Initial::Normal(1.0))?;
        let x = layers.dropout("decoder.dropout", x, dropout)?;
        let run = Gru { dropout, ..self.gru("decoder.rnn") }.write(layers, x, None, state)?;
        Ok((layers.linear("decoder.out", run.all, [self.hidden, self.target_vocabulary])?, run.last))
    }

    fn told(&self, layers: &mut Layers, state: &[ValueId]) -> Result<ValueId> {
        let tokens = layers.input("decoder_input", DType::I64, [&"batch", &"target_length"]);
        let tokens = layers.transposed("decoder_input.by_time", tokens, &[1, 0]);
        let logits = self.decoded(layers, tokens, state, self.dropout)?.0;
        Ok(layers.transposed("logits", logits, &[1, 0, 2]))
    }

    /// The decoder that reads what it wrote, in a loop: the tokens and how many there are before the end.
    fn untold(&self, layers: &mut Layers, state: &[ValueId], most: usize) -> Result<[ValueId; 2]> {
        let count = i64::try_from(most).ok().filter(|_| are_sizes(&[most]));
        let count = count.ok_or_else(|| Error::invalid_argument("a decoder writes one token or more, and no more than 2^20"))?;
        let (turn, captured) = self.turn(count)?;
        let turns = layers.builder.constant("greedy.turns", Tensor::scalar(count));
        // A row of each sequence, filled with one number.
        let source = layers.builder.constant("greedy.width", Tensor::vector(&[count]));
        let first = state.first().copied().ok_or_else(|| Error::internal("an encoder without layers"))?;
        let batch = layers.node("greedy.batch", operators::shape(1, Some(2)), &[first]);
        let extents = layers.node("greedy.extents", operators::concat(0), &[batch, source]);
        let mut filled = |name: &str, extents: ValueId, number: i32| {
            layers.node(name, operators::constant_of_shape(Some(Tensor::vector(&[number]))), &[extents])
        };
        let carried = [
            filled("greedy.first", batch, self.start),
            filled("greedy.going", batch, 0),
            filled("greedy.blank", extents, self.end),
        ];
        let mut inputs = vec![Some(turns), None];
        inputs.extend(carried.iter().chain(state).copied().map(Some));
        let places = (inputs.len()..inputs.len() + captured.len()).collect();
        for parameter in &captured {
            inputs.push(Some(layers.given(parameter)?));
        }
        let body = Body { graph: Arc::new(turn), inputs: places };
        let names = ["greedy.last", "greedy.ended", "greedy.tokens"].map(str::to_string).into_iter();
        let names = names.chain((0..state.len()).map(|layer| format!("greedy.state{layer}")));
        let outputs: Vec<ValueId> = names.map(|name| layers.builder.value(&name, None)).collect();
        let operator = operators::repeat(body, outputs.len(), 0);
        layers.builder.push("greedy", operator, inputs, outputs.iter().copied().map(Some).collect());
        let end = layers.number("greedy.end", self.end);
        let is_end = layers.function("greedy.is_end", "Equal", &[outputs[2], end])?;
        let is_token = layers.function("greedy.is_token", "Not", &[is_end])?;
        let counted = layers.cast("greedy.counted", is_token, DType::I32)?;
        let lengths = layers.node("greedy.lengths", operators::reduce(Reduction::Sum, Some(vec![1]), false, false), &[counted]);
        Ok([layers.cast("tokens", outputs[2], DType::I64)?, layers.cast("token_lengths", lengths, DType::I64)?])
    }

    /// One token of each sequence: given its number and a condition, then the token before it, whether the end has been (1), all tokens and
    /// the states, it makes these anew behind whether any sequence goes on. All in 32 bits, so that nothing is up to a host.
    fn turn(&self, most: i64) -> Result<(Graph, Vec<Captured>)> {
        let mut layers = Layers::of_turn("greedy turn");
        let number = layers.input("turn", DType::I64, []);
        layers.input("goes_on", DType::Bool, []);
        let token = layers.input("token", DType::I32, [&"batch"]);
        let ended = layers.input("ended", DType::I32, [&"batch"]);
        let tokens = layers.input("tokens", DType::I32, [&"batch", &"most"]);
        let state: Vec<ValueId> = (0..self.layers)
            .map(|layer| layers.input(&format!("state{layer}"), DType::F32, [&1usize, &"batch", &self.hidden]))
            .collect();
        let token = layers.reshaped("token.by_time", token, &[1, -1]);
        let (logits, next_state) = self.decoded(&mut layers, token, &state, 0.0)?;
        let best = layers.node("best", operators::arg_max(-1, false, false), &[logits]);
        let best = layers.cast("best.i32", best, DType::I32)?;
        let best = layers.reshaped("best.flat", best, &[-1]);
        let [end, zero] = [("end", self.end), ("zero", 0)].map(|(name, number)| layers.number(name, number));
        let had_ended = layers.cast("had_ended", ended, DType::Bool)?;
        let next = layers.node("next", operators::select()?, &[had_ended, end, best]);
        let is_end = layers.function("is_end", "Equal", &[next, end])?;
        let next_ended = layers.cast("next_ended", is_end, DType::I32)?;
        // Where the turn's token belongs, and nowhere else.
        let columns: Vec<i32> = (0i32..).zip(0..most).map(|(column, _)| column).collect();
        let columns = layers.builder.constant("columns", Tensor::new([1, columns.len()], &columns)?);
        let number = layers.cast("turn.i32", number, DType::I32)?;
        let here = layers.function("here", "Equal", &[columns, number])?;
        let column = layers.reshaped("column", next, &[-1, 1]);
        let next_tokens = layers.node("next_tokens", operators::select()?, &[here, column, tokens]);
        let least = layers.node("least", operators::reduce(Reduction::Min, Some(vec![0]), false, false), &[next_ended]);
        let goes_on = layers.function("next_goes_on", "Equal", &[least, zero])?;
        let mut outputs = vec![("goes on", goes_on), ("next token", next), ("now ended", next_ended), ("now tokens", next_tokens)];
        let names: Vec<String> = (0..self.layers).map(|layer| format!("now state{layer}")).collect();
        outputs.extend(names.iter().map(String::as_str).zip(next_state));
        layers.finish_turn(&outputs)
    }
}
