//! Networks under construction, node by node as exporters write them: every helper knows the shape its node gives, the forms
//! that operators had over the versions, and the ways in which one thing is spelled.

use super::network::{Attribute, Body, Network, Node, dtype_number};
use crate::cases::Random;
use crate::properties::Draw;
use gristmill::{DType, Tensor, TensorType};
use std::collections::HashMap;

/// A value of the network, with its type.
#[derive(Clone, Debug)]
pub struct Value {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<usize>,
}

impl Value {
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The last extent; 1 for a scalar.
    pub fn last(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The extents that a network is made of. They come from a small palette, so that kernels repeat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    pub batch: usize,
    pub length: usize,
    pub heads: usize,
    /// Of one head; the width of rows is `heads * size`.
    pub size: usize,
    pub channels: usize,
    pub side: usize,
}

impl Sizes {
    pub fn width(&self) -> usize {
        self.heads * self.size
    }
}

pub struct Sketch<'a> {
    pub draw: Draw<'a>,
    pub random: Random,
    pub sizes: Sizes,
    pub network: Network,
    /// Whether it has loops.
    pub goes_round: bool,
    count: usize,
}

/// Shapes broadcast as numpy does.
pub fn broadcast(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    (0..rank).map(|axis| if at(a, axis) == 1 { at(b, axis) } else { at(a, axis) }).collect()
}

/// An attribute with its name.
pub fn set(name: &str, value: Attribute) -> (String, Attribute) {
    (name.to_string(), value)
}

impl<'a> Sketch<'a> {
    pub fn new(draw: Draw<'a>, seed: u64, sizes: Sizes, version: i64) -> Self {
        let network = Network {
            version,
            nodes: vec![],
            initializers: vec![],
            inputs: vec![],
            outputs: vec![],
            types: HashMap::new(),
            symbolic: false,
        };
        Sketch { draw, random: Random::new(seed), sizes, network, goes_round: false, count: 0 }
    }

    pub fn version(&self) -> i64 {
        self.network.version
    }

    pub fn value(&mut self, label: &str, dtype: DType, shape: &[usize]) -> Value {
        self.count += 1;
        let name = format!("{label}{}", self.count);
        self.network.types.insert(name.clone(), TensorType::new(dtype, shape));
        Value { name, dtype, shape: shape.to_vec() }
    }

    /// A node with any arguments and results.
    pub fn nodes(
        &mut self,
        operator: &str,
        inputs: &[Option<&Value>],
        attributes: Vec<(String, Attribute)>,
        outputs: &[(DType, Vec<usize>)],
    ) -> Vec<Value> {
        let made: Vec<Value> = outputs.iter().map(|(dtype, shape)| self.value("v", *dtype, shape)).collect();
        self.network.nodes.push(Node {
            operator: operator.into(),
            domain: String::new(),
            inputs: inputs.iter().map(|v| v.map_or(String::new(), |v| v.name.clone())).collect(),
            outputs: made.iter().map(|v| v.name.clone()).collect(),
            attributes,
        });
        made
    }

    /// A node with one result.
    pub fn node(
        &mut self,
        operator: &str,
        inputs: &[&Value],
        attributes: Vec<(String, Attribute)>,
        dtype: DType,
        shape: &[usize],
    ) -> Value {
        let inputs: Vec<Option<&Value>> = inputs.iter().copied().map(Some).collect();
        self.nodes(operator, &inputs, attributes, &[(dtype, shape.to_vec())]).swap_remove(0)
    }

    /// An input of the run.
    pub fn input(&mut self, tensor: Tensor) -> Value {
        let value = self.value("x", tensor.dtype(), tensor.shape());
        self.network.inputs.push((value.name.clone(), tensor));
        value
    }

