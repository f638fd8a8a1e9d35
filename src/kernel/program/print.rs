//! Printing a program as a WGSL function: one statement per operand and instruction.

use super::numbers::{declaration, hidden, statements};
use super::{Arguments, Instruction, Program, Signature, Term};
use crate::error::{Error, Result};
use crate::kernel::Access;
use crate::tensor::{DType, Scalar, TensorType, View};
use std::fmt::Write;

impl Program {
    /// The WGSL function `epilogue(value: Float, index: u32) -> Float` and the bindings it reads, from `first_binding` on: the
    /// operands, then [`numbers`](Program::numbers) where there are any.
    ///
    /// `index` counts groups of `width` neighbouring elements of `output`, whose dtype the carried value shares.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when the result is no f32 or a function has no WGSL for its dtypes.
    pub fn epilogue_wgsl(
        &self,
        operands: &[TensorType],
        scalars: &[Scalar],
        output: &TensorType,
        first_binding: u32,
        width: u32,
    ) -> Result<String> {
        if self.instructions.is_empty() || output.elements() == 0 {
            return Ok("fn epilogue(value: Float, index: u32) -> Float {\n    return value;\n}\n".into());
        }
        let access = vec![Access::Read; operands.len()];
        let types = Types { operands, scalars, output, access: &access };
        let function = self.function(&types, Some(output.dtype), first_binding, width)?;
        if function.result != "Float" {
            return Err(Error::unsupported(format!("an epilogue that makes {output}: expected a float of at most 32 bits")));
        }
        let Function { declarations, body, .. } = function;
        Ok(format!("{declarations}fn epilogue(value: Float, index: u32) -> Float {{\n{body}}}\n"))
    }

    /// The WGSL function `element(index: u32) -> Out`, the alias `Out` and the bindings it reads, from `first_binding` on: the
    /// operands, then [`numbers`](Program::numbers) where there are any.
    ///
    /// `index` counts groups of `width` neighbouring elements of `output`. Operands that `access` says to be textures are read
    /// from those; each of them must be read [in fours](Program::reads_fours), and the kernel wants the prelude `texels`.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when a function has no WGSL for its dtypes.
    pub fn element_wgsl(
        &self,
        operands: &[TensorType],
        scalars: &[Scalar],
        output: &TensorType,
        access: &[Access],
        first_binding: u32,
        width: u32,
    ) -> Result<String> {
        let types = Types { operands, scalars, output, access };
        let Function { declarations, body, result } = self.function(&types, None, first_binding, width)?;
        Ok(format!("{declarations}alias Out = {result};\nfn element(index: u32) -> Out {{\n{body}}}\n"))
    }

    /// Whether a kernel of width 4 reads operand `k`, a tensor of this type, as whole groups of four neighbours.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) when the operand does not broadcast to the output.
    pub fn reads_fours(&self, k: usize, operand: &TensorType, output: &TensorType) -> Result<bool> {
        let view = self.view(k, operand, output)?;
        Ok(fours(&runs(&view), view.offset))
    }

    /// How operand `k` is walked in the order of the output.
    fn view(&self, k: usize, operand: &TensorType, output: &TensorType) -> Result<View> {
        let own = self.operands.get(k).and_then(|o| o.view.clone()).unwrap_or_else(|| View::contiguous(&operand.shape));
        own.broadcast(&output.shape).ok_or_else(|| Error::internal(format!("{} does not broadcast to {output}", own.shape)))
    }

