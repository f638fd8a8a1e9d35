//! A network as an ONNX file holds it: nodes by name, initializers, inputs with the numbers of a run. It can be encoded, cut
//! smaller, and kept as a case in the ONNX test layout.

use crate::hostile::wire::{Field, Value as Wire, encode, message, number, text};
use gristmill::{DType, Tensor, TensorType};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// What a node is told beside its inputs.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Texts(Vec<String>),
    Tensor(Tensor),
    Body(Body),
}

/// A graph within a node: nodes that may read values of the network around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    pub nodes: Vec<Node>,
    pub inputs: Vec<(String, TensorType)>,
    pub outputs: Vec<(String, TensorType)>,
}

/// An application of an operator. An empty name stands for an argument left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub operator: String,
    pub domain: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: Vec<(String, Attribute)>,
}

/// A network with the inputs of one run.
#[derive(Clone, Debug, Default)]
pub struct Network {
    pub version: i64,
    pub nodes: Vec<Node>,
    pub initializers: Vec<(String, Tensor)>,
    pub inputs: Vec<(String, Tensor)>,
    pub outputs: Vec<String>,
    /// The types of all values, as the generator has them.
    pub types: HashMap<String, TensorType>,
    /// Declares the first extents of the inputs as symbols.
    pub symbolic: bool,
}

/// `TensorProto.DataType`.
fn data_type(dtype: DType) -> i64 {
    match dtype {
        DType::F32 => 1,
        DType::U8 => 2,
        DType::I8 => 3,
        DType::U16 => 4,
        DType::I16 => 5,
        DType::I32 => 6,
        DType::I64 => 7,
        DType::Bool => 9,
        DType::F16 => 10,
        DType::F64 => 11,
        DType::U32 => 12,
        DType::U64 => 13,
        DType::BF16 => 16,
    }
}

/// The number that an ONNX file has for a dtype, as Cast wants it.
pub fn dtype_number(dtype: DType) -> Attribute {
    Attribute::Int(data_type(dtype))
}

fn bytes(field: u64, bytes: &[u8]) -> Field {
    Field { number: field, value: Wire::Bytes(bytes.to_vec()) }
}

fn fixed(field: u64, value: f32) -> Field {
    Field { number: field, value: Wire::Fixed32(value.to_le_bytes()) }
}

/// The fields of a `TensorProto`.
fn tensor(name: &str, tensor: &Tensor) -> Vec<Field> {
    let mut fields: Vec<Field> = tensor.shape().iter().map(|d| number(1, *d as i64)).collect();
    fields.extend([number(2, data_type(tensor.dtype())), text(8, name), bytes(9, tensor.bytes())]);
    fields
}

fn attribute(name: &str, value: &Attribute) -> Vec<Field> {
    let mut fields = vec![text(1, name)];
    fields.extend(match value {
        Attribute::Float(x) => vec![fixed(2, *x), number(20, 1)],
        Attribute::Int(n) => vec![number(3, *n), number(20, 2)],
        Attribute::Text(t) => vec![text(4, t), number(20, 3)],
        Attribute::Tensor(t) => vec![message(5, tensor("", t)), number(20, 4)],
        Attribute::Body(body) => {
            let mut graph: Vec<Field> = body.nodes.iter().enumerate().map(|(k, n)| message(1, node(n, k))).collect();
            graph.push(text(2, "within"));
            graph.extend(body.inputs.iter().map(|(name, ty)| message(11, value_info(name, ty, false))));
            graph.extend(body.outputs.iter().map(|(name, ty)| message(12, value_info(name, ty, false))));
            vec![message(6, graph), number(20, 5)]
        }
        Attribute::Floats(list) => list.iter().map(|x| fixed(7, *x)).chain([number(20, 6)]).collect(),
        Attribute::Texts(list) => list.iter().map(|t| text(9, t)).chain([number(20, 8)]).collect(),
        Attribute::Ints(list) => list.iter().map(|n| number(8, *n)).chain([number(20, 7)]).collect(),
    });
    fields
}

fn value_info(name: &str, ty: &TensorType, symbolic: bool) -> Vec<Field> {
    let extent = |(axis, extent): (usize, &usize)| {
        message(1, vec![if symbolic && axis == 0 { text(2, &format!("n{extent}")) } else { number(1, *extent as i64) }])
    };
    let shape = message(2, ty.shape.iter().enumerate().map(extent).collect());
    vec![text(1, name), message(2, vec![message(1, vec![number(1, data_type(ty.dtype)), shape])])]
}