    /// A constant: an initializer, or a node.
    pub fn constant(&mut self, tensor: Tensor) -> Value {
        let value = self.value("c", tensor.dtype(), tensor.shape());
        if self.draw.rarely(4) {
            self.network.nodes.push(Node {
                operator: "Constant".into(),
                domain: String::new(),
                inputs: vec![],
                outputs: vec![value.name.clone()],
                attributes: vec![set("value", Attribute::Tensor(tensor))],
            });
        } else {
            self.network.initializers.push((value.name.clone(), tensor));
        }
        value
    }

    pub fn integers(&mut self, values: &[i64]) -> Value {
        self.constant(Tensor::vector(values))
    }

    /// A number with no axis.
    pub fn number(&mut self, dtype: DType, x: f64) -> Value {
        self.constant(Tensor::from_f64(TensorType::new(dtype, Vec::<usize>::new()), &[x]).expect("one element"))
    }

    /// A number as an exporter may leave it beside a value of rank `rank`: with no axis, with one, with as many as the value,
    /// seldom with more.
    pub fn scalar(&mut self, dtype: DType, x: f64, rank: usize) -> Value {
        let axes = match self.draw.within(0, 15) {
            0..=7 => 0,
            8..=12 => 1,
            13 | 14 => rank,
            _ => rank + 1,
        };
        self.constant(Tensor::from_f64(TensorType::new(dtype, vec![1; axes]), &[x]).expect("one element"))
    }

    /// Floats between -1 and 1 of a dtype; now and then whole numbers, with zeros and ties, or rows of one number.
    pub fn floats(&mut self, dtype: DType, shape: &[usize]) -> Tensor {
        let mut numbers = self.random.floats(shape).to_f64();
        let row = shape.last().copied().unwrap_or(1).max(1);
        match self.draw.within(0, 15) {
            0 => numbers.iter_mut().for_each(|x| *x = (*x * 3.0).round()),
            1 => (0..numbers.len()).for_each(|i| numbers[i] = if i / row % 2 == 0 { numbers[i - i % row] } else { numbers[i] }),
            2 => numbers.iter_mut().for_each(|x| *x *= 8.0),
            _ => {}
        }
        Tensor::from_f64(TensorType::new(dtype, shape), &numbers).expect("as many elements")
    }

    /// An input of the run with random floats.
    pub fn data(&mut self, dtype: DType, shape: &[usize]) -> Value {
        let tensor = self.floats(dtype, shape);
        self.input(tensor)
    }

    /// An input of the run that has a default, which the run replaces.
    fn overridden(&mut self, tensor: Tensor) -> Value {
        let default = Tensor::from_f64(tensor.ty().clone(), &vec![0.5; tensor.elements()]).expect("as many elements");
        let value = self.input(tensor);
        self.network.initializers.push((value.name.clone(), default));
        value
    }

    /// What `build` writes, as a graph within a node, of these inputs; it gives the outputs.
    pub fn body(&mut self, inputs: Vec<Value>, build: impl FnOnce(&mut Self) -> Vec<Value>) -> Body {
        let around = std::mem::take(&mut self.network.nodes);
        let outer = self.network.outputs.len();
        let outputs = build(self);
        // What is made within is no output of the network.
        self.network.outputs.truncate(outer);
        let nodes = std::mem::replace(&mut self.network.nodes, around);
        let named = |values: Vec<Value>| values.into_iter().map(|v| (v.name, TensorType::new(v.dtype, v.shape))).collect();
        Body { nodes, inputs: named(inputs), outputs: named(outputs) }
    }

    /// What `build` writes, as a branch, and the value it ends with.
    fn branch(&mut self, build: impl FnOnce(&mut Self) -> Value) -> (Body, Value) {
        let mut last = None;
        let body = self.body(vec![], |s| {
            let value = build(s);
            last = Some(value.clone());
            vec![value]
        });
        (body, last.expect("it was built"))
    }

