//! Printing a program as a WGSL function: one statement per operand and instruction.

use super::load::Load;
use super::numbers::{declaration, statements};
use super::places::{Places, fours, runs};
use super::{Arguments, Instruction, Program, Signature, Term};
use crate::error::{Error, Result};
use crate::kernel::Access;
use crate::tensor::{DType, Scalar, TensorType, View};
use std::fmt::Write;

/// A printed function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// Its bindings, helpers and text, which are equal for all shapes of one structure.
    pub text: String,
    /// The contents of its uniform `numbers`, bound after its operands, in fours: the literals of the program, then extents and
    /// strides. A function with numbers needs the prelude `divide`.
    pub numbers: Vec<u32>,
}

impl Program {
    /// The WGSL function `epilogue(value: Float, index: u32) -> Float` and the bindings it reads, from `first_binding` on: the
    /// operands, then the uniform `numbers` where there are any.
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
    ) -> Result<Printed> {
        if self.instructions.is_empty() || output.elements() == 0 {
            let text = "fn epilogue(value: Float, index: u32) -> Float {\n    return value;\n}\n".into();
            return Ok(Printed { text, numbers: vec![] });
        }
        let access = vec![Access::Read; operands.len()];
        let types = Types { operands, scalars, output, access: &access };
        let function = self.function(&types, Some(output.dtype), first_binding, width)?;
        if function.result != "Float" {
            return Err(Error::unsupported(format!("an epilogue that makes {output}: expected a float of at most 32 bits")));
        }
        let Function { declarations, body, numbers, .. } = function;
        let text = format!("{declarations}fn epilogue(value: Float, index: u32) -> Float {{\n{body}}}\n");
        Ok(Printed { text, numbers })
    }

    /// The WGSL function `element(index: u32) -> Out`, the alias `Out` and the bindings it reads, from `first_binding` on: the
    /// operands, then the uniform `numbers` where there are any.
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
    ) -> Result<Printed> {
        let types = Types { operands, scalars, output, access };
        let Function { declarations, body, result, numbers } = self.function(&types, None, first_binding, width)?;
        let text = format!("{declarations}alias Out = {result};\nfn element(index: u32) -> Out {{\n{body}}}\n");
        Ok(Printed { text, numbers })
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

    /// What the two functions have in common.
    fn function(&self, types: &Types, carried: Option<DType>, first_binding: u32, width: u32) -> Result<Function> {
        let Types { operands, scalars, output, access } = *types;
        let dtypes: Vec<DType> = operands.iter().map(|o| o.dtype).collect();
        let results = self.dtypes(&dtypes, carried)?;
        let last = results.len().checked_sub(1).ok_or_else(|| Error::internal("a program without instructions"))?;
        if results[last] != output.dtype {
            return Err(Error::internal(format!("a program that makes {} for {output}", results[last])));
        }
        let literals = self.numbers(&dtypes, carried)?;
        let (mut declarations, mut body, mut places) =
            (String::new(), String::new(), Places::new(literals.len(), output.elements()));
        for (k, ((operand, scalar), access)) in operands.iter().zip(scalars).zip(access).enumerate() {
            let load = Load::new(k, &self.view(k, operand, output)?, *scalar, width, *access, &mut places)?;
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
        if !literals.is_empty() {
            body.push_str(&statements(self, &dtypes, carried)?);
        }
        let numbers = [literals, places.into_words()].concat();
        declarations.insert_str(0, &declaration(&numbers, first_binding as usize + operands.len()));
        let (mut literals, hidden) = (0, self.hidden(&dtypes, carried)?);
        for (k, ((instruction, result), hidden)) in self.instructions.iter().zip(&results).zip(&hidden).enumerate() {
            let arguments = self.argument_dtypes(instruction, &dtypes, carried, &results)?;
            let term = |(term, hidden): (&Term, &Option<usize>)| {
                let text = match *term {
                    Term::Carried => "carried".to_string(),
                    Term::Operand(i) => format!("x{i}"),
                    Term::Result(i) => format!("r{i}"),
                    Term::Literal(_) => {
                        literals += 1;
                        format!("n{literals}")
                    }
                };
                hidden.map_or(text.clone(), |zero| format!("hidden({text}, zero{zero})"))
            };
            let terms: Vec<String> = instruction.arguments.iter().zip(hidden).map(term).collect();
            let _ = writeln!(body, "    let r{k} = {};", expression(instruction, &terms, &arguments, *result)?);
        }
        let _ = writeln!(body, "    return r{last};");
        Ok(Function { declarations, body, result: alias(output.dtype)?, numbers })
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
    /// What stands in its uniform.
    numbers: Vec<u32>,
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
    // Narrow integers wrap and half floats are rounded after every instruction, as in the reference. A select yields one of its
    // arguments, and a cast rounds by itself.
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
