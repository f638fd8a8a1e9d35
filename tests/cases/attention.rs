//! Attention.

use super::{Case, Random};
use gristmill::internals::ops::attention::{
    Attention, CachedAttention, RotaryEmbedding, Unseen, attention, cached_attention, rotary_embedding,
};
use gristmill::internals::tensor::View;
use gristmill::{DType, Shape, Tensor};

/// Batch, heads, key heads, queries, keys, size, value size.
pub(super) type Extents = [usize; 7];

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(0xA77);
    let mut cases = vec![];
    let sizes: &[(&str, Extents)] = &[
        ("one", [1, 1, 1, 1, 1, 1, 1]),
        ("small", [2, 3, 3, 5, 7, 8, 8]),
        ("odd_sizes", [1, 2, 2, 9, 13, 7, 5]),
        ("size_64", [1, 2, 2, 33, 70, 64, 64]),
        ("size_40_24", [1, 2, 1, 10, 33, 40, 24]),
        ("size_128", [1, 1, 1, 40, 50, 128, 128]),
        ("size_300", [1, 1, 1, 5, 9, 300, 260]),
        ("grouped", [2, 6, 2, 12, 11, 16, 12]),
        ("one_query", [1, 4, 4, 1, 500, 32, 32]),
        ("many_keys", [1, 1, 1, 2, 9000, 16, 16]),
        ("many_queries", [1, 1, 1, 300, 4, 16, 16]),
        ("size_6_10", [1, 3, 1, 20, 19, 6, 10]),
        ("size_160", [1, 1, 1, 20, 21, 160, 144]),
        ("prefill", [1, 2, 1, 300, 450, 32, 20]),
        ("prefill_64", [1, 2, 2, 65, 100, 64, 64]),
        ("decode_grouped", [2, 8, 2, 1, 777, 64, 64]),
        ("decode_three", [1, 2, 1, 3, 1030, 20, 36]),
        ("decode_13", [1, 2, 2, 1, 300, 13, 7]),
        ("decode_256", [1, 2, 1, 1, 130, 256, 144]),
        ("no_keys", [1, 2, 2, 3, 0, 8, 8]),
        ("no_queries", [1, 2, 2, 0, 4, 8, 8]),
        ("no_size", [1, 1, 1, 3, 4, 0, 8]),
    ];
    for (name, extents) in sizes {
        let scale = 1.0 / (extents[5].max(1) as f32).sqrt();
        let plain = Attention::new(scale);
        cases.push(case(&mut random, name, plain.clone(), *extents));
        if extents[4] > 0 {
            let offset = extents[4] as i64 - extents[3] as i64;
            let causal = Attention { causal: true, causal_offset: offset.max(0), interleaved: true, ..plain };
            cases.push(case(&mut random, &format!("{name}_causal_interleaved"), causal, *extents));
        }
    }
    // Keys and values that are constants, and so many that software adapters read them from textures.
    let op = Attention { causal: true, causal_offset: 590, ..Attention::new(0.2) };
    cases.push(case(&mut random, "decode_weights", op, [1, 4, 2, 2, 600, 24, 32]).weights(&[1, 2]));
    cases.extend(masks(&mut random));
    cases.push(replaced_by_hand());
    cases.push(hidden_by_hand());
    cases.extend(views(&mut random));
    cases.extend(rotary(&mut random));
    cases.extend(lengths(&mut random));
    cases.extend(cached(&mut random));
    cases
}

fn rotary(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![];
    for (interleaved, turned, rank, positions) in
        [(false, 0, 4, true), (true, 0, 4, true), (false, 4, 4, false), (true, 4, 3, true), (false, 0, 3, false)]
    {
        let op = RotaryEmbedding { interleaved, rotary_embedding_dim: turned, num_heads: 3 };
        let pairs = if turned == 0 { 4 } else { turned / 2 };
        let x = if rank == 4 { random.floats(&[2, 3, 5, 8]) } else { random.floats(&[2, 5, 24]) };
        let cache = if positions { vec![50, pairs] } else { vec![2, 5, pairs] };
        let mut inputs = vec![x, random.floats(&cache), random.floats(&cache)];
        if positions {
            inputs.push(random.integers(DType::I64, &[2, 5], 0, 50));
        }
        let name = format!("rotary_embedding/{rank}_{turned}_{interleaved}");
        cases.push(Case::new(name, rotary_embedding(op), inputs));
    }
    cases
}