    /// What both functions share.
    fn function(&self, types: &Types, carried: Option<DType>, first_binding: u32, width: u32) -> Result<Function> {
        let Types { operands, scalars, output, access } = *types;
        let dtypes: Vec<DType> = operands.iter().map(|o| o.dtype).collect();
        let results = self.dtypes(&dtypes, carried)?;
        let last = results.len().checked_sub(1).ok_or_else(|| Error::internal("a program without instructions"))?;
        if results[last] != output.dtype {
            return Err(Error::internal(format!("a program that makes {} for {output}", results[last])));
        }
        let (mut declarations, mut body) = (String::new(), String::new());
        for (k, ((operand, scalar), access)) in operands.iter().zip(scalars).zip(access).enumerate() {
            let load = Load::new(k, &self.view(k, operand, output)?, *scalar, width, *access)?;
            let binding = first_binding as usize + k;
            let _ = writeln!(declarations, "@group(0) @binding({binding}) {};", load.variable);
            declarations.push_str(&load.helper);
            let _ = writeln!(body, "    let x{k} = {};", load.expression);
        }
        if carried.is_some() {
            let value = match output.dtype {
                DType::F16 => "round_f16(value)",
                DType::BF16 => "round_bf16(value)",
                _ => "value",
            };
            let _ = writeln!(body, "    let carried = {value};");
        }
        let numbers = self.numbers(&dtypes, carried)?;
        if !numbers.is_empty() {
            declarations.push_str(&declaration(&numbers, first_binding as usize + operands.len()));
            body.push_str(&statements(self, &dtypes, carried)?);
        }
        let mut literals = 0;
        for (k, ((instruction, result), roots)) in self.instructions.iter().zip(&results).zip(self.roots()).enumerate() {
            let arguments = self.argument_dtypes(instruction, &dtypes, carried, &results)?;
            let hidden = hidden(instruction, &roots, &arguments);
            let term = |(term, hidden): (&Term, bool)| {
                let text = match *term {
                    Term::Carried => "carried".to_string(),
                    Term::Operand(i) => format!("x{i}"),
                    Term::Result(i) => format!("r{i}"),
                    Term::Literal(_) => {
                        literals += 1;
                        format!("n{literals}")
                    }
                };
                if hidden { format!("hidden({text}, zero)") } else { text }
            };
            let terms: Vec<String> = instruction.arguments.iter().zip(hidden).map(term).collect();
            let _ = writeln!(body, "    let r{k} = {};", expression(instruction, &terms, &arguments, *result)?);
        }
        let _ = writeln!(body, "    return r{last};");
        Ok(Function { declarations, body, result: alias(output.dtype)? })
    }
}

/// The parts of a printed function.
struct Function {
    /// Bindings and helpers that stand before it.
    declarations: String,
    /// Its statements.
    body: String,
    /// The type it returns.
    result: &'static str,
}

/// The WGSL type that holds values of a dtype: an alias of the width prelude.
fn alias(dtype: DType) -> Result<&'static str> {
    Ok(match dtype {
        DType::F32 | DType::F16 | DType::BF16 => "Float",
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => "Int",
        DType::U8 | DType::U16 | DType::U32 | DType::U64 | DType::Bool => "Uint",
        DType::F64 => return Err(Error::unsupported("arithmetic in f64 is done on the host")),
    })
}

fn expression(instruction: &Instruction, terms: &[String], dtypes: &[DType], result: DType) -> Result<String> {
    let function = instruction.function;
    let known: Vec<Option<f64>> = instruction.arguments.iter().map(Term::literal).collect();
    alias(result)?;
    let text = (function.wgsl)(&Arguments { terms, known: &known, dtypes, result });
    let text = text.ok_or_else(|| Error::unsupported(format!("{} of {} has no GPU form", function.name, dtypes[0])))?;
    // Narrow integers wrap and half floats are rounded after every instruction, as in the reference. A choice makes
    // nothing new, and a cast rounds for itself.
    Ok(match (function.signature, result) {
        (Signature::Select, _) => text,
        (_, DType::I8) => format!("extractBits({text}, 0u, 8u)"),
        (_, DType::I16) => format!("extractBits({text}, 0u, 16u)"),
        (_, DType::U8) => format!("({text}) & Uint(255u)"),
        (_, DType::U16) => format!("({text}) & Uint(65535u)"),
        (Signature::Cast, _) => text,
        (_, DType::F16) => format!("round_f16({text})"),
        (_, DType::BF16) => format!("round_bf16({text})"),
        _ => text,
    })
}

/// What a program is printed for.
struct Types<'a> {
    operands: &'a [TensorType],
    /// How storage holds them.
    scalars: &'a [Scalar],
    output: &'a TensorType,
    /// How they are bound.
    access: &'a [Access],
}

/// How a function reads one operand.
struct Load {
    /// The binding.
    variable: String,
    /// A function that `expression` calls, if any.
    helper: String,
    /// The value at `index`.
    expression: String,
}

