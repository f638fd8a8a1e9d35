//! What a compiler is given is bounded, whatever a model's attributes say. Drivers unroll loops whose bounds they know and copy each
//! function to where it is called, and take their time for what is left: a window of 400 taps took a compiler seven minutes once.

use crate::cases::{Case, Random};
use crate::shader_contract::offered;
use gristmill::Tensor;
use gristmill::internals::graph::Op;
use gristmill::internals::kernel::{AdapterClass, Caps, Kernel, Offer};
use gristmill::internals::ops::attention::{Attention, attention};
use gristmill::internals::ops::conv::{SlidingWindow, conv, conv_transpose};
use gristmill::internals::ops::linear_attention::{LinearAttention, UpdateRule, linear_attention};
use gristmill::internals::ops::matmul::matmul;
use gristmill::internals::ops::norm::layer_normalization;
use gristmill::internals::ops::pool::{average_pool, max_pool};
use gristmill::internals::ops::softmax::softmax;
use naga::{BinaryOperator, Block, Expression, Function, Handle, Literal, Module, Statement};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The most expressions of a kernel once its loops are unrolled and its functions copied to where they are called.
const MOST_EXPRESSIONS: u64 = 6_000;

/// The most for a kernel that no software adapter takes of itself: tiles of eight by eight sums a lane, each through the epilogue.
const MOST_ON_GPUS: u64 = 12_000;

/// Expressions up to which a loop of a known bound is unrolled. Mesa's limit is 832 instructions (nir_opt_loop_unroll.c). It unrolls
/// every loop that walks an array of its function from end to end, however long.
const MOST_UNROLLED: u64 = 1000;

/// The most bytes of a function's arrays, which a compiler holds in registers if it can.
const MOST_ARRAY_BYTES: u32 = 4096;

/// Counts what is left of a module after unrolling.
struct Unrolled<'a> {
    module: &'a Module,
    functions: HashMap<Handle<Function>, u64>,
    /// Lengths of the arrays that functions hold.
    arrays: HashSet<u64>,
}

impl Unrolled<'_> {
    fn function(&mut self, function: &Function) -> u64 {
        self.block(&function.body, function)
    }

    fn called(&mut self, handle: Handle<Function>) -> u64 {
        if let Some(count) = self.functions.get(&handle) {
            return *count;
        }
        let count = self.function(&self.module.functions[handle]);
        self.functions.insert(handle, count);
        count
    }

    fn block(&mut self, block: &Block, function: &Function) -> u64 {
        let mut count = 0u64;
        for statement in block {
            count += match statement {
                Statement::Emit(range) => range.clone().count() as u64,
                Statement::Block(inner) => self.block(inner, function),
                Statement::If { accept, reject, .. } => self.block(accept, function) + self.block(reject, function),
                Statement::Switch { cases, .. } => cases.iter().map(|case| self.block(&case.body, function)).sum(),
                Statement::Loop { body, continuing, .. } => {
                    let once = self.block(body, function) + self.block(continuing, function);
                    let (turns, all) = (self.turns(body, function), once.saturating_mul(self.turns(body, function)));
                    if all <= MOST_UNROLLED || self.arrays.contains(&turns) { all } else { once }
                }
                Statement::Call { function: callee, .. } => 1 + self.called(*callee),
                _ => 1,
            };
        }
        count
    }

    /// How often a loop goes round as far as its text says: `for (var i = 0; i < N; ...)` starts with a break unless i < N.
    fn turns(&self, body: &Block, function: &Function) -> u64 {
        let condition = body.iter().find_map(|statement| match statement {
            Statement::If { condition, reject, .. } if reject.iter().any(|s| matches!(s, Statement::Break)) => Some(*condition),
            _ => None,
        });
        let Some(Expression::Binary { op: BinaryOperator::Less, right, .. }) = condition.map(|c| &function.expressions[c]) else {
            return 1;
        };
        match function.expressions[*right] {
            Expression::Literal(Literal::U32(n)) => u64::from(n),
            Expression::Literal(Literal::I32(n)) => u64::try_from(n).unwrap_or(0),
            _ => 1,
        }
    }
}

