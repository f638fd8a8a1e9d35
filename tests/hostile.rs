//! Files that mean harm, or were damaged: each gives a model or an error, never a panic, in memory that its size bounds.

pub(crate) mod memory;
mod named;
pub(crate) mod wire;

use crate::cases::Random;
use crate::onnx::archive;
use gristmill::internals::graph::{Dim, Fact, Input};
use gristmill::internals::kernel::Caps;
use gristmill::internals::passes::{Specialized, optimize, specialize};
use gristmill::internals::plan::Plan;
use gristmill::{Error, Model, TensorType};
use std::panic::{AssertUnwindSafe, catch_unwind};
use wire::{Field, Value, decode, encode, holder, number, paths};

/// How many models the mutation test makes.
const MUTANTS: u64 = 24_000;

/// What an import may hold at once: a message may be two bytes in the file, and a struct of a few hundred in memory.
fn import_limit(file: usize) -> usize {
    (1 << 20) + 512 * file
}

/// What planning may hold at once. Constants are folded up to 2^24 elements, which a few copies of are in use together.
const PLAN_LIMIT: usize = 1 << 30;

/// Numbers that have broken parsers before.
const NUMBERS: [i64; 16] = [0, 1, -1, 2, 3, 7, 9, 16, 127, 1000, 1 << 20, 1 << 31, 1 << 32, i64::MAX, i64::MIN, (1 << 62) + 1];

/// Models to start from: every small one of the suite that imports.
fn seeds() -> Vec<Vec<u8>> {
    let files = archive().values().map(|case| case["model.onnx"].clone());
    files.filter(|file| file.len() < 4096 && Model::from_bytes(file, None).is_ok()).collect()
}

fn pick(random: &mut Random, count: usize) -> usize {
    (random.next() % count.max(1) as u64) as usize
}

/// Changes the bytes without regard to what they mean.
fn mutate_bytes(random: &mut Random, seeds: &[Vec<u8>], mut file: Vec<u8>) -> Vec<u8> {
    match pick(random, 4) {
        0 => {
            for _ in 0..=pick(random, 8) {
                let at = pick(random, file.len());
                if let Some(byte) = file.get_mut(at) {
                    *byte ^= 1 << pick(random, 8);
                }
            }
        }
        1 => file.truncate(pick(random, file.len())),
        2 => {
            let other = &seeds[pick(random, seeds.len())];
            let start = pick(random, other.len());
            let end = start + pick(random, other.len() - start);
            let at = pick(random, file.len());
            file.splice(at..(at + pick(random, 16)).min(file.len()), other[start..end].iter().copied());
        }
        _ => {
            let at = pick(random, file.len());
            let run = [0x00, 0x7f, 0x80, 0xff][pick(random, 4)];
            let end = (at + 1 + pick(random, 10)).min(file.len());
            file[at..end].fill(run);
        }
    }
    file
}

/// Changes one field, and keeps the lengths around it right.
fn mutate_field(random: &mut Random, fields: &mut Vec<Field>) {
    let all = paths(fields);
    let (path, other) = (&all[pick(random, all.len())], &all[pick(random, all.len())]);
    let donor = holder(fields, other).map(|(list, index)| list[index].clone());
    let Some((list, index)) = holder(fields, path) else { return };
    match (pick(random, 6), &mut list[index].value) {
        (0 | 1, Value::Number(n)) => *n = NUMBERS[pick(random, NUMBERS.len())] as u64,
        (0 | 1, Value::Fixed32(bytes)) => *bytes = (random.next() as u32).to_le_bytes(),
        (0 | 1, Value::Bytes(bytes)) if !bytes.is_empty() => {
            // Packed numbers too: a byte becomes a number of up to ten.
            let at = pick(random, bytes.len());
            let mut patch = encode(&[number(1, NUMBERS[pick(random, NUMBERS.len())])]);
            bytes.splice(at..=at, patch.drain(1..));
        }
        (2, _) => drop(list.remove(index)),
        (3, _) => {
            let copy = list[index].clone();
            list.insert(index, copy);
        }
        // A value of another field: names swapped, types mixed up, cycles.
        (4, value) => {
            if let Some(donor) = donor {
                *value = donor.value;
            }
        }
        _ => list.extend(donor),
    }
}

/// Facts of the inputs as declared; an open extent is 2.
fn facts(inputs: &[Input]) -> Vec<Fact> {
    let extent = |dim: &Dim| if let Dim::Known(n) = dim { *n } else { 2 };
    let shape = |input: &Input| input.dims.iter().flatten().map(extent).collect::<Vec<_>>();
    inputs.iter().map(|input| Fact::new(input.dtype, shape(input))).collect()
}

/// Takes a model as far as it goes without its inputs. Returns true when there is a plan.
fn plan(model: &Model) -> Result<bool, Error> {
    let facts = facts(model.graph().inputs());
    if facts.iter().any(|f| TensorType::new(f.dtype(), f.shape().clone()).checked().is_err()) {
        return Ok(false);
    }
    let Specialized::Graph(graph) = specialize(model.graph(), &facts)? else { return Ok(false) };
    let graph = optimize(&graph, &Default::default())?;
    Plan::new(&graph, &Caps::portable(), &Default::default()).map(|_| true)
}

#[test]
fn mutants_give_models_or_errors() {
    let seeds = seeds();
    let trees: Vec<Vec<Field>> = seeds.iter().filter_map(|file| decode(file)).collect();
    assert!(seeds.len() > 300, "only {} seeds", seeds.len());
    assert_eq!(seeds.len(), trees.len(), "every seed reads as fields");
    let (mut imported, mut planned, mut failures) = (0, 0, Vec::new());
    for seed in 0..MUTANTS {
        let random = &mut Random::new(seed);
        let at = pick(random, seeds.len());
        let file = if seed % 3 == 0 {
            mutate_bytes(random, &seeds, seeds[at].clone())
        } else {
            let mut fields = trees[at].clone();
            for _ in 0..=pick(random, 3) {
                mutate_field(random, &mut fields);
            }
            encode(&fields)
        };
        let work = || {
            let (model, held) = memory::peak(|| Model::from_bytes(&file, None));
            assert!(held <= import_limit(file.len()), "import of {} bytes took {held}", file.len());
            let Ok(model) = model else { return (false, false) };
            let (plan, held) = memory::peak(|| plan(&model));
            assert!(held <= PLAN_LIMIT, "planning took {held} bytes");
            (true, plan.is_ok_and(|there| there))
        };
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok((model, plan)) => {
                imported += u64::from(model);
                planned += u64::from(plan);
            }
            Err(_) => failures.push(seed),
        }
    }
    println!("{MUTANTS} mutants of {} models: {imported} imported, {planned} planned", seeds.len());
    assert!(failures.is_empty(), "{} mutants failed, of seeds {failures:?}", failures.len());
    assert!(imported > MUTANTS / 10 && imported < MUTANTS * 9 / 10, "the mutations are too harsh or too mild: {imported} imported");
}
