//! Every function of the scalar tables at signed zeros, infinities, NaN and the ends of the range: the references against what numpy and
//! the C library compute (`tests/specials/make.py` writes `values.txt`), the GPU against the references.

use crate::support::gpu;
use gristmill::internals::graph::{Builder, Dim, Op};
use gristmill::internals::kernel::{Access, Instruction, Program, ProgramOperand, Signature, Term};
use gristmill::internals::ops::elementwise::{Map, all, cast, function};
use gristmill::internals::tensor::Scalar;
use gristmill::{DType, Model, Options, Session, Tensor, TensorType};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A line of the file: a function, its parameters, and the bits of its results; `None` where they are not compared.
struct Line {
    name: String,
    parameters: Vec<f64>,
    results: Vec<Option<f32>>,
}

fn lines() -> Vec<Line> {
    let number = |word: &str| f32::from_bits(u32::from_str_radix(word, 16).expect("eight hexadecimal digits"));
    let line = |text: &str| {
        let (head, results) = text.split_once(" : ").expect("a colon");
        let mut head = head.split(' ');
        Line {
            name: head.next().expect("a name").into(),
            parameters: head.map(|word| number(word).into()).collect(),
            results: results.split(' ').map(|word| (word != "-").then(|| number(word))).collect(),
        }
    };
    include_str!("specials/values.txt").lines().map(line).collect()
}

/// The values that the functions are applied to.
fn values() -> Vec<f32> {
    lines()[0].results.iter().flatten().copied().collect()
}

/// NaN for NaN, infinities and exact zeros with their signs, numbers nearly; what is no normal number may be flushed to zero.
fn same(found: f32, expected: f32) -> bool {
    if expected == 0.0 {
        return found.to_bits() == expected.to_bits();
    }
    let near = || (found - expected).abs() <= 2e-5 * expected.abs() + 2e-7;
    (found.is_nan() && expected.is_nan()) || found == expected || (expected.is_finite() && near())
}

/// The differences of a function's results, as text.
fn differences(label: &str, arguments: &[Tensor], found: &Tensor, expected: &[Option<f32>]) -> Vec<String> {
    let found = found.to_f64();
    let at = |k: usize| arguments.iter().map(|t| format!("{:?}", t.to_f64()[k] as f32)).collect::<Vec<_>>().join(", ");
    let compared = expected.iter().enumerate().filter_map(|(k, e)| Some((k, (*e)?)));
    let wrong = compared.filter(|(k, e)| !same(found[*k] as f32, *e));
    wrong.map(|(k, e)| format!("{label}({}) is {:?}, expected {e:?}", at(k), found[k] as f32)).collect()
}

/// The two sides of all pairs, the first outermost.
fn pairs(x: &[f32]) -> [Vec<f32>; 2] {
    let first = x.iter().flat_map(|a| std::iter::repeat_n(*a, x.len())).collect();
    [first, x.iter().cycle().take(x.len() * x.len()).copied().collect()]
}

fn program(operands: usize, instructions: Vec<Instruction>) -> Arc<dyn Op> {
    Arc::new(Map { program: Program { operands: vec![ProgramOperand::default(); operands], instructions } })
}

fn instruction(name: &str, arguments: &[Term]) -> Instruction {
    let function = function(name).unwrap_or_else(|| panic!("there is no function {name}"));
    Instruction { function, arguments: arguments.to_vec(), cast: None }
}

/// The operator of a line, and its arguments.
fn operator(line: &Line) -> (Arc<dyn Op>, Vec<Tensor>) {
    let x = values();
    match line.name.as_str() {
        "Cast_f16" => return (cast(DType::F16).expect("a cast"), vec![Tensor::vector(&x)]),
        "Cast_bf16" => return (cast(DType::BF16).expect("a cast"), vec![Tensor::vector(&x)]),
        "Cast_bool" => return (cast(DType::Bool).expect("a cast"), vec![Tensor::vector(&x)]),
        _ => {}
    }
    let operands = if line.results.len() > x.len() { 2 } else { 1 };
    let terms: Vec<Term> = (0..operands).map(Term::Operand).chain(line.parameters.iter().map(|p| Term::Literal(*p))).collect();
    let arguments = if operands == 1 { vec![x] } else { pairs(&x).to_vec() };
    (program(operands, vec![instruction(&line.name, &terms)]), arguments.iter().map(|a| Tensor::vector(a)).collect())
}

