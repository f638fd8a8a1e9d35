//! What Rust and WGSL must agree on, compared by machine: naga parses and validates every kernel that a row of the case
//! table lowers to, and this file compares parameters, bindings, overrides and workgroup sizes with the Rust side.

use crate::cases::{self, Case};
use gristmill::internals::graph::{Epilogue, Fact, Graph, Io, Op};
use gristmill::internals::kernel::{Access, Caps, Declined, Dispatch, Kernel, Offer, Offers, Operand, preludes};
use gristmill::internals::ops::REGISTRY;
use gristmill::internals::passes::{Specialized, specialize};
use gristmill::internals::tensor::Scalar;
use gristmill::{DType, ErrorKind, Result};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a session assumes of 64-bit inputs before it has seen them.
const ASSUMED: i128 = 1 << 24;

/// What is known of a row's inputs when it is planned. An input whose value decides a shape gets its value.
fn facts(case: &Case) -> Result<(Vec<Option<Fact>>, Vec<Fact>)> {
    let fact = |(index, tensor): (usize, &Option<gristmill::Tensor>)| {
        let tensor = tensor.as_ref()?;
        let bounds = match tensor.dtype() {
            DType::I64 => Some((-ASSUMED, ASSUMED)),
            DType::U64 => Some((0, ASSUMED)),
            _ => None,
        };
        let known = case.weights.contains(&index);
        Some(if known { Fact::of(tensor.clone()) } else { Fact::new(tensor.dtype(), tensor.shape().clone()).bounded(bounds) })
    };
    let mut inputs: Vec<Option<Fact>> = case.inputs.iter().enumerate().map(fact).collect();
    // An operator on whole values has no types of its own.
    if case.op.flow().is_some() {
        return Ok((inputs, vec![]));
    }
    loop {
        let known: Vec<Option<&Fact>> = inputs.iter().map(Option::as_ref).collect();
        match case.op.infer(&known) {
            Ok(outputs) => return Ok((inputs, outputs)),
            Err(e) => match e.kind() {
                ErrorKind::NeedsValue(index) if inputs[index].as_ref().is_some_and(|f| f.value.is_none()) => {
                    inputs[index] = case.inputs[index].clone().map(Fact::of);
                }
                _ => return Err(e),
            },
        }
    }
}

/// An epilogue with an operand of the output's type: `max(value * operand, 0)`.
fn program() -> gristmill::internals::kernel::Program {
    use gristmill::internals::kernel::{Instruction, Program, ProgramOperand, Term};
    let function = |name| gristmill::internals::ops::elementwise::function(name).expect("a function of the table");
    Program {
        operands: vec![ProgramOperand::default()],
        instructions: vec![
            Instruction { function: function("Mul"), arguments: vec![Term::Carried, Term::Operand(0)], cast: None },
            Instruction { function: function("Relu"), arguments: vec![Term::Result(0)], cast: None },
        ],
    }
}

/// The variants that fit, the best first, and those that do not.
pub type Offered = (Vec<Offer>, Vec<Declined>);

/// What `lower` offers; nothing for a node that runs on the host, or for outputs without elements, which never reach it.
fn lower(op: &dyn Op, io: &Io, caps: &Caps) -> Result<Offered> {
    let empty = |k: usize| io.outputs[k].ty.elements() == 0 && io.outputs[k].scalar().is_some();
    if (0..io.outputs.len()).filter(|k| io.used[*k]).all(empty) {
        return Ok((vec![], vec![]));
    }
    let mut offers = Offers::new(caps);
    match op.lower(io, &mut offers) {
        Err(e) if e.kind() == ErrorKind::Unsupported => Ok((vec![], vec![])),
        Err(e) => Err(e),
        Ok(()) => offers.finish(),
    }
}

/// The nodes that a row's operator stands for, where it is composed of others.
fn composed(case: &Case, inputs: &[Option<Fact>]) -> Result<Graph> {
    let run_time = (0..inputs.len()).filter(|k| !case.weights.contains(k));
    let facts: Vec<Fact> = run_time.filter_map(|k| inputs[k].clone()).collect();
    match specialize(case.model().graph(), &facts)? {
        Specialized::Graph(graph) => Ok(graph),
        Specialized::Blocked { .. } | Specialized::Stage { .. } => Ok(Graph::default()),
    }
}

