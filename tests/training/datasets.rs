//! Datasets: files of examples, sequences, texts, conversions, parts, and what tells data apart.

use crate::cases::Random;
use crate::hostile::memory::peak;
use gristmill::train::{
    Conversion, Converted, Dataset, Examples, Loader, LoaderOptions, Padding, Place, Safetensors, Shuffle, Subset, TeacherForcing,
    TokenWindows,
};
use gristmill::{DType, Error, ErrorKind, Result, Tensor, TensorType};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn named(inputs: &[(&str, Tensor)]) -> Vec<(String, Tensor)> {
    inputs.iter().map(|(name, tensor)| (name.to_string(), tensor.clone())).collect()
}

/// Three words of up to four letters, beside their lengths.
fn words() -> Vec<(String, Tensor)> {
    let letters = Tensor::new([3, 4], &[1u8, 2, 3, 4, 5, 6, 0, 0, 7, 0, 0, 0]).expect("twelve letters");
    named(&[("word", letters), ("word_lengths", Tensor::vector(&[4u8, 2, 1]))])
}

fn part(example: &[(String, Tensor)], name: &str) -> Tensor {
    example.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor.clone()).expect("an input of that name")
}

/// That an error is of this kind and says all of these.
fn says(error: &Error, kind: ErrorKind, words: &[&str]) {
    let text = error.to_string();
    assert!(error.kind() == kind && words.iter().all(|word| text.contains(word)), "{:?}: {text}; expected {words:?}", error.kind());
}

/// A file with these tensors, gone with the guard.
struct File(PathBuf);