/// The first `count` elements of vectors.
fn first(tensors: &[Tensor], count: usize) -> Vec<Tensor> {
    tensors.iter().map(|t| Tensor::vector(&t.as_slice::<f32>().expect("floats")[..count])).collect()
}

/// What the GPU makes of an operator; the passes, which may fold and rewrite, have seen its graph.
fn on_gpu(op: &Arc<dyn Op>, arguments: &[Tensor]) -> Tensor {
    let mut b = Builder::new("specials");
    let inputs = (0..arguments.len()).map(|k| Some(b.input(&format!("x{k}"), DType::F32, &[Dim::Unknown]))).collect::<Vec<_>>();
    let y = b.node("y", op.clone(), &inputs);
    b.output("y", y).expect("the name is free");
    let model = Model::from_graph(b.finish().expect("a valid graph"));
    let session = Session::new_blocking(gpu(), &model, Options::default()).expect("a session");
    let names: Vec<String> = (0..arguments.len()).map(|k| format!("x{k}")).collect();
    let views: Vec<_> = names.iter().zip(arguments).map(|(name, t)| (name.as_str(), t.view())).collect();
    session.run_blocking(&views).expect("it runs")["y"].clone()
}

fn reference(op: &Arc<dyn Op>, arguments: &[Tensor]) -> Tensor {
    op.reference(&arguments.iter().map(Some).collect::<Vec<_>>()).expect("it has a reference").remove(0)
}

#[test]
fn every_float_function_has_its_special_values_written_down() {
    let listed: BTreeSet<String> = lines().into_iter().map(|line| line.name.split('_').next().unwrap_or("").into()).collect();
    let floats = all().filter(|f| f.float.is_some() && f.signature != Signature::Select);
    let missing: Vec<&str> = floats.map(|f| f.name).filter(|name| !listed.contains(*name)).collect();
    assert!(missing.is_empty(), "functions without a line in tests/specials/values.txt: {missing:?}");
}