/// What a row's operator offers on an adapter, in place, and with and without an epilogue, and what the nodes offer that it stands for.
pub fn offered(case: &Case, caps: &Caps) -> Result<Offered> {
    let (inputs, outputs) = facts(case)?;
    let mut io = Io {
        inputs: inputs.iter().map(Option::as_ref).collect(),
        outputs: outputs.iter().collect(),
        used: (0..outputs.len()).map(|k| k < case.outputs).collect(),
        epilogue: None,
        in_place: false,
        joined: vec![],
    };
    let (mut made, mut declined) = (vec![], vec![]);
    let mut add = |(more, unfit): Offered| {
        made.extend(more);
        declined.extend(unfit);
    };
    add(lower(&*case.op, &io, caps)?);
    if case.op.updates(&io.inputs).is_some() {
        add(lower(&*case.op, &Io { in_place: true, ..io.clone() }, caps)?);
    }
    if case.op.joins().is_some() {
        add(lower(&*case.op, &Io { joined: vec![true; inputs.len()], ..io.clone() }, caps)?);
    }
    if case.op.takes_epilogue() && outputs[0].dtype() == DType::F32 {
        let program = program();
        io.epilogue = Some(Epilogue { program: &program, operands: vec![(&outputs[0], Operand::Epilogue(0))] });
        add(lower(&*case.op, &io, caps)?);
    }
    let graph = composed(case, &inputs)?;
    for node in graph.nodes().iter().filter(|n| n.op.name() != case.op.name()) {
        let inputs = graph.input_facts(node)?;
        let outputs = node.op.infer(&inputs)?;
        let used = (0..outputs.len()).map(|k| node.outputs.get(k).is_some_and(Option::is_some)).collect();
        add(lower(
            &*node.op,
            &Io { inputs, outputs: outputs.iter().collect(), used, epilogue: None, in_place: false, joined: vec![] },
            caps,
        )?);
    }
    Ok((made, declined))
}

/// The scalar type and number of scalars of a parameter, as WGSL has them.
fn parameter(module: &naga::Module, ty: naga::Handle<naga::Type>) -> Option<(Scalar, usize)> {
    let scalar = |s: naga::Scalar| match s {
        naga::Scalar::U32 => Some(Scalar::U32),
        naga::Scalar::I32 => Some(Scalar::I32),
        naga::Scalar::F32 => Some(Scalar::F32),
        _ => None,
    };
    match &module.types[ty].inner {
        naga::TypeInner::Scalar(s) => Some((scalar(*s)?, 1)),
        naga::TypeInner::Vector { size: naga::VectorSize::Quad, scalar: s } => Some((scalar(*s)?, 4)),
        naga::TypeInner::Array { base, size: naga::ArraySize::Constant(n), .. } => match module.types[*base].inner {
            naga::TypeInner::Vector { size: naga::VectorSize::Quad, scalar: s } => Some((scalar(s)?, 4 * n.get() as usize)),
            _ => None,
        },
        _ => None,
    }
}

/// `struct Params` against the field table of the shader; returns its size in bytes.
fn check_parameters(kernel: &Kernel, module: &naga::Module, ty: naga::Handle<naga::Type>, found: &mut Vec<String>) -> usize {
    let naga::TypeInner::Struct { members, span } = &module.types[ty].inner else {
        found.push("binding 0 is no struct".into());
        return 0;
    };
    let wgsl: Vec<String> = members
        .iter()
        .map(|m| match parameter(module, m.ty) {
            Some((scalar, count)) => format!("{} {scalar:?} x{count} at {}", m.name.as_deref().unwrap_or(""), m.offset),
            None => format!("{} of a type that parameters do not have", m.name.as_deref().unwrap_or("")),
        })
        .collect();
    let rust: Vec<String> =
        kernel.shader.params.iter().map(|f| format!("{} {:?} x{} at {}", f.name, f.scalar, f.count, f.offset)).collect();
    if wgsl != rust {
        found.push(format!("struct Params holds {wgsl:?}, in Rust {rust:?}"));
    }
    *span as usize
}