impl File {
    fn of(name: &str, tensors: Vec<(String, Tensor)>) -> File {
        let path = std::env::temp_dir().join(format!("gristmill-{}-{name}.safetensors", std::process::id()));
        let mut bytes = Vec::new();
        Safetensors { metadata: Vec::new(), tensors }.write(&mut bytes).expect("names that differ");
        std::fs::write(&path, bytes).expect("a folder for temporary files");
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

#[test]
fn training_data_of_files_are_cut_to_their_lengths() {
    let mut inputs = words();
    inputs.push(("label".into(), Tensor::vector(&[9i64, 8, 7])));
    let file = File::of("words", inputs);
    let examples = Examples::load(&file.0).expect("a file of examples");
    assert_eq!(examples.count(), 3);
    let second = examples.example(1).expect("three examples");
    assert_eq!(part(&second, "word"), Tensor::vector(&[5u8, 6]));
    assert_eq!(part(&second, "word_lengths"), Tensor::scalar(2u8));
    assert_eq!(part(&second, "label"), Tensor::scalar(8i64));
    assert_eq!((0..3).map(|number| examples.length(number)).collect::<Vec<_>>(), [4, 2, 1]);
    let alone = examples.clone().only(&["label"]).expect("it is there");
    assert_eq!((alone.example(2).expect("three examples").len(), alone.length(0)), (1, 0));
    says(&examples.only(&["labels"]).expect_err("no such input"), ErrorKind::InvalidArgument, &["`labels`", "\"label\""]);
}

#[test]
fn training_sequences_have_axes_of_their_own() {
    let frames: Vec<f32> = (0..12).map(|x| x as f32).collect();
    let inputs = named(&[
        ("frames", Tensor::new([2, 3, 2], &frames).expect("twelve")),
        ("times", Tensor::vector(&[3i32, 1])),
        ("word", Tensor::new([2, 2], &[1u8, 0, 2, 3]).expect("four")),
        ("word_lengths", Tensor::vector(&[1u16, 2])),
    ]);
    let examples = Examples::new(inputs).and_then(Examples::cut).and_then(|e| e.with_lengths("frames", "times")).expect("they fit");
    assert_eq!(part(&examples.example(1).expect("two"), "frames"), Tensor::new([1, 2], &[6.0f32, 7.0]).expect("two"));
    assert_eq!([examples.length(0), examples.length(1)], [1, 2], "by the input that was cut first");
    let measured = examples.clone().measured_by("frames").expect("it has lengths");
    assert_eq!([measured.length(0), measured.length(1)], [3, 1]);
    says(&examples.measured_by("times").expect_err("no lengths"), ErrorKind::InvalidArgument, &["`times`", "`times_lengths`"]);

    let padding = ["frames", "word"].map(|input| Padding { input: input.into(), value: 0.0, multiple: 4 }).to_vec();
    let options = LoaderOptions { padding, ..LoaderOptions::new(2) };
    let batch = Loader::new(measured, options).and_then(|mut loader| loader.next_batch()).expect("a batch");
    assert_eq!(**batch.get("frames").expect("frames").shape(), [2, 4, 2]);
    assert_eq!(*batch.get("word").expect("words"), Tensor::new([2, 4], &[1u8, 0, 0, 0, 2, 3, 0, 0]).expect("eight"));
    assert_eq!(*batch.get("times").expect("lengths"), Tensor::vector(&[3i32, 1]));
}

#[test]
fn training_files_that_lie_are_refused_by_name() {
    let letters = || Tensor::new([3, 4], &[1u8; 12]).expect("twelve letters");
    let cases: Vec<(&str, Tensor, &[&str])> = vec![
        ("beyond", Tensor::vector(&[4i64, 5, 1]), &["`word_lengths`", "`word`", "example 1 is 5", "0 to 4"]),
        ("negative", Tensor::vector(&[4i8, 2, -1]), &["`word_lengths`", "example 2 is -1"]),
        ("greatest", Tensor::vector(&[u64::MAX, 2, 1]), &["example 0 is 18446744073709551615"]),
        ("none", Tensor::vector(&[1.0f32, f32::NAN, 1.0]), &["`word_lengths`", "3 integers", "f32[3]"]),
        ("table", Tensor::new([3, 1], &[1i64, 1, 1]).expect("three"), &["3 integers", "i64[3,1]"]),
    ];
    for (name, lengths, words) in cases {
        let file = File::of(name, named(&[("word", letters()), ("word_lengths", lengths)]));
        let path = file.0.display().to_string();
        let mut words = words.to_vec();
        words.push(&path);
        says(&Examples::load(&file.0).expect_err(name), ErrorKind::InvalidInput, &words);
    }
    let load = |name: &str, tensors| {
        let file = File::of(name, tensors);
        let error = Examples::load(&file.0).expect_err(name);
        assert!(error.to_string().contains(&file.0.display().to_string()), "{error}");
        error
    };
    let counts = named(&[("word", letters()), ("label", Tensor::vector(&[1u8, 2]))]);
    says(&load("counts", counts), ErrorKind::InvalidArgument, &["`label`", "u8[2]", "3 examples"]);
    let flat = named(&[("word", Tensor::vector(&[1u8])), ("word_lengths", Tensor::vector(&[1u8]))]);
    says(&load("flat", flat), ErrorKind::InvalidInput, &["`word_lengths`", "`word`", "second axis"]);
    says(&load("scalar", named(&[("x", Tensor::scalar(1u8))])), ErrorKind::InvalidArgument, &["no examples"]);
    says(&load("empty", Vec::new()), ErrorKind::InvalidArgument, &["no examples"]);
    // As many examples as a number in the file says, of which no byte is there.
    let nothing = Tensor::zeros(TensorType::new(DType::U8, [1 << 31, 0]));
    says(&load("nothing", named(&[("x", nothing)])), ErrorKind::InvalidArgument, &["no examples"]);
    says(&Examples::load("no such file").expect_err("it is not there"), ErrorKind::Io, &["no such file"]);
}

/// Reads all that there is of examples with any bytes.
fn read_all(bytes: &[u8]) -> Result<usize> {
    let examples = Examples::new(Safetensors::from_bytes(bytes)?.tensors).and_then(Examples::cut)?;
    let padding = ["word", "label"].map(|input| Padding { input: input.into(), value: 0.0, multiple: 4 }).to_vec();
    let options = LoaderOptions { shuffle: true, buckets: vec![2], padding, ..LoaderOptions::new(2) };
    let mut loader = Loader::new(examples, options)?;
    let epoch: Result<Vec<usize>> = (0..loader.batches()).map(|_| Ok(loader.next_batch()?.examples.len())).collect();
    Ok(epoch?.iter().sum())
}

#[test]
fn training_examples_with_changed_bytes_neither_panic_nor_take_memory() {
    let mut inputs = words();
    inputs.push(("label".into(), Tensor::new([3, 1, 2], &[9i16; 6]).expect("six")));
    let mut whole = Vec::new();
    Safetensors { metadata: Vec::new(), tensors: inputs }.write(&mut whole).expect("names that differ");
    assert_eq!(read_all(&whole).expect("three examples"), 3);
    let mut random = Random::new(43);
    let places = random.integers(DType::I64, &[6000, 2], 0, 1 << 30).to_i64();
    let mut survived = 0;
    for pair in places.chunks(2) {
        let mut changed = whole.clone();
        let at = pair[0] as usize % whole.len();
        match pair[1] % 3 {
            0 => changed[at] = (pair[1] / 4) as u8,
            1 => changed[at] ^= 1 << (pair[1] / 4 % 8),
            _ => changed[at] = b"0123456789[]{},:\""[(pair[1] / 4) as usize % 17],
        }
        let (found, most) = peak(|| read_all(&changed));
        survived += usize::from(found.is_ok());
        assert!(most < 1 << 20, "{most} bytes for a file of {}", whole.len());
    }
    assert!((100..5900).contains(&survived), "{survived}");
}

#[test]
fn training_inputs_are_converted_as_they_are_read() {
    let pixels = Tensor::new([2, 2], &[0u8, 51, 102, 255]).expect("four pixels");
    let examples = Examples::new(named(&[("image", pixels), ("label", Tensor::vector(&[3u8, 250]))])).expect("two examples");
    let conversions = vec![Conversion::normalized("image", 255.0, 0.2, 0.5), Conversion::to("label", DType::I64)];
    let converted = Converted::new(examples.clone(), conversions);
    let second = converted.example(1).expect("two");
    let image = part(&second, "image");
    for (found, wanted) in image.as_slice::<f32>().expect("floats").iter().zip([0.4, 1.6]) {
        assert!((found - wanted).abs() < 1e-6, "{image:?}");
    }
    assert_eq!(part(&second, "label"), Tensor::scalar(250i64));
    let narrow = Converted::new(examples, vec![Conversion::to("label", DType::I8)]);
    says(&narrow.example(1).expect_err("250 is too many"), ErrorKind::InvalidInput, &["example 1", "`label`", "250", "i8"]);
}

#[test]
fn training_conversions_keep_numbers_or_refuse_them() {
    let to = |dtype, tensor: Tensor| Conversion::to("x", dtype).apply(&tensor);
    let ids: Vec<Tensor> = [DType::U8, DType::I8, DType::U16, DType::I16, DType::I32, DType::U32, DType::I64, DType::U64]
        .map(|dtype| Tensor::from_i128(TensorType::new(dtype, [3]), &[0, 7, 127]).expect("three"))
        .to_vec();
    for from in &ids {
        for wanted in &ids {
            assert_eq!(to(wanted.dtype(), from.clone()).expect("they fit"), *wanted);
        }
        assert_eq!(to(DType::F32, from.clone()).expect("they fit"), Tensor::vector(&[0.0f32, 7.0, 127.0]));
        let back = to(from.dtype(), Tensor::vector(&[0.0f32, 7.0, 127.0])).expect("whole numbers");
        assert_eq!(back, *from);
    }
    let exact = Tensor::vector(&[i64::MAX, i64::MIN]);
    assert_eq!(to(DType::I64, exact.clone()).expect("the same"), exact);
    for (dtype, tensor) in [
        (DType::U8, Tensor::vector(&[1i64, -1])),
        (DType::U64, Tensor::vector(&[1i64, i64::MIN])),
        (DType::I64, Tensor::vector(&[1u64, u64::MAX])),
        (DType::I64, Tensor::vector(&[1.0f32, 1.5])),
        (DType::I64, Tensor::vector(&[1.0f64, 9_223_372_036_854_775_808.0])),
        (DType::I32, Tensor::vector(&[1.0f32, f32::NAN])),
        (DType::Bool, Tensor::vector(&[1.0f32, f32::NAN])),
        (DType::Bool, Tensor::vector(&[1u8, 2])),
    ] {
        says(&to(dtype, tensor).expect_err("no such number"), ErrorKind::InvalidInput, &["element 1", "`x`", &dtype.to_string()]);
    }
}

#[test]
fn training_inputs_become_what_a_graph_wants() {
    use gristmill::graph::{Builder, Dim};
    let mut b = Builder::new("two inputs");
    let image = b.input("image", DType::F32, &[Dim::Named("n".into())]);
    b.input("label", DType::I32, &[Dim::Named("n".into())]);
    b.output("image", image).expect("a value");
    let graph = b.finish().expect("a graph");
    let inputs = named(&["image", "label", "other"].map(|name| (name, Tensor::vector(&[3u8]))));
    let data = Converted::for_graph(Examples::new(inputs).expect("one"), &graph, Vec::new());
    let types: Vec<DType> = data.example(0).expect("one").iter().map(|(_, tensor)| tensor.dtype()).collect();
    assert_eq!(types, [DType::F32, DType::I32, DType::U8]);
}

#[test]
fn training_targets_are_shifted_for_a_teacher() {
    let inputs = words().into_iter().map(|(name, tensor)| (name.replace("word", "target"), tensor)).collect();
    let examples = Examples::new(inputs).and_then(Examples::cut).expect("three words");
    let forced = TeacherForcing { begin: 30, end: 31, ..TeacherForcing::new(examples.clone()) };
    let converted = Converted::new(forced.clone(), vec![Conversion::to("target", DType::I64)]);
    let padding =
        [("target", -1.0), ("decoder_input", 29.0)].map(|(input, value)| Padding { input: input.into(), value, multiple: 1 });
    let options = LoaderOptions { padding: padding.to_vec(), ..LoaderOptions::new(2) };
    let batch = Loader::new(converted, options.clone()).and_then(|mut loader| loader.next_batch()).expect("a batch");
    assert_eq!(batch.get("target").expect("a target").to_i64(), [1, 2, 3, 4, 31, 5, 6, 31, -1, -1]);
    assert_eq!(batch.get("decoder_input").expect("an input").to_i64(), [30, 1, 2, 3, 4, 30, 5, 6, 29, 29]);
    assert_eq!(batch.get("target_lengths").expect("lengths").to_i64(), [5, 3]);
    let error = Loader::new(forced.clone(), options).and_then(|mut loader| loader.next_batch()).expect_err("no -1");
    says(&error, ErrorKind::InvalidInput, &["`target`", "-1", "u8"]);

    let wrong = |forced: TeacherForcing<Examples>, words: &[&str]| {
        says(&forced.example(1).expect_err("it does not fit"), ErrorKind::InvalidInput, words);
    };
    wrong(TeacherForcing { begin: 256, ..forced.clone() }, &["example 1", "`target`", "256"]);
    wrong(TeacherForcing { target: "goal".into(), ..forced }, &["`goal`"]);
    let full =
        named(&[("target", Tensor::new([2, 255], &[0u8; 510]).expect("510")), ("target_lengths", Tensor::vector(&[3u8, 255]))]);
    let full = Examples::new(full).and_then(Examples::cut).expect("they fit");
    wrong(TeacherForcing::new(full), &["example 1", "`target_lengths`", "256"]);
    let floats = Examples::new(named(&[("target", Tensor::new([2, 1], &[0.5f32; 2]).expect("two"))])).expect("two");
    wrong(TeacherForcing::new(floats), &["`target`", "f32"]);
}

#[test]
fn training_texts_go_through_an_epoch_once() {
    let text: Vec<u16> = (0..103).collect();
    let windows = TokenWindows::new(Tensor::vector(&text), 10).expect("a text");
    assert_eq!((windows.count(), windows.tokens()), (93, 103));
    let last = windows.example(92).expect("93 places");
    assert_eq!(part(&last, "tokens"), Tensor::vector(&text[92..102]));
    assert_eq!(part(&last, "target"), Tensor::vector(&text[93..]));
    says(&windows.example(93).expect_err("93 places"), ErrorKind::InvalidArgument, &["93"]);

    let options = LoaderOptions { shuffle: true, seed: 5, ..LoaderOptions::new(4) };
    let mut loader = Loader::new(windows.clone(), options.clone()).expect("a loader");
    let mut offsets = BTreeSet::new();
    for _ in 0..100 {
        assert_eq!(loader.batches(), 3);
        let mut starts: Vec<usize> = (0..3).flat_map(|_| loader.next_batch().expect("a batch").examples).collect();
        let ordered = starts.windows(2).all(|pair| pair[0] < pair[1]);
        starts.sort_unstable();
        let offset = starts[0];
        assert_eq!(starts, (0..9).map(|window| offset + window * 10).collect::<Vec<_>>());
        assert!(offset < 10 && !ordered, "{starts:?}");
        offsets.insert(offset);
    }
    assert_eq!(offsets.len(), 10, "windows begin at every place: {offsets:?}");
    let mut other = Loader::new(windows.clone(), options).expect("a loader");
    other.go_to(Place { epoch: 100, batch: 0 }).expect("three batches");
    assert_eq!(other.next_batch().expect("a batch").inputs, loader.next_batch().expect("a batch").inputs);

    let mut ordered = Loader::new(windows.clone(), LoaderOptions::new(10)).expect("a loader");
    assert_eq!(ordered.next_batch().expect("a batch").examples, (0..10).map(|window| window * 10).collect::<Vec<_>>());
    let [first, second] = windows.split(0.2).expect("two parts");
    assert_eq!((first.tokens(), second.tokens()), (82, 21));
    assert_eq!(part(&second.example(0).expect("a window"), "tokens"), Tensor::vector(&text[82..92]));
    assert_eq!(part(&first.example(71).expect("the last window"), "target"), Tensor::vector(&text[72..82]));
}

#[test]
fn training_texts_of_any_length_have_windows_that_lie_within() {
    for context in 1..6 {
        for length in context + 1..30 {
            let windows = TokenWindows::new(Tensor::vector(&vec![1u8; length]), context).expect("a text");
            let mut counts = BTreeSet::new();
            for epoch in 0..40 {
                let starts = windows.epoch(Some(Shuffle { seed: 1, epoch }));
                assert!(starts.iter().all(|start| *start < windows.count()), "{length} {context} {starts:?}");
                counts.insert(starts.len());
            }
            assert!(counts.len() == 1 && !counts.contains(&0), "{length} {context} {counts:?}");
            let starts = windows.epoch(None);
            assert!(starts.iter().all(|start| *start < windows.count()) && starts.len() == (length - 1) / context);
        }
    }
    let wrong = |text: Tensor, context, words: &[&str]| {
        says(&TokenWindows::new(text, context).expect_err("no windows"), ErrorKind::InvalidArgument, words);
    };
    wrong(Tensor::vector(&[1u8; 5]), 5, &["5 tokens", "context"]);
    wrong(Tensor::vector(&[1u8; 5]), 0, &["context of 1"]);
    wrong(Tensor::vector(&[1.0f32; 5]), 2, &["f32[5]", "integers"]);
    wrong(Tensor::zeros(TensorType::new(DType::U8, [5, 1])), 2, &["u8[5,1]", "vector"]);
    let windows = || TokenWindows::new(Tensor::vector(&[1u8; 8]), 2).expect("a text");
    for share in [0.0, 1.0, f64::NAN, -0.5, 0.1, 0.9] {
        assert_eq!(windows().split(share).expect_err("an empty part").kind(), ErrorKind::InvalidArgument, "{share}");
    }
    let file = File::of("text", named(&[("tokens", Tensor::vector(&[1u8; 8]))]));
    assert_eq!(TokenWindows::load(&file.0, "tokens", 3).expect("a text").count(), 5);
    let error = TokenWindows::load(&file.0, "text", 3).expect_err("no such tensor");
    says(&error, ErrorKind::InvalidInput, &["`text`", &file.0.display().to_string()]);
}

#[test]
fn training_data_are_split_into_parts_that_share_nothing() {
    let numbers: Vec<i64> = (0..50).collect();
    let examples = || Examples::new(named(&[("n", Tensor::vector(&numbers))])).expect("fifty");
    let of = |data: &dyn Dataset| -> Vec<i64> {
        (0..data.count()).flat_map(|number| part(&data.example(number).expect("an example"), "n").to_i64()).collect()
    };
    let [training, held_out] = Subset::split(examples(), 10, 3).expect("two parts");
    let (training, held_out) = (of(&training), of(&held_out));
    assert_eq!((training.len(), held_out.len()), (40, 10));
    assert_eq!([training, held_out.clone()].concat().into_iter().collect::<BTreeSet<_>>(), numbers.iter().copied().collect());
    let [_, again] = Subset::split(examples(), 10, 3).expect("two parts");
    let [_, other] = Subset::split(examples(), 10, 4).expect("two parts");
    assert!(held_out == of(&again) && held_out != of(&other) && held_out != (40..50).collect::<Vec<_>>());
    for held_out in [0, 50, 51] {
        says(&Subset::split(examples(), held_out, 3).expect_err("an empty part"), ErrorKind::InvalidArgument, &["of 50"]);
    }

    let marked = Examples::new(named(&[("n", Tensor::vector(&[5i64, 6, 7])), ("held_out", Tensor::vector(&[false, true, false]))]));
    let [training, held_out] = marked.and_then(|examples| examples.split_by("held_out")).expect("two parts");
    assert_eq!((of(&training), of(&held_out)), (vec![5, 7], vec![6]));
    assert_eq!(training.example(0).expect("an example").len(), 1, "the marks are no input");
    let none = Examples::new(named(&[("n", Tensor::vector(&[5i64])), ("held_out", Tensor::vector(&[0u8]))])).expect("one");
    says(&none.split_by("held_out").expect_err("none is held out"), ErrorKind::InvalidInput, &["`held_out`", "none"]);
    let floats = Examples::new(named(&[("n", Tensor::vector(&[5i64])), ("held_out", Tensor::vector(&[0.5f32]))])).expect("one");
    says(&floats.split_by("held_out").expect_err("floats"), ErrorKind::InvalidInput, &["`held_out`", "f32[1]"]);
    says(&Subset::new(examples(), vec![3, 50]).expect_err("fifty"), ErrorKind::InvalidArgument, &["no example 50"]);
    says(&Subset::new(examples(), Vec::new()).expect_err("none"), ErrorKind::InvalidArgument, &["none"]);
}

#[test]
fn training_lengths_follow_the_examples_of_parts() {
    let examples = Examples::new(words()).and_then(Examples::cut).expect("three words");
    let boxed: Box<dyn Dataset> = Box::new(Subset::new(examples, vec![2, 0]).expect("two"));
    let data = TeacherForcing { target: "word".into(), ..TeacherForcing::new(Converted::new(boxed, Vec::new())) };
    assert_eq!((data.count(), data.length(0), data.length(1)), (2, 1, 4));
}

/// A dataset of one's own.
struct Own;

impl Dataset for Own {
    fn count(&self) -> usize {
        1
    }

    fn example(&self, _: usize) -> Result<Vec<(String, Tensor)>> {
        Ok(named(&[("x", Tensor::scalar(1.0f32))]))
    }
}

#[test]
fn training_data_are_told_apart_by_fingerprints() {
    let of = |inputs: &[(&str, Tensor)]| Examples::new(named(inputs)).expect("examples");
    let whole = of(&[("x", Tensor::vector(&[1.0f32, 2.0, 3.0, 4.0]))]);
    let again = of(&[("x", Tensor::vector(&[1.0f32, 2.0, 3.0, 4.0]))]);
    let text = |bytes: &[u8], context| TokenWindows::new(Tensor::vector(bytes), context).expect("a text");
    let conversion = |scale| vec![Conversion { scale, ..Conversion::to("x", DType::F32) }];
    let words = || Examples::new(words()).expect("words");
    let different: Vec<Box<dyn Dataset>> = vec![
        Box::new(whole.clone()),
        Box::new(of(&[("y", Tensor::vector(&[1.0f32, 2.0, 3.0, 4.0]))])),
        Box::new(of(&[("x", Tensor::vector(&[1.0f32, 2.0, 3.0, -4.0]))])),
        Box::new(of(&[("x", Tensor::vector(&[1.0f32, -2.0, 3.0, -4.0]))])),
        Box::new(of(&[("x", Tensor::vector(&[3.0f32, 4.0, 1.0, 2.0]))])),
        Box::new(of(&[("x", Tensor::new([2, 2], &[1.0f32, 2.0, 3.0, 4.0]).expect("four"))])),
        Box::new(of(&[("x", Tensor::vector(&[1.0f32, 2.0, 3.0, 4.0].map(f32::to_bits)))])),
        Box::new(of(&[("x", Tensor::vector(&[0u8; 9]))])),
        Box::new(of(&[("x", Tensor::vector(&[0u8; 10]))])),
        Box::new(Converted::new(whole.clone(), conversion(2.0))),
        Box::new(Converted::new(whole.clone(), conversion(3.0))),
        Box::new(Subset::new(whole.clone(), vec![0, 1]).expect("two")),
        Box::new(Subset::new(whole.clone(), vec![1, 0]).expect("two")),
        Box::new(TeacherForcing::new(whole.clone())),
        Box::new(TeacherForcing { end: 1, ..TeacherForcing::new(whole.clone()) }),
        Box::new(text(b"to be or not", 3)),
        Box::new(text(b"to be or not", 4)),
        Box::new(text(b"to be or now", 3)),
        Box::new(text(b"to be or not", 3).split(0.5).expect("two parts")[0].clone()),
        Box::new(text(b"to be or not", 3).split(0.5).expect("two parts")[1].clone()),
        Box::new(words()),
        Box::new(words().cut().expect("they fit")),
    ];
    let texts: BTreeSet<String> = different.iter().map(|data| data.fingerprint().expect("known data")).collect();
    assert_eq!(texts.len(), different.len());
    let loader = |data: Box<dyn Dataset>| Loader::new(data, LoaderOptions::new(1)).expect("a loader").fingerprint();
    assert_eq!(loader(Box::new(whole.clone())), loader(Box::new(again)));
    assert_eq!(loader(Box::new(whole)).map(|text| text.len()), Some(16));
    assert_eq!(loader(Box::new(Own)), None);
    assert_eq!(Converted::new(Own, conversion(2.0)).fingerprint(), None);
}

#[test]
fn training_padding_stays_within_limits() {
    let examples = || Examples::new(words()).and_then(Examples::cut).expect("three words");
    for (multiple, kind) in [(usize::MAX, ErrorKind::Limit), (1 << 40, ErrorKind::Limit), (1 << 63, ErrorKind::Limit)] {
        let padding = vec![Padding { input: "word".into(), value: 0.0, multiple }];
        let mut loader = Loader::new(examples(), LoaderOptions { padding, ..LoaderOptions::new(2) }).expect("a loader");
        says(&loader.next_batch().expect_err("too long"), kind, &["`word`"]);
    }
    let padding = vec![Padding { input: "word".into(), value: 0.5, multiple: 1 }];
    let mut loader = Loader::new(examples(), LoaderOptions { padding, ..LoaderOptions::new(2) }).expect("a loader");
    says(&loader.next_batch().expect_err("no whole number"), ErrorKind::InvalidInput, &["`word`", "0.5", "u8"]);
}
