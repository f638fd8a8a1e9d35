//! Gradients of the operator that attention is found to be: against PyTorch where the file of operators has the case, and against
//! differences.

use super::rule_check::{COARSE, Check, doubles};
use super::safetensors::Stored;
use super::{difference, names};
use gristmill::operators::{Attention, Unseen, attention};
use gristmill::{Tensor, View};

fn check(op: Attention, inputs: Vec<Option<Tensor>>, subjects: &[usize]) -> Check {
    Check { op: attention(op), inputs, outputs: vec![0], count: 1, subjects: subjects.to_vec(), step: COARSE }
}

#[test]
fn training_attention_whole() {
    let stored = Stored::open("grads.safetensors");
    let cases = stored.json["cases"].as_object().expect("cases");
    let mut count = 0;
    for (name, json) in cases.iter().filter(|(_, json)| json["op"] == "Attention") {
        let attributes = &json["attributes"];
        if attributes.get("q_num_heads").is_some() {
            continue;
        }
        let tensor = |part: &str, of: &str| stored.tensor(&format!("{name}.{part}.{of}"));
        let double = |tensor: Tensor| super::floats(&tensor, gristmill::DType::F64);
        let inputs: Vec<Option<Tensor>> = names(&json["inputs"]).iter().map(|of| tensor("input", of).map(double)).collect();
        let size = inputs[0].as_ref().expect("queries").shape()[3];
        let number = |name: &str| attributes.get(name).and_then(serde_json::Value::as_f64);
        let scale = number("scale").map_or_else(|| 1.0 / (size as f32).sqrt(), |scale| scale as f32);
        let op = Attention {
            causal: attributes.get("is_causal").is_some(),
            softcap: number("softcap").map(|cap| cap as f32),
            zero_unseen: true,
            ..Attention::new(scale)
        };
        let subjects: Vec<usize> = (0..names(&json["wrt"]).len()).collect();
        let worth = double(tensor("upstream", "y").expect("what it is worth"));
        let found = check(op, inputs, &subjects).gradients(&[worth]);
        for (of, found) in names(&json["wrt"]).iter().zip(found) {
            let truth = tensor("grad", of).expect("a gradient");
            assert_eq!(difference(&found, &truth, 0.0, 1e-6), None, "{name}: {of}");
        }
        count += 1;
    }
    assert!(count >= 6, "{count} cases");
}

fn operands() -> Vec<Option<Tensor>> {
    vec![Some(doubles(1, &[2, 4, 3, 3])), Some(doubles(2, &[2, 2, 5, 3])), Some(doubles(3, &[2, 2, 5, 2]))]
}

fn bools(seed: u64, shape: &[usize]) -> Tensor {
    let values: Vec<f64> = doubles(seed, shape).to_f64().iter().map(|v| f64::from(*v > -0.5)).collect();
    let ty = gristmill::TensorType::new(gristmill::DType::Bool, shape.to_vec());
    Tensor::from_f64(ty, &values).expect("as many elements")
}

#[test]
fn training_attention_with_masks() {
    for unseen in [Unseen::Hidden, Unseen::Replaced(-1.5), Unseen::Added(-2.0)] {
        let op = Attention { causal: true, causal_offset: 1, softcap: Some(1.5), unseen, ..Attention::new(0.5) };
        let added = [operands(), vec![Some(doubles(4, &[4, 1, 5]))]].concat();
        check(op.clone(), added, &[0, 1, 2, 3]).holds("an added mask, causal");
        let op = Attention { zero_unseen: true, ..op };
        let seen = [operands(), vec![Some(bools(5, &[2, 1, 3, 5]))]].concat();
        check(op, seen, &[0, 1, 2]).holds("a mask of bool, causal");
    }
}

#[test]
fn training_attention_through_views() {
    let view = |shape: [usize; 4]| Some(View::contiguous(&shape.into()).transpose(&[0, 2, 1, 3]));
    let op = Attention {
        query: view([2, 3, 4, 3]),
        key: view([2, 5, 2, 3]),
        value: view([2, 5, 2, 2]),
        interleaved: true,
        ..Attention::new(0.5)
    };
    let inputs = vec![Some(doubles(1, &[2, 3, 12])), Some(doubles(2, &[2, 5, 6])), Some(doubles(3, &[2, 5, 4]))];
    check(op, inputs, &[0, 1, 2]).holds("joined heads");
}

#[test]
fn training_attention_with_lengths() {
    for causal in [false, true] {
        let op = Attention { causal, causal_offset: -3, ..Attention::new(0.5) };
        for lengths in [[4i64, 5], [0, 9]] {
            let inputs = [operands(), vec![None, Some(Tensor::vector(&lengths))]].concat();
            check(op.clone(), inputs, &[0, 1, 2]).holds("lengths");
        }
    }
}