/// How a kernel uses a storage texture, if that is what it is.
fn texture(ty: &naga::TypeInner) -> Option<Access> {
    let naga::TypeInner::Image {
        dim: naga::ImageDimension::D2,
        arrayed: false,
        class: naga::ImageClass::Storage { format: naga::StorageFormat::Rgba32Float, access },
    } = ty
    else {
        return None;
    };
    match (access.contains(naga::StorageAccess::LOAD), access.contains(naga::StorageAccess::STORE)) {
        (true, false) => Some(Access::ReadTexture),
        (false, true) => Some(Access::WriteTexture),
        _ => None,
    }
}

/// Bindings of the module against those that the kernel declares; returns the size of the parameters in bytes.
fn check_bindings(kernel: &Kernel, module: &naga::Module, found: &mut Vec<String>) -> usize {
    let mut bytes = 0;
    let mut storage: HashMap<u32, Access> = HashMap::new();
    for (_, variable) in module.global_variables.iter() {
        let name = variable.name.as_deref().unwrap_or("");
        match (&variable.binding, variable.space) {
            (Some(b), _) if b.group != 0 => found.push(format!("`{name}` is bound to group {}", b.group)),
            (Some(b), naga::AddressSpace::Uniform) if name == "numbers" => {
                let four = naga::TypeInner::Vector { size: naga::VectorSize::Quad, scalar: naga::Scalar::U32 };
                let is_four = |base| module.types[base].inner == four;
                if !matches!(module.types[variable.ty].inner, naga::TypeInner::Array { base, .. } if is_four(base)) {
                    found.push("`numbers` is no array of groups of four".into());
                }
                if storage.insert(b.binding, Access::Numbers).is_some() {
                    found.push(format!("two variables stand at binding {}", b.binding));
                }
            }
            (Some(b), naga::AddressSpace::Uniform) => {
                if b.binding != 0 || name != "params" {
                    found.push(format!("the uniform `{name}` stands at binding {}, expected `params` at 0", b.binding));
                }
                bytes = check_parameters(kernel, module, variable.ty, found);
            }
            (Some(b), naga::AddressSpace::Storage { access }) => {
                let access = if access.contains(naga::StorageAccess::STORE) { Access::Write } else { Access::Read };
                if storage.insert(b.binding, access).is_some() {
                    found.push(format!("two variables stand at binding {}", b.binding));
                }
            }
            (Some(b), naga::AddressSpace::Handle) => match texture(&module.types[variable.ty].inner) {
                Some(access) if storage.insert(b.binding, access).is_none() => {}
                Some(_) => found.push(format!("two variables stand at binding {}", b.binding)),
                None => found.push(format!("`{name}` is a handle other than a storage texture of four floats")),
            },
            _ => {}
        }
    }
    let wgsl: Vec<Option<Access>> = (1..=storage.len() as u32).map(|b| storage.get(&b).copied()).collect();
    let rust: Vec<Option<Access>> = kernel.storage.iter().copied().map(Some).collect();
    if wgsl != rust {
        found.push(format!("storage bindings are {wgsl:?}, in Rust {rust:?}"));
    }
    bytes
}

