//! What an operator is, as data: its name and its attributes. Equal keys mean equal operators.

use super::{Graph, ValueId};
use crate::kernel::{Instruction, Program, ProgramOperand, ScalarFunction, Term};
use crate::tensor::{DType, Shape, Tensor, View};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A part of a [`Key`].
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// The name of an operator, an attribute, or one of the values of an enum.
    Name(&'static str),
    /// Text.
    Text(String),
    /// An integer, or a bool as 0 or 1.
    Integer(i128),
    /// The bits of a 64-bit float.
    Float(u64),
    /// How many items follow.
    Length(usize),
    /// A tensor with its contents.
    Tensor(Tensor),
}

/// The name of an operator, and its attributes with their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Key {
    parts: Vec<Part>,
}

impl Key {
    /// Its parts, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Adds a part.
    pub fn put(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// Adds an attribute.
    pub fn attribute(&mut self, name: &'static str, attribute: &impl Attribute) {
        self.put(Part::Name(name));
        attribute.add_to(self);
    }

    fn list<'a, T: Attribute + 'a>(&mut self, items: impl ExactSizeIterator<Item = &'a T>) {
        self.put(Part::Length(items.len()));
        items.for_each(|item| item.add_to(self));
    }
}

/// What an operator may have as an attribute.
pub trait Attribute {
    /// Adds it to a key.
    fn add_to(&self, key: &mut Key);
}

/// Says which fields an operator's key is made of. Every field must be named: what is left out does not compile.
///
/// Within `impl Op`, of the operator itself: `attributes!(axis, keepdims);`, without fields `attributes!();`. Beside a type that
/// attributes have, of that type: `attributes!(struct Window { strides, pads });` or
/// `attributes!(enum Interpolation { Linear, Cubic(factor) });`.
#[macro_export]
macro_rules! attributes {
    (struct $type:ident { $($field:ident),* $(,)? }) => {
        impl $crate::internals::graph::Attribute for $type {
            $crate::attributes!(@fields add_to, $($field),*);
        }
    };
    (enum $type:ident { $($variant:ident $(($($item:ident),*))? $({ $($field:ident),* })?),* $(,)? }) => {
        impl $crate::internals::graph::Attribute for $type {
            fn add_to(&self, key: &mut $crate::internals::graph::Key) {
                match self {
                    $(Self::$variant $(($($item),*))? $({ $($field),* })? => {
                        key.put($crate::internals::graph::Part::Name(stringify!($variant)));
                        $($(key.attribute(stringify!($item), $item);)*)?
                        $($(key.attribute(stringify!($field), $field);)*)?
                    })*
                }
            }
        }
    };
    (@fields $method:ident, $($field:ident),*) => {
        fn $method(&self, key: &mut $crate::internals::graph::Key) {
            let _ = &key;
            let Self { $($field),* } = self;
            $(key.attribute(stringify!($field), $field);)*
        }
    };
    ($($field:ident),* $(,)?) => {
        $crate::attributes!(@fields attributes, $($field),*);
    };
}

macro_rules! integers {
    ($($type:ty),*) => {
        $(impl Attribute for $type {
            fn add_to(&self, key: &mut Key) {
                key.put(Part::Integer((*self).into()));
            }
        })*
    };
}

integers!(bool, i64, u32);

impl Attribute for usize {
    fn add_to(&self, key: &mut Key) {
        key.put(Part::Integer(*self as i128));
    }
}

impl Attribute for f32 {
    fn add_to(&self, key: &mut Key) {
        f64::from(*self).add_to(key);
    }
}

impl Attribute for f64 {
    fn add_to(&self, key: &mut Key) {
        key.put(Part::Float(self.to_bits()));
    }
}

impl Attribute for String {
    fn add_to(&self, key: &mut Key) {
        key.put(Part::Text(self.clone()));
    }
}

impl<T: Attribute> Attribute for Option<T> {
    fn add_to(&self, key: &mut Key) {
        key.list(self.iter());
    }
}

impl<T: Attribute> Attribute for Vec<T> {
    fn add_to(&self, key: &mut Key) {
        key.list(self.iter());
    }
}

impl<T: Attribute, const N: usize> Attribute for [T; N] {
    fn add_to(&self, key: &mut Key) {
        key.list(self.iter());
    }
}

impl<K: Attribute, V: Attribute> Attribute for BTreeMap<K, V> {
    fn add_to(&self, key: &mut Key) {
        key.list(self.keys());
        key.list(self.values());
    }
}

impl<T: Attribute> Attribute for Arc<T> {
    fn add_to(&self, key: &mut Key) {
        (**self).add_to(key);
    }
}

impl Attribute for Tensor {
    fn add_to(&self, key: &mut Key) {
        key.put(Part::Tensor(self.clone()));
    }
}

impl Attribute for Shape {
    fn add_to(&self, key: &mut Key) {
        key.list(self.iter());
    }
}

impl Attribute for &'static ScalarFunction {
    fn add_to(&self, key: &mut Key) {
        key.put(Part::Name(self.name));
    }
}

impl Attribute for ValueId {
    fn add_to(&self, key: &mut Key) {
        self.0.add_to(key);
    }
}

attributes!(
    enum DType {
        F32,
        F16,
        BF16,
        F64,
        I8,
        I16,
        I32,
        I64,
        U8,
        U16,
        U32,
        U64,
        Bool,
    }
);
attributes!(struct View { shape, strides, offset });
attributes!(
    enum Term {
        Carried,
        Operand(index),
        Result(index),
        Literal(number),
    }
);
attributes!(struct Instruction { function, arguments, cast });
attributes!(struct ProgramOperand { view });
attributes!(struct Program { operands, instructions });

impl Attribute for Graph {
    fn add_to(&self, key: &mut Key) {
        // Names tell nothing of what is computed.
        let Graph { name: _, values, nodes, inputs, defaults, outputs, states } = self;
        key.put(Part::Length(values.len()));
        values.iter().for_each(|value| value.constant.add_to(key));
        key.put(Part::Length(nodes.len()));
        for node in nodes {
            node.op.add_to(key);
            node.inputs.add_to(key);
            node.outputs.add_to(key);
        }
        key.put(Part::Length(inputs.len()));
        inputs.iter().for_each(|input| input.value.add_to(key));
        key.put(Part::Length(defaults.len()));
        defaults.iter().for_each(|default| default.input.value.add_to(key));
        outputs.add_to(key);
        key.put(Part::Length(states.len()));
        for state in states {
            state.input.add_to(key);
            state.output.add_to(key);
            state.initial.add_to(key);
        }
    }
}