impl Load {
    fn new(k: usize, view: &View, scalar: Scalar, width: u32, access: Access) -> Result<Self> {
        let mut runs = runs(view);
        let name = format!("operand{k}");
        let ty = scalar.wgsl();
        let alias = match scalar {
            Scalar::F32 => "Float",
            Scalar::I32 => "Int",
            Scalar::U32 => "Uint",
        };
        let array = |element: &str| format!("var<storage, read> {name}: array<{element}>");
        let plain = |expression| Load { variable: array(ty), helper: String::new(), expression };
        let w = i64::from(width);
        let (extent, stride) = runs.last().copied().unwrap_or((w, 0));
        if access.is_texture() && (width != 4 || scalar != Scalar::F32 || !fours(&runs, view.offset)) {
            return Err(Error::internal(format!("{name} is no array of groups of four floats, and bound as a texture")));
        }
        if width == 1 {
            return Ok(plain(format!("{name}[{}]", position(&runs, view.offset, "index"))));
        }
        if extent % w != 0 {
            let each: Vec<String> = (0..width).map(|j| format!("{name}[position{k}(index * {width}u + {j}u)]")).collect();
            let helper =
                format!("fn position{k}(index: u32) -> u32 {{\n    return {};\n}}\n", position(&runs, view.offset, "index"));
            return Ok(Load { helper, ..plain(format!("{alias}({})", each.join(", "))) });
        }
        // Four neighbours never leave the innermost run, so `index` walks it in steps of four elements.
        let in_fours = fours(&runs, view.offset);
        if let Some(last) = runs.last_mut() {
            *last = (extent / w, stride * w);
        }
        if stride == 0 {
            return Ok(plain(format!("{alias}({name}[{}])", position(&runs, view.offset, "index"))));
        }
        if !in_fours {
            let helper =
                format!("fn position{k}(index: u32) -> u32 {{\n    return {};\n}}\n", position(&runs, view.offset, "index"));
            let each: Vec<String> = (0..w).map(|j| format!("{name}[position{k}(index){}]", plus(stride * j))).collect();
            return Ok(Load { helper, ..plain(format!("{alias}({})", each.join(", "))) });
        }
        runs.iter_mut().for_each(|(_, s)| *s /= w);
        let at = position(&runs, view.offset / w, "index");
        Ok(match scalar {
            Scalar::F32 if access.is_texture() => Load {
                variable: format!("var {name}: texture_storage_2d<rgba32float, read>"),
                ..plain(format!("textureLoad({name}, texel({at}))"))
            },
            Scalar::F32 => Load { variable: array("Stored"), ..plain(format!("floats({name}[{at}])")) },
            Scalar::I32 | Scalar::U32 => Load { variable: array(&format!("vec{width}<{ty}>")), ..plain(format!("{name}[{at}]")) },
        })
    }
}

/// Whether four neighbours of the output are four neighbours of an operand that is walked so, and start at a multiple of four.
fn fours(runs: &[(i64, i64)], offset: i64) -> bool {
    let Some((&(extent, stride), outer)) = runs.split_last() else { return false };
    extent % 4 == 0 && stride == 1 && offset % 4 == 0 && outer.iter().all(|(_, s)| s % 4 == 0)
}

/// The axes of a view from the outermost in, as (extent, stride), joined where they are walked without a gap.
fn runs(view: &View) -> Vec<(i64, i64)> {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for (&d, &s) in view.shape.iter().zip(&view.strides).filter(|(d, _)| **d != 1) {
        let d = d as i64;
        match runs.last_mut() {
            Some((extent, stride)) if *stride == s * d => {
                *extent *= d;
                *stride = s;
            }
            _ => runs.push((d, s)),
        }
    }
    runs
}

/// The expression of an element's position: each run's digit of `index` times its stride. Indices are u32 and wrap, so
/// that a negative stride or an offset past the start is a subtraction.
fn position(runs: &[(i64, i64)], offset: i64, index: &str) -> String {
    let mut text = String::new();
    let mut inner = runs.iter().map(|(d, _)| d).product::<i64>();
    for (k, &(extent, stride)) in runs.iter().enumerate() {
        inner /= extent;
        if stride == 0 {
            continue;
        }
        let mut digit = index.to_string();
        if inner > 1 {
            let _ = write!(digit, " / {inner}u");
        }
        // The outermost digit is what is left, without a remainder.
        if k > 0 {
            let _ = write!(digit, " % {extent}u");
        }
        if stride.abs() > 1 {
            let _ = write!(digit, " * {}u", stride.abs());
        }
        match (text.is_empty(), stride < 0) {
            (true, false) => text = digit,
            (true, true) => {
                let _ = write!(text, "0u - {digit}");
            }
            (false, negative) => {
                let _ = write!(text, " {} {digit}", if negative { '-' } else { '+' });
            }
        }
    }
    if text.is_empty() {
        return format!("{offset}u");
    }
    text + &plus(offset)
}

/// The text that adds a constant.
fn plus(n: i64) -> String {
    match n {
        0 => String::new(),
        1.. => format!(" + {n}u"),
        _ => format!(" - {}u", -n),
    }
}
