//! Attention in the spellings of PyTorch, TensorFlow, JAX and Keras: where the scale stands, how heads are split and merged, and
//! which products they are.

use super::network::{Attribute, dtype_number};
use super::sketch::{Sketch, Value, set};
use gristmill::DType;

impl Sketch<'_> {
    /// `[batch, length, heads * size]` as `[batch, heads, length, size]`: by reshape and transpose, or by a split of heads.
    fn split_heads(&mut self, x: &Value, heads: usize) -> Value {
        let (batch, length, size) = (x.shape[0], x.shape[1], x.last() / heads);
        if heads > 1 && self.draw.rarely(6) {
            let parts = self.split(x, 2, &vec![size; heads]);
            let parts: Vec<Value> = parts.iter().map(|part| self.unsqueeze(part, 1)).collect();
            let parts: Vec<&Value> = parts.iter().collect();
            return self.concat(&parts, 1);
        }
        let apart = self.reshape(x, &[batch, length, heads, size]);
        self.transpose(&apart, &[0, 2, 1, 3])
    }

    fn merge_heads(&mut self, x: &Value) -> Value {
        let [batch, heads, length, size] = *x.shape.as_slice() else { return x.clone() };
        let turned = self.transpose(x, &[0, 2, 1, 3]);
        self.reshape(&turned, &[batch, length, heads * size])
    }

    /// Queries, keys and values of self-attention: three products, or one that is split.
    fn projected(&mut self, x: &Value) -> [Value; 3] {
        let width = x.last();
        if self.draw.rarely(3) {
            let all = self.linear(x, 3 * width);
            let all = self.biased(&all);
            let all = self.settled(&all, &[&x.shape[..2], &[3 * width]].concat());
            let parts = self.split(&all, 2, &[width; 3]);
            return [parts[0].clone(), parts[1].clone(), parts[2].clone()];
        }
        [(); 3].map(|()| {
            let y = self.linear(x, width);
            if self.draw.flag() { y } else { self.biased(&y) }
        })
    }

    /// Attention over rows `[batch, length, width]`; to another sequence now and then.
    pub fn attention(&mut self, x: &Value) -> Value {
        let (batch, width) = (x.shape[0], x.last());
        let heads = if width.is_multiple_of(self.sizes.heads) { self.sizes.heads } else { 1 };
        let [q, mut k, mut v] = self.projected(x);
        if self.draw.rarely(4) {
            let length = self.draw.pick(&[6, 3]);
            let other = self.data(x.dtype, &[batch, length, width]);
            (k, v) = (self.linear(&other, width), self.linear(&other, width));
        }
        let (q, mut k, mut v) = (self.split_heads(&q, heads), self.split_heads(&k, heads), self.split_heads(&v, heads));
        if heads > 1 && self.draw.rarely(6) {
            // Grouped queries: the first head of keys and values for all.
            (k, v) = (self.repeated(&k, heads), self.repeated(&v, heads));
        }
        if self.version() >= 23 && self.draw.flag() {
            let y = self.attention_operator(&q, &k, &v);
            return self.merge_heads(&y);
        }
        let y = self.written_attention(&q, &k, &v);
        self.merge_heads(&y)
    }

    fn repeated(&mut self, x: &Value, heads: usize) -> Value {
        let [batch, _, length, size] = *x.shape.as_slice() else { return x.clone() };
        let first = self.slice(x, 1, 0, 1, 1);
        let apart = self.unsqueeze(&first, 2);
        let wide = self.expand(&apart, &[batch, 1, heads, length, size]);
        self.reshape(&wide, &[batch, heads, length, size])
    }

    fn attention_operator(&mut self, q: &Value, k: &Value, v: &Value) -> Value {
        let mut attributes = vec![];
        if self.draw.flag() {
            attributes.push(set("is_causal", Attribute::Int(1)));
        }
        if self.draw.flag() {
            attributes.push(set("scale", Attribute::Float(0.5)));
        }
        let mut inputs = vec![Some(q), Some(k), Some(v)];
        let scores = [q.shape[0], q.shape[1], q.shape[2], k.shape[2]];
        let mask = self.draw.flag().then(|| {
            let seen = self.seen(&scores, true);
            let dtype = self.draw.pick(&[DType::Bool, q.dtype]);
            self.condition(&seen, false, dtype)
        });
        // Masks of the operator have two axes or more.
        inputs.extend(mask.as_ref().filter(|m| m.rank() >= 2).map(Some));
        self.nodes("Attention", &inputs, attributes, &[(q.dtype, [&q.shape[..3], &v.shape[3..]].concat())]).swap_remove(0)
    }

    /// MatMul, scale, mask, Softmax, MatMul.
    pub fn written_attention(&mut self, q: &Value, k: &Value, v: &Value) -> Value {
        let scores = self.scaled_scores(q, k);
        let scores = self.hidden(scores);
        let weights = self.weights_of(&scores);
        if self.draw.rarely(12) && self.version() >= 12 {
            let equation = vec![set("equation", Attribute::Text("bhqk,bhkd->bqhd".into()))];
            let turned = [v.shape[0], q.shape[q.rank() - 2], v.shape[1], v.shape[3]];
            let y = self.node("Einsum", &[&weights, v], equation, v.dtype, &turned);
            return self.transpose(&y, &[0, 2, 1, 3]);
        }
        self.product(&weights, v)
    }

    /// The product of queries and keys, with a scale on either of them, on both, or on the product; capped now and then.
    fn scaled_scores(&mut self, q: &Value, k: &Value) -> Value {
        let factor = self.draw.pick(&[0.5, 0.25, 1.0, -0.5]);
        let place = self.draw.within(0, 6);
        let (mut q, mut k) = (q.clone(), k.clone());
        let turned = self.draw.flag();
        if !turned {
            k = self.turned(&k);
        }
        match place {
            0 => q = self.either_number("Mul", &q, factor),
            1 => q = self.with_number("Div", &q, 1.0 / factor),
            2 => {
                // The root on both sides, as PyTorch has it.
                q = self.either_number("Mul", &q, factor.abs().sqrt());
                k = self.either_number("Mul", &k, factor.abs().sqrt());
            }
            3 => k = self.either_number("Mul", &k, factor),
            _ => {}
        }
        let q = self.settled(&q, &q.shape[q.rank() - 4..]);
        let mut k = self.settled(&k, &k.shape[k.rank() - 4..]);
        if turned {
            k = self.turned(&k);
        }
        let shape = vec![q.shape[0], q.shape[1], q.shape[2], k.shape[3]];
        let mut scores = self.product(&q, &k);
        match place {
            4 => scores = self.either_number("Mul", &scores, factor),
            5 => scores = self.with_number("Div", &scores, 1.0 / factor),
            _ => {}
        }
        if self.draw.rarely(10) {
            let inner = self.with_number("Div", &scores, 2.0);
            let t = self.unary("Tanh", &inner);
            scores = self.either_number("Mul", &t, 2.0);
        }
        self.settled(&scores, &shape)
    }

    /// Scores with a mask, and a second one or a bias of relative positions now and then.
    fn hidden(&mut self, mut scores: Value) -> Value {
        let shape = scores.shape.clone();
        if !self.draw.rarely(3) {
            scores = self.masked(&scores);
            scores = self.settled(&scores, &shape);
        }
        if self.draw.rarely(8) {
            if self.draw.flag() {
                scores = self.masked(&scores);
            } else {
                let bias = self.weights(scores.dtype, &[1, shape[1], shape[2], shape[3]], 1);
                scores = self.either("Add", &scores, &bias);
            }
            scores = self.settled(&scores, &shape);
        }
        scores
    }

    /// The softmax of scores: written out, looked at, rounded, or with zeros where a row sees nothing, each now and then.
    fn weights_of(&mut self, scores: &Value) -> Value {
        let axis = if self.draw.rarely(12) { 2 } else { 3 };
        let mut weights =
            if self.draw.rarely(10) { self.written_softmax(scores, axis) } else { self.softmax("Softmax", scores, axis) };
        if self.draw.rarely(12) {
            self.network.outputs.push(weights.name.clone());
        }
        if scores.dtype == DType::F32 && self.draw.rarely(12) {
            let rounded = self.cast(&weights, DType::F16);
            weights = self.node("Cast", &[&rounded], vec![set("to", dtype_number(DType::F32))], DType::F32, &rounded.shape);
        }
        if self.draw.rarely(12) {
            let bad = self.node("IsNaN", &[&weights], vec![], DType::Bool, &weights.shape);
            let zero = self.number(weights.dtype, 0.0);
            weights = self.choose(&bad, &zero, &weights);
        }
        weights
    }

    /// A product of `[batch, heads, rows, columns]`: as such, with batch and heads as one axis, or by Einsum.
    fn product(&mut self, a: &Value, b: &Value) -> Value {
        let [batch, heads, rows, inner] = *a.shape.as_slice() else { return self.matmul(a, b) };
        let columns = b.last();
        match self.draw.within(0, 9) {
            0 | 1 => {
                let a = self.reshape(a, &[batch * heads, rows, inner]);
                let b = self.reshape(b, &[batch * heads, inner, columns]);
                let y = self.matmul(&a, &b);
                self.reshape(&y, &[batch, heads, rows, columns])
            }
            2 if self.version() >= 12 => {
                let equation = vec![set("equation", Attribute::Text("bhij,bhjk->bhik".into()))];
                self.node("Einsum", &[a, b], equation, a.dtype, &[batch, heads, rows, columns])
            }
            _ => self.matmul(a, b),
        }
    }

    /// exp(x - max) / sum.
    fn written_softmax(&mut self, x: &Value, axis: usize) -> Value {
        let greatest = self.reduce("ReduceMax", x, &[axis], true);
        let difference = self.binary("Sub", x, &greatest);
        let exponential = self.unary("Exp", &difference);
        let sum = self.reduce("ReduceSum", &exponential, &[axis], true);
        self.binary("Div", &exponential, &sum)
    }
}