    /// An If with branches of one type.
    pub fn conditional(
        &mut self,
        condition: &Value,
        yes: impl FnOnce(&mut Self) -> Value,
        no: impl FnOnce(&mut Self) -> Value,
    ) -> Value {
        let ((yes, made), (no, _)) = (self.branch(yes), self.branch(no));
        let branches = vec![set("then_branch", Attribute::Body(yes)), set("else_branch", Attribute::Body(no))];
        self.node("If", &[condition], branches, made.dtype, &made.shape)
    }

    /// Trained numbers: constants, seldom inputs. `reach` is how many of them one sum meets.
    pub fn weights(&mut self, dtype: DType, shape: &[usize], reach: usize) -> Value {
        let factor = 1.5 / (reach.max(1) as f64).sqrt();
        let numbers: Vec<f64> = self.random.floats(shape).to_f64().iter().map(|x| x * factor).collect();
        let tensor = Tensor::from_f64(TensorType::new(dtype, shape), &numbers).expect("as many elements");
        match self.draw.within(0, 79) {
            0..=7 => self.input(tensor),
            8 => self.overridden(tensor),
            _ => self.constant(tensor),
        }
    }

    /// Positive numbers, as variances are.
    pub fn positive(&mut self, dtype: DType, shape: &[usize]) -> Value {
        let numbers: Vec<f64> = self.random.floats(shape).to_f64().iter().map(|x| x.abs() + 0.25).collect();
        self.constant(Tensor::from_f64(TensorType::new(dtype, shape), &numbers).expect("as many elements"))
    }

    pub fn unary(&mut self, operator: &str, x: &Value) -> Value {
        self.node(operator, &[x], vec![], x.dtype, &x.shape)
    }

    pub fn unary_with(&mut self, operator: &str, x: &Value, attributes: Vec<(String, Attribute)>) -> Value {
        self.node(operator, &[x], attributes, x.dtype, &x.shape)
    }

    pub fn binary(&mut self, operator: &str, a: &Value, b: &Value) -> Value {
        let comparison = matches!(operator, "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual");
        let dtype = if comparison { DType::Bool } else { a.dtype };
        self.node(operator, &[a, b], vec![], dtype, &broadcast(&a.shape, &b.shape))
    }

    /// A commutative operator with its operands in either order.
    pub fn either(&mut self, operator: &str, a: &Value, b: &Value) -> Value {
        if self.draw.rarely(3) { self.binary(operator, b, a) } else { self.binary(operator, a, b) }
    }

    /// A value and a number, the value first.
    pub fn with_number(&mut self, operator: &str, a: &Value, x: f64) -> Value {
        let number = self.scalar(a.dtype, x, a.rank());
        self.binary(operator, a, &number)
    }

    /// A value and a number in either order.
    pub fn either_number(&mut self, operator: &str, a: &Value, x: f64) -> Value {
        let number = self.scalar(a.dtype, x, a.rank());
        self.either(operator, a, &number)
    }

    pub fn choose(&mut self, condition: &Value, yes: &Value, no: &Value) -> Value {
        let shape = broadcast(&condition.shape, &broadcast(&yes.shape, &no.shape));
        self.node("Where", &[condition, yes, no], vec![], yes.dtype, &shape)
    }

    pub fn cast(&mut self, x: &Value, to: DType) -> Value {
        self.node("Cast", &[x], vec![set("to", dtype_number(to))], to, &x.shape)
    }

    pub fn matmul(&mut self, a: &Value, b: &Value) -> Value {
        let (rows, columns) = (a.rank() - 2, b.rank() - 2);
        let mut shape = broadcast(&a.shape[..rows], &b.shape[..columns]);
        shape.extend([a.shape[rows], b.shape[columns + 1]]);
        self.node("MatMul", &[a, b], vec![], a.dtype, &shape)
    }

    /// Rows times a matrix of weights.
    pub fn linear(&mut self, x: &Value, width: usize) -> Value {
        let w = self.weights(x.dtype, &[x.last(), width], x.last());
        self.matmul(x, &w)
    }