/// Expressions after unrolling, and bytes of the largest array of a function.
fn length(kernel: &Kernel, caps: &Caps) -> (u64, u32) {
    let module = naga::front::wgsl::parse_str(&kernel.source()).expect("the contract test parses it, too");
    let mut capabilities = naga::valid::Capabilities::all();
    capabilities.set(naga::valid::Capabilities::SHADER_INT64, caps.shader_i64);
    let info = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities).validate(&module).expect("valid");
    let values = kernel.overrides.iter().map(|(name, value)| (name.to_string(), f64::from(*value))).collect();
    let (module, _) = naga::back::pipeline_constants::process_overrides(&module, &info, None, &values).expect("overrides");
    let functions = module.functions.iter().map(|(_, f)| f).chain([&module.entry_points[0].function]);
    let locals = functions.flat_map(|f| f.local_variables.iter().map(|(_, local)| local.ty));
    let (mut held, mut bytes) = (HashSet::new(), 0);
    for local in locals {
        let mut ty = local;
        while let naga::TypeInner::Array { base, size: naga::ArraySize::Constant(n), .. } = module.types[ty].inner {
            held.insert(u64::from(n.get()));
            bytes = bytes.max(module.types[local].inner.size(module.to_ctx()));
            ty = base;
        }
    }
    let mut unrolled = Unrolled { module: &module, functions: HashMap::new(), arrays: held };
    (unrolled.function(&module.entry_points[0].function), bytes)
}

fn square(kernel: i64, stride: i64, dilation: i64, axes: usize) -> SlidingWindow {
    SlidingWindow {
        kernel_shape: vec![kernel; axes],
        strides: vec![stride; axes],
        dilations: vec![dilation; axes],
        ..SlidingWindow::default()
    }
}

/// Rows of extreme attributes.
fn extremes() -> Vec<Case> {
    let mut random = Random::new(7);
    [windows(&mut random), rows_and_products(&mut random)].into_iter().flatten().collect()
}

/// Windows of 1 to 1,024 elements, strides and dilations to 256.
fn windows(random: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: String, op: Arc<dyn Op>, inputs: Vec<Tensor>, weights: &[usize]| {
        cases.push(Case::new(name, op, inputs).weights(weights));
    };
    let reach = |kernel: i64, dilation: i64| ((kernel - 1) * dilation + 1) as usize;
    for (kernel, stride, dilation) in [
        (1, 1, 1),
        (1, 256, 1),
        (3, 1, 256),
        (9, 1, 64),
        (31, 1, 1),
        (31, 3, 2),
        (128, 1, 1),
        (400, 160, 1),
        (1024, 1, 1),
        (1024, 256, 3),
    ] {
        let length = reach(kernel, dilation) + 3 * stride as usize + 5;
        for (channels, filters, group) in [(1, 9, 1), (3, 16, 1), (4, 4, 4), (8, 32, 1)] {
            let name = format!("{kernel} by {stride} apart {dilation}, {channels} to {filters} in {group}");
            let x = random.floats(&[1, channels, length]);
            let w = random.floats(&[filters, channels / group, kernel as usize]);
            add(format!("conv {name}"), conv(square(kernel, stride, dilation, 1), group as i64), vec![x, w], &[1]);
            let x = random.floats(&[1, channels, 9]);
            let w = random.floats(&[channels, filters / group, kernel as usize]);
            let op = conv_transpose(square(kernel, stride, dilation, 1), group as i64, vec![], vec![]);
            add(format!("conv transpose {name}"), op, vec![x, w], &[1]);
        }
        let x = random.floats(&[1, 2, length]);
        add(format!("max pool {kernel}"), max_pool(square(kernel, stride, dilation, 1), false, false), vec![x.clone()], &[]);
        add(format!("average pool {kernel}"), average_pool(square(kernel, stride, dilation, 1), false, false), vec![x], &[]);
    }
    for (kernel, dilation) in [(5, 16), (11, 1), (8, 1), (32, 1)] {
        let side = reach(kernel, dilation) + 6;
        for (channels, filters, group) in [(2, 8, 1), (4, 4, 4)] {
            let x = random.floats(&[1, channels, side, side]);
            let w = random.floats(&[filters, channels / group, kernel as usize, kernel as usize]);
            let name = format!("conv of squares of {kernel} apart {dilation}, {channels} to {filters}");
            add(name, conv(square(kernel, 1, dilation, 2), group as i64), vec![x, w], &[1]);
        }
    }
    cases
}