pub(super) fn case(
    random: &mut Random,
    name: &str,
    op: Attention,
    [batch, heads, key_heads, queries, keys, size, value_size]: Extents,
) -> Case {
    let inputs = vec![
        random.floats(&[batch, heads, queries, size]),
        random.floats(&[batch, key_heads, keys, size]),
        random.floats(&[batch, key_heads, keys, value_size]),
    ];
    Case::new(format!("attention/{name}"), attention(op), inputs)
}

/// One query over two keys with scores of 1 and 2, both hidden by -1e9 that is added: floats round the scores away, and each key weighs
/// a half.
fn hidden_by_hand() -> Case {
    let tensor = |shape: &[usize], data: &[f32]| Tensor::new(shape, data).expect("as many elements");
    let (query, key, value) =
        (tensor(&[1, 1, 1, 1], &[1.0]), tensor(&[1, 1, 2, 1], &[1.0, 2.0]), tensor(&[1, 1, 2, 1], &[1.0, 0.0]));
    let inputs = vec![query, key, value, tensor(&[2], &[-1e9, -1e9])];
    Case::new("attention/hidden_by_hand", attention(Attention::new(1.0)), inputs).golden(vec![tensor(&[1, 1, 1, 1], &[0.5])])
}

/// Three queries of size 1 over two keys with scores of 1 and 2; the first query sees both keys, the second the last, the third
/// none. Where -1 replaces what is not seen, the weights of the first key are e / (e + e^2), 1/e / (1/e + e^2) and a half.
fn replaced_by_hand() -> Case {
    let tensor = |shape: &[usize], data: &[f32]| Tensor::new(shape, data).expect("as many elements");
    let (query, key) = (tensor(&[1, 1, 3, 1], &[1.0, 1.0, 1.0]), tensor(&[1, 1, 2, 1], &[1.0, 2.0]));
    let (value, seen) = (tensor(&[1, 1, 2, 1], &[1.0, 0.0]), Tensor::new([3, 2], &[true, true, false, true, false, false]));
    let op = attention(Attention { unseen: Unseen::Replaced(-1.0), ..Attention::new(1.0) });
    let golden = tensor(&[1, 1, 3, 1], &[0.268_941_42, 0.047_425_87, 0.5]);
    let mut case = Case::new("attention/replaced_by_hand", op, vec![query, key, value]).golden(vec![golden]);
    case.inputs.push(Some(seen.expect("as many elements")));
    case
}

/// Masks of every broadcast, softcap, and rows that see nothing: for a few queries, for blocks of them, and for one.
fn masks(random: &mut Random) -> Vec<Case> {
    let extents = [("", [2, 3, 3, 6, 10, 16, 16]), ("blocks_", [2, 3, 1, 26, 21, 16, 16]), ("one_", [2, 4, 2, 1, 40, 16, 16])];
    extents.iter().flat_map(|(name, extents)| masks_of(random, name, *extents)).collect()
}