    /// An axis counted from the start or the end.
    pub fn axis(&mut self, axis: usize, rank: usize) -> i64 {
        if self.draw.flag() { axis as i64 - rank as i64 } else { axis as i64 }
    }

    /// A reduction; axes are an attribute or an input, as the version has them.
    pub fn reduce(&mut self, operator: &str, x: &Value, axes: &[usize], keep: bool) -> Value {
        let listed: Vec<i64> = axes.iter().map(|a| self.axis(*a, x.rank())).collect();
        let mut shape = Vec::new();
        for (axis, extent) in x.shape.iter().enumerate() {
            match (axes.contains(&axis), keep) {
                (true, true) => shape.push(1),
                (true, false) => {}
                (false, _) => shape.push(*extent),
            }
        }
        let mut attributes = vec![set("keepdims", Attribute::Int(keep.into()))];
        let since = if operator == "ReduceSum" { 13 } else { 18 };
        if self.version() >= since {
            let axes = self.integers(&listed);
            return self.node(operator, &[x, &axes], attributes, x.dtype, &shape);
        }
        attributes.push(set("axes", Attribute::Ints(listed)));
        self.node(operator, &[x], attributes, x.dtype, &shape)
    }

    pub fn transpose(&mut self, x: &Value, order: &[usize]) -> Value {
        let shape: Vec<usize> = order.iter().map(|a| x.shape[*a]).collect();
        let perm = Attribute::Ints(order.iter().map(|a| *a as i64).collect());
        self.node("Transpose", &[x], vec![set("perm", perm)], x.dtype, &shape)
    }

    /// The last two axes swapped.
    pub fn turned(&mut self, x: &Value) -> Value {
        let mut order: Vec<usize> = (0..x.rank()).collect();
        order.swap(x.rank() - 1, x.rank() - 2);
        self.transpose(x, &order)
    }

    /// An operator whose list of axes became an input in version 13.
    pub fn with_axes(&mut self, operator: &str, x: &Value, axes: &[i64], shape: &[usize]) -> Value {
        if self.version() >= 13 {
            let axes = self.integers(axes);
            return self.node(operator, &[x, &axes], vec![], x.dtype, shape);
        }
        self.node(operator, &[x], vec![set("axes", Attribute::Ints(axes.to_vec()))], x.dtype, shape)
    }

    pub fn unsqueeze(&mut self, x: &Value, axis: usize) -> Value {
        let mut shape = x.shape.clone();
        shape.insert(axis, 1);
        let listed = self.axis(axis, x.rank() + 1);
        self.with_axes("Unsqueeze", x, &[listed], &shape)
    }

    pub fn squeeze(&mut self, x: &Value, axis: usize) -> Value {
        let mut shape = x.shape.clone();
        shape.remove(axis);
        let listed = self.axis(axis, x.rank());
        self.with_axes("Squeeze", x, &[listed], &shape)
    }

    pub fn softmax(&mut self, operator: &str, x: &Value, axis: usize) -> Value {
        let axis = self.axis(axis, x.rank());
        self.node(operator, &[x], vec![set("axis", Attribute::Int(axis))], x.dtype, &x.shape)
    }

    pub fn concat(&mut self, parts: &[&Value], axis: usize) -> Value {
        let mut shape = parts[0].shape.clone();
        shape[axis] = parts.iter().map(|v| v.shape[axis]).sum();
        let listed = self.axis(axis, shape.len());
        self.node("Concat", parts, vec![set("axis", Attribute::Int(listed))], parts[0].dtype, &shape)
    }

    pub fn gather(&mut self, x: &Value, indices: &Value, axis: usize) -> Value {
        let shape = [&x.shape[..axis], &indices.shape[..], &x.shape[axis + 1..]].concat();
        let listed = self.axis(axis, x.rank());
        self.node("Gather", &[x, indices], vec![set("axis", Attribute::Int(listed))], x.dtype, &shape)
    }
}