/// Rows, products and heads of any length.
fn rows_and_products(random: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: String, op: Arc<dyn Op>, inputs: Vec<Tensor>, weights: &[usize]| {
        cases.push(Case::new(name, op, inputs).weights(weights));
    };
    for columns in [1, 5, 1000, 4096, 65536] {
        let x = random.floats(&[3, columns]);
        add(format!("softmax of {columns}"), softmax(-1), vec![x.clone()], &[]);
        let scale = random.floats(&[columns]);
        add(format!("norm of {columns}"), layer_normalization(-1, 1e-5), vec![x, scale], &[1]);
    }
    for (rows, columns, k) in [(1, 4096, 64), (200, 300, 500), (64, 1, 3000), (5, 64, 64)] {
        let (a, b) = (random.floats(&[rows, k]), random.floats(&[k, columns]));
        add(format!("matmul {rows} x {k} x {columns}"), matmul(), vec![a.clone(), b.clone()], &[1]);
        add(format!("matmul {rows} x {k} x {columns} of inputs"), matmul(), vec![a, b], &[]);
    }
    for size in [1, 16, 80, 128, 256, 512, 1024] {
        for queries in [1, 40] {
            let q = random.floats(&[1, 2, queries, size]);
            let k = random.floats(&[1, 2, 48, size]);
            add(format!("attention of {queries} queries of {size}"), attention(Attention::new(0.1)), vec![q, k.clone(), k], &[]);
        }
        let op = LinearAttention { rule: UpdateRule::GatedDelta, query_heads: 8, heads: 2, scale: None };
        let [query, key] = [8, 2].map(|heads| random.floats(&[1, 3, heads * size]));
        let inputs = vec![query, key.clone(), key.clone(), random.floats(&[1, 2, size, size]), key, random.floats(&[1, 3, 2])];
        add(format!("linear attention of {size}"), linear_attention(op), inputs, &[]);
    }
    cases
}

#[test]
fn what_is_left_after_unrolling_is_bounded_whatever_the_attributes() {
    // A software adapter without 64-bit words and with narrow subgroups is one, too.
    let narrow = Caps { subgroup: Some(4), shader_i64: false, class: AdapterClass::Cpu, ..Caps::portable() };
    let mut lengths: HashMap<Kernel, (u64, u32)> = HashMap::new();
    let mut found = Vec::new();
    let mut longest = (0, 0);
    for caps in [Caps::portable(), Caps::software(), narrow] {
        for case in extremes() {
            let (made, _) = offered(&case, &caps).unwrap_or_else(|e| panic!("{}: {e}", case.name));
            for (choice, Offer { variant, lowering }) in made.into_iter().enumerate() {
                let software = caps.class == AdapterClass::Cpu && choice == 0;
                let most = if software { MOST_EXPRESSIONS } else { MOST_ON_GPUS };
                for dispatch in lowering.launches() {
                    let (count, bytes) = *lengths.entry(dispatch.kernel.clone()).or_insert_with(|| length(&dispatch.kernel, &caps));
                    longest = (count.max(longest.0), bytes.max(longest.1));
                    if count > most || bytes > MOST_ARRAY_BYTES {
                        let shader = dispatch.kernel.shader.name;
                        found.push(format!("{} ({variant}): {shader} has {count} expressions, arrays of {bytes} bytes", case.name));
                    }
                }
            }
        }
    }
    assert!(found.is_empty(), "{} kernels are too long, {longest:?}:\n{}", found.len(), found.join("\n"));
}