fn masks_of(random: &mut Random, kind: &str, extents: Extents) -> Vec<Case> {
    let [batch, heads, _, queries, keys, ..] = extents;
    let mut cases = vec![];
    for shape in [&[batch, heads, queries, keys][..], &[batch, 1, 1, keys], &[queries, keys], &[keys], &[heads, 1, 1], &[]] {
        let mut float = case(random, &format!("{kind}mask_{shape:?}"), Attention::new(0.25), extents);
        float.inputs.push(Some(random.floats(shape)));
        let mut bool = case(random, &format!("{kind}bool_mask_{shape:?}"), Attention::new(0.25), extents);
        // At least one key of each row is seen.
        let drawn = random.integers(DType::Bool, shape, 0, 2).to_f64();
        let seen: Vec<bool> = drawn.iter().enumerate().map(|(k, x)| *x != 0.0 || k % keys == 0).collect();
        bool.inputs.push(Some(Tensor::new(shape, &seen).expect("as many elements")));
        if shape.last() == Some(&keys) {
            cases.push(bool);
        }
        cases.push(float);
    }
    let softcap = Attention { softcap: Some(0.5), causal: true, causal_offset: 4, ..Attention::new(2.0) };
    cases.push(case(random, &format!("{kind}softcap"), softcap, extents));
    let masked = |lowest: f32, hidden: usize| {
        let mask: Vec<f32> = (0..queries * keys).map(|k| if k < hidden || k % 3 == 0 { lowest } else { 0.0 }).collect();
        Some(Tensor::new([queries, keys], &mask).expect("as many elements"))
    };
    for (name, zero_unseen) in [("nan", false), ("zero", true)] {
        let op = Attention { causal: true, causal_offset: -2, zero_unseen, ..Attention::new(0.25) };
        cases.push(case(random, &format!("{kind}unseen_rows_{name}"), op.clone(), extents));
        let mut infinite = case(random, &format!("{kind}infinite_mask_{name}"), Attention { causal: false, ..op }, extents);
        infinite.inputs.push(masked(f32::NEG_INFINITY, 2 * keys));
        cases.push(infinite);
    }
    cases.extend(replacing(random, kind, extents));
    // The masks that exporters write: the lowest float or less instead of minus infinity.
    for (name, number) in [("lowest", f32::MIN), ("billion", -1e9)] {
        let mut lowest = case(random, &format!("{kind}{name}_mask"), Attention::new(0.25), extents);
        lowest.inputs.push(masked(number, keys));
        cases.push(lowest);
    }
    cases
}

/// Masks and causality that replace scores by a number or add one to them: rows that see nothing, and numbers above and below the scores seen.
fn replacing(random: &mut Random, kind: &str, extents: Extents) -> Vec<Case> {
    let [batch, heads, _, queries, keys, ..] = extents;
    let mut cases = vec![];
    // A row in four sees nothing, the others most keys.
    let seen = |rows: usize| -> Vec<bool> { (0..rows * keys).map(|k| k / keys % 4 != 1 && k % 3 != 0).collect() };
    for fill in [f32::MIN, -1e8, -1e4, -3.0, 0.5] {
        // Scores are multiples of 1000 that floats hold exactly, below the number and above it.
        let op = Attention { unseen: Unseen::Replaced(fill), ..Attention::new(1e3) };
        for (shape, rows) in [(vec![batch, 1, queries, keys], batch * queries), (vec![heads, 1, keys], heads)] {
            let plain = case(random, &format!("{kind}replacing_{fill:e}_{shape:?}"), op.clone(), extents);
            let mut case = whole_numbers(random, plain);
            case.inputs.push(Some(Tensor::new(shape, &seen(rows)).expect("as many elements")));
            cases.push(case);
        }
        for offset in [keys as i64 - queries as i64, 3, -2] {
            let op = Attention { causal: true, causal_offset: offset, ..op.clone() };
            let plain = case(random, &format!("{kind}replacing_{fill:e}_causal_{offset}"), op, extents);
            cases.push(whole_numbers(random, plain));
        }
        let op = Attention { causal: true, causal_offset: 1, scale: 0.25, ..op };
        let mut both = case(random, &format!("{kind}replacing_{fill:e}_beside_a_mask"), op.clone(), extents);
        both.inputs.push(Some(random.floats(&[queries, keys])));
        cases.push(both);
        // Below -1e7 floats of this size have no digit left for the score.
        if fill > -1e7 || fill == f32::MIN {
            for scale in [0.25, 1e3] {
                let op = Attention { unseen: Unseen::Added(fill), scale, ..op.clone() };
                let plain = case(random, &format!("{kind}adding_{fill:e}_to_{scale}"), op, extents);
                cases.push(whole_numbers(random, plain));
            }
        }
    }
    cases
}