/// What differs between a kernel's text and its description, and the size of its parameters in bytes.
fn check(kernel: &Kernel, caps: &Caps) -> (Vec<String>, usize) {
    let source = kernel.source();
    let module = match naga::front::wgsl::parse_str(&source) {
        Ok(module) => module,
        Err(e) => return (vec![e.emit_to_string(&source)], 0),
    };
    let mut capabilities = Capabilities::empty();
    capabilities.set(Capabilities::SUBGROUP, caps.subgroup.is_some());
    capabilities.set(Capabilities::SHADER_INT64, caps.shader_i64);
    capabilities.set(Capabilities::SHADER_FLOAT16, caps.shader_f16);
    // Conversions of packed halves, which WebGPU has everywhere.
    capabilities.set(Capabilities::SHADER_FLOAT16_IN_FLOAT32, true);
    let mut validator = Validator::new(ValidationFlags::all(), capabilities);
    let info = match validator.validate(&module) {
        Ok(info) => info,
        Err(e) => return (vec![e.emit_to_string(&source)], 0),
    };
    let mut found = Vec::new();
    let bytes = check_bindings(kernel, &module, &mut found);

    let declared: BTreeSet<&str> = module.overrides.iter().filter_map(|(_, o)| o.name.as_deref()).collect();
    let set: BTreeSet<&str> = kernel.overrides.iter().map(|(name, _)| *name).collect();
    if declared != set {
        found.push(format!("overrides are {declared:?}, in Rust {set:?}"));
        return (found, bytes);
    }
    let [entry] = module.entry_points.as_slice() else {
        found.push(format!("expected one entry point, found {}", module.entry_points.len()));
        return (found, bytes);
    };
    if entry.name != "main" || entry.stage != naga::ShaderStage::Compute {
        found.push(format!("expected the compute entry point `main`, found `{}`", entry.name));
    }
    let values = kernel.overrides.iter().map(|(name, value)| (name.to_string(), f64::from(*value))).collect();
    let (module, _) = match naga::back::pipeline_constants::process_overrides(&module, &info, None, &values) {
        Ok(processed) => processed,
        Err(e) => {
            found.push(e.to_string());
            return (found, bytes);
        }
    };
    let [x, y, z] = module.entry_points[0].workgroup_size;
    if [x, y, z] != kernel.workgroup {
        found.push(format!("the workgroup is {:?}, in Rust {:?}", [x, y, z], kernel.workgroup));
    }
    if x * y * z > caps.max_invocations || [x, y, z].iter().zip(caps.max_workgroup).any(|(found, most)| *found > most) {
        let (most, each) = (caps.max_invocations, caps.max_workgroup);
        found.push(format!("a workgroup of {:?} exceeds {most} invocations, or {each:?}", [x, y, z]));
    }
    let shared = module.global_variables.iter().filter(|(_, v)| v.space == naga::AddressSpace::WorkGroup);
    let shared: u32 = shared.map(|(_, v)| module.types[v.ty].inner.size(module.to_ctx()).next_multiple_of(16)).sum();
    if kernel.workgroup_bytes() != Some(u64::from(shared)) {
        found.push(format!("it takes {shared} bytes of workgroup memory, in Rust {:?}", kernel.workgroup_bytes()));
    }
    if shared > caps.max_workgroup_storage {
        found.push(format!("{shared} bytes of workgroup memory exceed {}", caps.max_workgroup_storage));
    }
    (found, bytes)
}

/// What is wrong with a launch, apart from its kernel.
fn check_dispatch(dispatch: &Dispatch, parameter_bytes: usize, caps: &Caps) -> Vec<String> {
    let mut found = Vec::new();
    let Dispatch { kernel, params, bindings, grid, .. } = dispatch;
    if !(params.len()..params.len() + 16).contains(&parameter_bytes) {
        found.push(format!("parameters have {} bytes, in WGSL {parameter_bytes}", params.len()));
    }
    if bindings.len() != kernel.storage.len() {
        found.push(format!("{} bindings for {} storage variables", bindings.len(), kernel.storage.len()));
    }
    let textures = kernel.storage.iter().filter(|access| access.is_texture()).count();
    let buffers = kernel.storage.iter().filter(|access| access.is_storage()).count();
    // WebGPU's default maxStorageTexturesPerShaderStage is 4.
    if buffers > caps.max_storage_buffers as usize || textures > 4 {
        let limit = caps.max_storage_buffers;
        found.push(format!("{} bindings, {textures} of them textures, exceed {limit} buffers and 4 textures", bindings.len()));
    }
    let declared = format!("var<uniform> numbers: array<vec4<u32>, {}>;", dispatch.numbers.len() / 4);
    let stands = kernel.generated.as_ref().is_some_and(|text| text.contains(&declared));
    if bindings.contains(&Operand::Numbers) != stands || bindings.iter().rev().skip(1).any(|b| *b == Operand::Numbers) {
        found.push(format!("{} numbers for another array of them, or not bound last", dispatch.numbers.len()));
    }
    let written = bindings.iter().zip(&kernel.storage).filter(|(_, a)| a.writes()).map(|(b, _)| b);
    for operand in written {
        if bindings.iter().filter(|b| *b == operand).count() > 1 {
            found.push(format!("{operand:?} is written and bound twice"));
        }
        if matches!(operand, Operand::Input(_) | Operand::Epilogue(_) | Operand::Packed(_) | Operand::Table(_) | Operand::Nothing) {
            found.push(format!("{operand:?} is written"));
        }
    }
    if grid.contains(&0) || grid.iter().any(|g| *g > caps.max_grid) {
        found.push(format!("the grid {grid:?} is outside 1..={}", caps.max_grid));
    }
    found
}

fn adapters() -> [Caps; 2] {
    [Caps::portable(), Caps::software()]
}