#[test]
fn references_hold_special_values() {
    let check = |line: &Line| {
        let (op, arguments) = operator(line);
        differences(&line.name, &arguments, &reference(&op, &arguments), &line.results)
    };
    let wrong: Vec<String> = lines()[1..].iter().flat_map(check).collect();
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn kernels_hold_special_values() {
    let mut wrong = Vec::new();
    for line in &lines()[1..] {
        let (op, arguments) = operator(line);
        let count = line.results.len();
        // Four at a time, and by single elements.
        for count in [count, count - 1] {
            let arguments = first(&arguments, count);
            wrong.extend(differences(&line.name, &arguments, &on_gpu(&op, &arguments), &line.results[..count]));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Literals reach the kernels of a function otherwise than operands do.
#[test]
fn kernels_hold_special_literals() {
    let x = values();
    let mut wrong = Vec::new();
    for line in lines().iter().filter(|line| ["Add", "Sub", "Mul", "Div", "Pow", "Fmod"].contains(&line.name.as_str())) {
        for (k, literal) in x.iter().enumerate() {
            let op = program(1, vec![instruction(&line.name, &[Term::Operand(0), Term::Literal((*literal).into())])]);
            let arguments = [Tensor::vector(&x)];
            let expected: Vec<_> = line.results.iter().skip(k).step_by(x.len()).copied().collect();
            wrong.extend(differences(
                &format!("{} by {literal:?} of ", line.name),
                &arguments,
                &on_gpu(&op, &arguments),
                &expected,
            ));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// A compiler that is not told a number can neither fold it nor compile a kernel anew for another; exponents alone choose the text.
#[test]
fn programs_that_differ_in_numbers_share_their_kernel() {
    let ty = TensorType::new(DType::F32, [8]);
    let text = |function: &str, arguments: &[Term]| {
        let program = Program { operands: vec![ProgramOperand::default()], instructions: vec![instruction(function, arguments)] };
        let output = TensorType::new(program.dtypes(&[DType::F32], None).expect("it takes floats")[0], [8]);
        let printed =
            program.element_wgsl(std::slice::from_ref(&ty), &[Scalar::F32], &output, &[Access::Read], 2, 4).expect("it has a text");
        (printed.text, printed.numbers)
    };
    let floats = all().filter(|f| f.float.is_some() && f.arity.1 > 1 && f.signature != Signature::Select && f.name != "Pow");
    for function in floats {
        let arguments = |number: f64| -> Vec<Term> {
            std::iter::once(Term::Operand(0)).chain((1..function.arity.1).map(|k| Term::Literal(number + k as f64))).collect()
        };
        let ((one, a), (other, b)) = (text(function.name, &arguments(0.0)), text(function.name, &arguments(1234.0)));
        assert_eq!(one, other, "{}", function.name);
        assert_ne!(a, b, "{}", function.name);
    }
}

/// Chains that a compiler would shorten if it knew that their terms belong together, or took all numbers to be finite.
#[test]
fn chains_are_computed_step_by_step() {
    let (x, y, number) = (Term::Operand(0), Term::Operand(1), Term::Literal);
    let chains: Vec<(&str, Vec<Instruction>)> = vec![
        ("x - x", vec![instruction("Sub", &[x, x])]),
        ("x / x", vec![instruction("Div", &[x, x])]),
        ("x * 0", vec![instruction("Mul", &[x, number(0.0)])]),
        ("x * 0 + y", vec![instruction("Mul", &[x, number(0.0)]), instruction("Add", &[Term::Result(0), y])]),
        ("x + 0", vec![instruction("Add", &[x, number(0.0)])]),
        ("0 / x", vec![instruction("Div", &[number(0.0), x])]),
        ("x == x", vec![instruction("Equal", &[x, x]), instruction("Cast", &[Term::Result(0)])]),
        ("(x + 1) - x", vec![instruction("Add", &[x, number(1.0)]), instruction("Sub", &[Term::Result(0), x])]),
        ("(x + y) - x", vec![instruction("Add", &[x, y]), instruction("Sub", &[Term::Result(0), x])]),
        ("x * y + x * 3", {
            let sum = instruction("Add", &[Term::Result(0), Term::Result(1)]);
            vec![instruction("Mul", &[x, y]), instruction("Mul", &[x, number(3.0)]), sum]
        }),
        ("(1 / x) * x", vec![instruction("Reciprocal", &[x]), instruction("Mul", &[Term::Result(0), x])]),
        ("x * (y / x)", vec![instruction("Div", &[y, x]), instruction("Mul", &[x, Term::Result(0)])]),
        ("exp x - exp x", {
            let e = instruction("Exp", &[x]);
            vec![e.clone(), e, instruction("Sub", &[Term::Result(0), Term::Result(1)])]
        }),
        (
            "(x + 12582912) - 12582912",
            vec![instruction("Add", &[x, number(12_582_912.0)]), instruction("Sub", &[Term::Result(0), number(12_582_912.0)])],
        ),
    ];
    // Without the ends of the range, where a step may yield what is no normal number and may be flushed to zero.
    let x: Vec<f32> = values().into_iter().filter(|x| *x == 0.0 || !x.is_finite() || (1e-30..1e30).contains(&x.abs())).collect();
    let arguments = pairs(&x).map(|side| Tensor::vector(&side));
    let mut wrong = Vec::new();
    for (label, mut instructions) in chains {
        for one in instructions.iter_mut().filter(|i| i.function.name == "Cast") {
            one.cast = Some(DType::F32);
        }
        let op = program(2, instructions);
        for count in [arguments[0].elements(), arguments[0].elements() - 1] {
            let arguments = first(&arguments, count);
            let expected: Vec<Option<f32>> = reference(&op, &arguments).to_f64().iter().map(|y| Some(*y as f32)).collect();
            wrong.extend(differences(label, &arguments, &on_gpu(&op, &arguments), &expected));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