/// A row with whole numbers as queries and keys.
fn whole_numbers(random: &mut Random, mut case: Case) -> Case {
    for input in case.inputs[..2].iter_mut().flatten() {
        let numbers: Vec<f32> = (0..input.elements()).map(|_| (random.next() % 7) as f32 - 3.0).collect();
        *input = Tensor::new(input.shape().clone(), &numbers).expect("as many elements");
    }
    case
}

/// Heads split off a joint projection, in place; transposed keys; reversed and shared ones.
fn views(random: &mut Random) -> Vec<Case> {
    let joint = Shape::from([2, 9, 3 * 2 * 8]);
    let split = |k: usize| {
        let heads = View::contiguous(&joint).slice(2, k * 16, 16, 1).reshape(&[2, 9, 2, 8].into());
        heads.map(|view| view.transpose(&[0, 2, 1, 3]))
    };
    let op = Attention { query: split(0), key: split(1), value: split(2), interleaved: true, ..Attention::new(0.35) };
    let x = random.floats(&joint);
    let mut cases = vec![Case::new("attention/joint_projection", attention(op.clone()), vec![x.clone(), x.clone(), x])];
    // One query against so many keys that software adapters copy joint projections to textures.
    let joint = Shape::from([2, 301, 3 * 2 * 32]);
    let split = |k: usize, first: usize, rows: usize| {
        let view = View::contiguous(&joint).slice(1, first, rows, 1).slice(2, k * 64, 64, 1);
        view.reshape(&[2, rows, 2, 32].into()).map(|view| view.transpose(&[0, 2, 1, 3]))
    };
    let [query, key, value] = [split(0, 300, 1), split(1, 0, 301), split(2, 0, 301)];
    let x = random.floats(&joint);
    let last = Attention { query, key, value, interleaved: true, ..Attention::new(0.2) };
    cases.push(Case::new("attention/joint_projection_decode", attention(last), vec![x.clone(), x.clone(), x]));
    let transposed = View::contiguous(&[2, 2, 8, 9].into()).transpose(&[0, 1, 3, 2]);
    let op = Attention { key: Some(transposed), query: None, value: None, ..op };
    let inputs = [[2, 2, 5, 8], [2, 2, 8, 9], [2, 2, 9, 8]].map(|shape| random.floats(&shape)).to_vec();
    cases.push(Case::new("attention/transposed_keys", attention(op.clone()), inputs));
    let reversed = View::contiguous(&[1, 1, 9, 8].into()).slice(2, 8, 9, -1).broadcast(&[2, 2, 9, 8].into());
    let op = Attention { key: reversed.clone(), value: reversed, ..op };
    let inputs = [[2, 2, 5, 8], [1, 1, 9, 8], [1, 1, 9, 8]].map(|shape| random.floats(&shape)).to_vec();
    cases.push(Case::new("attention/reversed_and_shared", attention(op), inputs));
    cases
}

/// Keys and values past the length of their batch element are NaN: whatever a cache holds there counts for nothing.
pub(super) fn with_lengths(case: Case, lengths: &[i64]) -> Case {
    let mut case = case;
    for input in case.inputs[1..3].iter_mut().flatten() {
        let shape = input.shape().clone();
        let (keys, size) = (shape[2], shape[3]);
        let mut values = input.to_f64();
        for (place, value) in values.iter_mut().enumerate() {
            let (batch, key) = (place / (shape[1] * keys * size), place / size % keys);
            if key as i64 >= lengths[batch] {
                *value = f64::NAN;
            }
        }
        *input = Tensor::from_f64(input.ty().clone(), &values).expect("as many elements");
    }
    case.inputs.resize(4, None);
    case.inputs.push(Some(Tensor::vector(lengths)));
    case
}

