//! An operator is known by its key: two operators have equal keys exactly when all their attributes are equal.

use crate::cases;
use gristmill::Tensor;
use gristmill::internals::graph::{Key, Op};
use gristmill::internals::kernel::Program;
use gristmill::internals::ops::conv::{AutoPad, SlidingWindow};
use gristmill::internals::ops::fused::Fused;
use gristmill::internals::ops::{conv, elementwise, shape};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The derived text of an operator shows all its attributes (of a tensor of more than eight elements, only the type).
#[test]
fn keys_of_all_cases_tell_apart_what_their_texts_tell_apart() {
    let mut operators: BTreeMap<&str, Vec<(String, Key)>> = BTreeMap::new();
    let all = cases::all();
    for case in &all {
        let known = operators.entry(case.op.name()).or_default();
        let text = format!("{:?}", case.op);
        if known.iter().all(|(other, _)| *other != text) {
            known.push((text, Key::of(&*case.op)));
        } else {
            assert!(known.contains(&(text, Key::of(&*case.op))), "{}: two keys of one operator", case.name);
        }
    }
    for (name, known) in operators {
        for (index, (text, key)) in known.iter().enumerate() {
            let alike = known[..index].iter().find(|(_, other)| other == key);
            assert!(alike.is_none(), "{name}: {text} has the key of {}", alike.map_or("", |(text, _)| text));
        }
    }
}

#[test]
fn attributes_count_however_deep_they_lie() {
    let window = |pads: &[i64], auto_pad| SlidingWindow { pads: pads.to_vec(), auto_pad, ..SlidingWindow::default() };
    let of = |pads: &[i64], auto_pad| conv::conv(window(pads, auto_pad), 1);
    let fused = |base: Arc<dyn Op>, arity| Arc::new(Fused { base, program: Program::default(), arity }) as Arc<dyn Op>;
    let filled = |bits: u32| shape::constant_of_shape(Some(Tensor::vector(&[f32::from_bits(bits)])));
    let different: Vec<Arc<dyn Op>> = vec![
        of(&[], AutoPad::NotSet),
        of(&[1], AutoPad::NotSet),
        of(&[1, 1], AutoPad::NotSet),
        of(&[1, 1], AutoPad::Valid),
        fused(of(&[], AutoPad::NotSet), 2),
        fused(of(&[], AutoPad::NotSet), 3),
        fused(of(&[1], AutoPad::NotSet), 3),
        elementwise::clip(Some(0.0), None).expect("a function"),
        elementwise::clip(Some(-0.0), None).expect("a function"),
        elementwise::clip(None, Some(0.0)).expect("a function"),
        filled(0x7fc0_0000),
        filled(0x7fc0_0001),
        filled(0x8000_0000),
        filled(0),
    ];
    for (index, op) in different.iter().enumerate() {
        let equal: Vec<usize> =
            different.iter().enumerate().filter(|(_, other)| Key::of(&***other) == Key::of(&**op)).map(|(k, _)| k).collect();
        assert_eq!(equal, [index], "{op:?}");
    }
}