/// Every dispatch of every row on both kinds of adapter, with the row's name.
pub fn dispatches() -> Vec<(String, Caps, Dispatch)> {
    let mut all = Vec::new();
    for caps in adapters() {
        for case in cases::all() {
            let (made, _) = offered(&case, &caps).unwrap_or_else(|e| panic!("{}: {e}", case.name));
            for Offer { variant, lowering } in made {
                let row = format!("{} ({variant}, {})", case.name, caps.name);
                all.extend(lowering.launches().iter().map(|dispatch| (row.clone(), caps.clone(), dispatch.clone())));
            }
        }
    }
    all
}

#[test]
fn kernels_match_their_descriptions() {
    let mut checked: HashMap<(String, Kernel), usize> = HashMap::new();
    let mut seen: HashSet<String> = HashSet::new();
    let mut found = Vec::new();
    for (row, caps, dispatch) in dispatches() {
        let key = (caps.name.clone(), dispatch.kernel.clone());
        let bytes = *checked.entry(key).or_insert_with(|| {
            let result = catch_unwind(AssertUnwindSafe(|| check(&dispatch.kernel, &caps)));
            let (differences, bytes) = result.unwrap_or_else(|_| (vec!["naga panicked".into()], 0));
            found.extend(differences.into_iter().map(|d| format!("{} of {row}: {d}", dispatch.kernel.shader.name)));
            bytes
        });
        let differences = if bytes == 0 && !found.is_empty() { vec![] } else { check_dispatch(&dispatch, bytes, &caps) };
        for difference in differences {
            if seen.insert(format!("{}{difference}", dispatch.kernel.shader.name)) {
                found.push(format!("{} of {row}: {difference}", dispatch.kernel.shader.name));
            }
        }
    }
    assert!(found.is_empty(), "{} differences in {} kernels:\n{}", found.len(), checked.len(), found.join("\n"));
}

#[test]
fn every_shader_is_registered_and_has_rows() {
    let registered: BTreeSet<&str> = REGISTRY.iter().flat_map(|r| r.shaders).map(|s| s.name).collect();
    let files = |folders: [&str; 2]| -> BTreeSet<String> {
        let files = folders.iter().flat_map(|folder| crate::shader_texts::files(folder));
        files.filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned())).collect()
    };
    let used = dispatches();
    let shaders: BTreeSet<&str> = used.iter().map(|(_, _, d)| d.kernel.shader.name).collect();
    let joined: BTreeSet<&str> = used.iter().flat_map(|(_, _, d)| d.kernel.preludes.iter().map(|p| p.name)).collect();
    let listed: BTreeSet<&str> = preludes::ALL.iter().map(|p| p.name).collect();
    assert_eq!(
        files(["shaders", "shaders/software"]).iter().map(String::as_str).collect::<BTreeSet<_>>(),
        registered,
        "files against the registry"
    );
    assert_eq!(
        files(["shaders/lib", "shaders/lib/software"]).iter().map(String::as_str).collect::<BTreeSet<_>>(),
        listed,
        "files against the list of preludes"
    );
    assert_eq!(shaders, registered, "shaders of the case table against the registry");
    assert_eq!(joined, listed, "preludes of the case table against the list");
}

/// Operators that a pass writes something in place of, whose tests are `tests/training`.
const WRITTEN: &[&str] = &["Gradient", "Variable"];

#[test]
fn every_operator_has_rows() {
    let mut rows: BTreeSet<&str> = BTreeSet::new();
    for case in cases::all() {
        rows.insert(case.op.name());
        rows.extend(&case.within);
        let (inputs, _) = facts(&case).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let graph = composed(&case, &inputs).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        rows.extend(graph.nodes().iter().map(|n| n.op.name()));
    }
    let registered = REGISTRY.iter().flat_map(|r| r.operators).copied();
    let without: Vec<&str> = registered.filter(|name| !rows.contains(name) && !WRITTEN.contains(name)).collect();
    assert!(without.is_empty(), "operators without a row in tests/cases: {without:?}");
}

#[test]
fn names_of_rows_are_unique() {
    let mut names = HashSet::new();
    let twice: Vec<String> = cases::all().into_iter().map(|c| c.name).filter(|n| !names.insert(n.clone())).collect();
    assert!(twice.is_empty(), "rows with one name: {twice:?}");
}