/// Caches that batch elements fill in part: not at all, with one key, with some, with as many as there are or say to be more.
fn lengths(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![];
    let sizes: &[(&str, Extents)] = &[
        ("small", [4, 3, 3, 5, 7, 8, 8]),
        ("odd_sizes", [4, 2, 2, 9, 13, 7, 5]),
        ("grouped", [4, 6, 2, 12, 31, 16, 12]),
        ("one_query", [4, 4, 4, 1, 500, 32, 32]),
        ("decode_grouped", [4, 8, 2, 1, 777, 64, 64]),
        ("decode_three", [4, 2, 1, 3, 1030, 20, 36]),
        ("decode_13", [4, 2, 2, 1, 300, 13, 7]),
        ("prefill", [4, 2, 1, 70, 150, 32, 20]),
        ("size_160", [4, 1, 1, 20, 21, 160, 144]),
        ("few_keys", [4, 1, 1, 3, 2, 8, 8]),
    ];
    for (name, extents) in sizes {
        let [_, _, _, queries, keys, size, _] = *extents;
        let lengths = [0, 1, keys as i64 * 2 / 3, keys as i64 + 9];
        let plain = Attention::new(1.0 / (size as f32).sqrt());
        let causal = Attention { causal: true, causal_offset: -(queries as i64), interleaved: true, ..plain.clone() };
        let masked = Attention { softcap: Some(0.5), ..causal.clone() };
        cases.push(with_lengths(case(random, &format!("lengths_{name}"), plain.clone(), *extents), &lengths));
        cases.push(with_lengths(case(random, &format!("lengths_{name}_causal"), causal, *extents), &lengths));
        let mut case = with_lengths(case(random, &format!("lengths_{name}_mask"), masked, *extents), &lengths);
        case.inputs[3] = Some(random.floats(&[extents[0], 1, queries, keys]));
        cases.push(case);
    }
    for fill in [f32::MIN, -1e3, 0.0] {
        for extents in [[4, 2, 1, 26, 21, 16, 16], [4, 4, 2, 1, 300, 16, 16]] {
            let [_, _, _, queries, keys, ..] = extents;
            let lengths = [0, 1, keys as i64 / 2, keys as i64];
            let causal = Attention { causal: true, causal_offset: 1 - queries as i64, ..Attention::new(0.25) };
            let op = Attention { unseen: Unseen::Replaced(fill), ..causal };
            let plain = case(random, &format!("lengths_replacing_{fill:e}_{queries}"), op, extents);
            cases.push(with_lengths(plain, &lengths));
        }
    }
    let extents = [2, 2, 2, 4, 40, 8, 8];
    let mut narrow = with_lengths(case(random, "lengths_i32", Attention::new(0.3), extents), &[7, 23]);
    narrow.inputs[4] = Some(Tensor::vector(&[7i32, 23]));
    cases.push(narrow);
    cases
}

/// ONNX's Attention over a cache: heads apart and joined, and masks that end before the keys do.
fn cached(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![];
    for (name, causal, reach) in [("plain", false, None), ("causal", true, None), ("short_mask", true, Some(9))] {
        let plain = CachedAttention { causal, scale: None, softcap: None, heads: None };
        let mut apart = case(random, &format!("cached_{name}"), Attention::new(1.0), [2, 4, 2, 3, 12, 8, 6]);
        apart = with_lengths(apart, &[4, 9]);
        apart.op = cached_attention(plain.clone());
        apart.inputs[3] = reach.map(|reach| random.integers(DType::Bool, &[3, reach], 0, 2));
        cases.push(apart);
        let inputs = [[2, 3, 4 * 8], [2, 12, 2 * 8], [2, 12, 2 * 6]].map(|shape| random.floats(&shape)).to_vec();
        let op = CachedAttention { heads: Some([4, 2]), scale: Some(0.2), softcap: Some(1.0), ..plain };
        let mut joined = Case::new(format!("attention/cached_{name}_joined"), cached_attention(op), inputs);
        joined.inputs.push(reach.map(|reach| random.floats(&[2, 1, 1, reach])));
        joined.inputs.push(Some(Tensor::vector(&[4i64, 12])));
        cases.push(joined);
    }
    cases
}