/// The fields of a `NodeProto`.
fn node(node: &Node, index: usize) -> Vec<Field> {
    let mut fields: Vec<Field> = node.inputs.iter().map(|name| text(1, name)).collect();
    fields.extend(node.outputs.iter().map(|name| text(2, name)));
    fields.extend([text(3, &format!("{}_{index}", node.operator)), text(4, &node.operator), text(7, &node.domain)]);
    fields.extend(node.attributes.iter().map(|(name, value)| message(5, attribute(name, value))));
    fields
}

impl Node {
    /// The values it reads, those that its branches capture included.
    pub fn reads(&self) -> Vec<String> {
        let mut names = self.inputs.clone();
        for (_, value) in &self.attributes {
            if let Attribute::Body(body) = value {
                names.extend(body.outputs.iter().map(|(name, _)| name.clone()));
                names.extend(body.nodes.iter().flat_map(Node::reads));
            }
        }
        names
    }
}

impl Network {
    /// The bytes of the `ModelProto`.
    pub fn encode(&self) -> Vec<u8> {
        let mut graph: Vec<Field> = Vec::new();
        graph.extend(self.nodes.iter().enumerate().map(|(k, n)| message(1, node(n, k))));
        graph.push(text(2, "drawn"));
        graph.extend(self.initializers.iter().map(|(name, t)| message(5, tensor(name, t))));
        graph.extend(self.inputs.iter().map(|(name, t)| message(11, value_info(name, t.ty(), self.symbolic))));
        for name in &self.outputs {
            graph.extend(self.types.get(name).map(|ty| message(12, value_info(name, ty, false))));
        }
        let inner = self.nodes.iter().flat_map(|n| &n.outputs).filter(|name| !name.is_empty() && !self.outputs.contains(name));
        graph.extend(inner.filter_map(|name| Some(message(13, value_info(name, self.types.get(name)?, false)))));
        let versions = [("", self.version), ("com.microsoft", 1)].map(|(d, v)| message(8, vec![text(1, d), number(2, v)]));
        encode(&[vec![number(1, 10), message(7, graph)], versions.to_vec()].concat())
    }

    /// A copy without the defaults of inputs.
    pub fn without_defaults(&self) -> Network {
        let mut plain = self.clone();
        plain.initializers.retain(|(name, _)| self.inputs.iter().all(|(input, _)| input != name));
        plain
    }

    /// Forgets nodes, initializers and inputs that no output needs.
    pub fn prune(&mut self) {
        let mut wanted: HashSet<String> = self.outputs.iter().cloned().collect();
        let mut kept = Vec::new();
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            if node.outputs.iter().any(|name| wanted.contains(name)) {
                wanted.extend(node.reads());
                kept.push(node);
            }
        }
        kept.reverse();
        self.nodes = kept;
        self.initializers.retain(|(name, _)| wanted.contains(name));
        self.inputs.retain(|(name, _)| wanted.contains(name));
    }

    /// Writes the case in the ONNX test layout, with these outputs expected.
    pub fn keep(&self, folder: &Path, expected: &[Tensor]) -> std::io::Result<()> {
        let data = folder.join("test_data_set_0");
        std::fs::create_dir_all(&data)?;
        std::fs::write(folder.join("model.onnx"), self.encode())?;
        for (k, (name, t)) in self.inputs.iter().enumerate() {
            std::fs::write(data.join(format!("input_{k}.pb")), encode(&tensor(name, t)))?;
        }
        for (k, (name, t)) in self.outputs.iter().zip(expected).enumerate() {
            std::fs::write(data.join(format!("output_{k}.pb")), encode(&tensor(name, t)))?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ty = |name: &String| self.types.get(name).map_or(String::new(), |ty| format!(":{ty}"));
        writeln!(f, "opset {}", self.version)?;
        for (name, t) in &self.inputs {
            writeln!(f, "  input {name}:{}", t.ty())?;
        }
        for (name, t) in &self.initializers {
            let numbers = t.to_f64();
            let some: Vec<String> = numbers.iter().take(8).map(|x| format!("{x:.4}")).collect();
            writeln!(f, "  constant {name}:{} = {}{}", t.ty(), some.join(" "), if numbers.len() > 8 { " ..." } else { "" })?;
        }
        for node in &self.nodes {
            let outputs: Vec<String> = node.outputs.iter().map(|name| format!("{name}{}", ty(name))).collect();
            let attributes: Vec<String> = node.attributes.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            writeln!(f, "  {} = {}({}) {}", outputs.join(", "), node.operator, node.inputs.join(", "), attributes.join(" "))?;
        }
        writeln!(f, "  output {}", self.outputs.join(", "))
    }
}
