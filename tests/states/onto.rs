//! An operator that can write in place: input 0 with input 1 added to its first elements.

use gristmill::internals::graph::{Fact, Io, Op, required};
use gristmill::internals::kernel::{Access, Dispatch, Field, Kernel, Lowering, Offers, Operand, Shader, Work};
use gristmill::internals::tensor::Scalar;
use gristmill::{Result, Tensor};

#[derive(Debug)]
pub struct Onto;

static FIELDS: &[Field] = &[
    Field { name: "count", scalar: Scalar::U32, count: 1, offset: 0 },
    Field { name: "added", scalar: Scalar::U32, count: 1, offset: 4 },
];

static WHOLE: Shader = Shader {
    name: "onto_whole",
    source: "
struct Params { count: u32, added: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> old: array<f32>;
@group(0) @binding(2) var<storage, read> more: array<f32>;
@group(0) @binding(3) var<storage, read_write> result: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= params.count { return; }
    result[id.x] = old[id.x];
    if id.x < params.added { result[id.x] += more[id.x]; }
}
",
    params: FIELDS,
};

static IN_PLACE: Shader = Shader {
    name: "onto_in_place",
    source: "
struct Params { count: u32, added: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> more: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x < params.added { result[id.x] += more[id.x]; }
}
",
    params: FIELDS,
};

impl Op for Onto {
    fn name(&self) -> &'static str {
        "Onto"
    }

    gristmill::attributes!();

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let old = required("Onto", inputs, 0)?;
        Ok(vec![Fact::new(old.dtype(), old.shape().clone())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (old, more) = (required("Onto", inputs, 0)?, required("Onto", inputs, 1)?);
        let mut result = old.to_f64();
        result.iter_mut().zip(more.to_f64()).for_each(|(result, more)| *result += more);
        Ok(vec![Tensor::from_f64(old.ty().clone(), &result)?])
    }

    fn updates(&self, _: &[Option<&Fact>]) -> Option<(usize, usize)> {
        Some((0, 0))
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let [count, added] = [0, 1].map(|k| io.inputs[k].map_or(0, |fact| fact.ty.elements() as u32));
        let mut add = |shader: &'static Shader, bindings: Vec<Operand>| {
            offers.add(shader.name, 0, || {
                let mut access = vec![Access::Read; bindings.len()];
                access[bindings.len() - 1] = Access::Write;
                let kernel = Kernel::new(shader, &access, [64, 1, 1]);
                let (params, grid) = ([count, added].map(u32::to_ne_bytes).concat(), [count.div_ceil(64), 1, 1]);
                let dispatch = Dispatch { kernel, params, numbers: vec![], bindings, grid, turns: 0, work: Work::default() };
                Ok(Lowering::new(vec![dispatch]))
            });
        };
        add(&WHOLE, vec![Operand::Input(0), Operand::Input(1), Operand::Output(0)]);
        add(&IN_PLACE, vec![Operand::Input(1), Operand::Updated]);
        Ok(())
    }
}
