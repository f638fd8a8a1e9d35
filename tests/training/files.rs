//! The reader and the writer of safetensors files: what they keep, what they refuse, the files of PyTorch's numbers, and files whose bytes are
//! changed at random.

use super::safetensors::Stored;
use crate::cases::Random;
use crate::hostile::memory::peak;
use gristmill::train::Safetensors;
use gristmill::{DType, ErrorKind, Tensor, TensorType};

/// A tensor of each dtype, one without elements, one of one element, and names that JSON has to quote.
fn all() -> Safetensors {
    let mut tensors: Vec<(String, Tensor)> = DType::ALL
        .into_iter()
        .enumerate()
        .map(|(number, dtype)| {
            let numbers: Vec<f64> = (0..3 + number).map(|k| f64::from(u8::from(k % 2 == 0))).collect();
            let tensor = Tensor::from_f64(TensorType::new(dtype, [3 + number]), &numbers).expect("as many elements");
            (format!("of {dtype}"), tensor)
        })
        .collect();
    tensors.push(("none".into(), Tensor::new([2, 0], &[] as &[f32]).expect("no elements")));
    tensors.push(("one".into(), Tensor::scalar(f32::NAN)));
    tensors.push(("größe \"\\\n\u{1F600}".into(), Tensor::scalar(7i64)));
    Safetensors { metadata: vec![("z".into(), "first".into()), ("a".into(), "{\"json\": 1}\n".into())], tensors }
}

fn bytes(file: &Safetensors) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.write(&mut bytes).expect("memory can be written");
    bytes
}

/// A file of this header and so many bytes of data.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn training_files_keep_all_types() {
    let written = bytes(&all());
    let read = Safetensors::from_bytes(&written).expect("it was just written");
    assert_eq!(read.metadata, all().metadata);
    for ((name, found), (expected_name, expected)) in read.tensors.iter().zip(&all().tensors) {
        assert_eq!((name, found.ty(), found.bytes()), (expected_name, expected.ty(), expected.bytes()));
    }
    assert_eq!(read.tensors.len(), all().tensors.len());
    assert_eq!(bytes(&read), written, "equal contents are equal bytes");
    let header = u64::from_le_bytes(written[..8].try_into().expect("eight bytes"));
    assert_eq!(header % 8, 0);
    assert_eq!(Safetensors::from_bytes(&bytes(&Safetensors::default())).expect("nothing"), Safetensors::default());
}

#[test]
fn training_files_are_laid_out_as_the_format_says() {
    let tensors = vec![("b".into(), Tensor::vector(&[true, false])), ("a".into(), Tensor::vector(&[1.0f32]))];
    let found = bytes(&Safetensors { metadata: vec![("m".into(), "t".into())], tensors });
    let header = "{\"__metadata__\":{\"m\":\"t\"},\"b\":{\"dtype\":\"BOOL\",\"shape\":[2],\"data_offsets\":[4,6]},\
                  \"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    let padded = format!("{header}{}", " ".repeat(header.len().next_multiple_of(8) - header.len()));
    let mut expected = file(&padded, 0);
    expected.extend([0, 0, 0x80, 0x3f, 1, 0]);
    assert_eq!(found, expected);
}

#[test]
fn training_files_of_others_are_read() {
    for (name, stored) in Stored::all() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/training/{name}.safetensors"));
        let Ok(file) = Safetensors::load(&path) else { panic!("{name} cannot be read") };
        let known = stored.names();
        assert_eq!(file.tensors.len(), known.len(), "{name}");
        for tensor in known {
            assert_eq!(
                file.get(&tensor).map(Tensor::bytes),
                stored.tensor(&tensor).as_ref().map(Tensor::bytes),
                "{name}: {tensor}"
            );
        }
        assert!(file.metadata("json").is_some_and(|text| text.starts_with('{')), "{name}");
    }
}

#[test]
fn training_files_that_are_wrong_are_refused_by_name() {
    let entry = |name: &str, dtype: &str, shape: &str, offsets: &str| {
        format!("\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{offsets}}}")
    };
    let of = |entries: &[String]| format!("{{{}}}", entries.join(","));
    let one = |dtype: &str, shape: &str, offsets: &str| of(&[entry("w", dtype, shape, offsets)]);
    let two = |first: &str, second: &str| of(&[entry("a", "U8", "[4]", first), entry("b", "U8", "[4]", second)]);
    let deep = format!("{{\"w\":{{\"shape\":{}{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
    let huge = "[4294967296,4294967296,4294967296]";
    let invalid: &[(String, usize, &[&str])] = &[
        (one("U8", "[4]", "[0,5]"), 5, &["`w`", "5 bytes"]),
        (one("U8", "[4]", "[0,4]"), 3, &["`w`", "byte 4", "3"]),
        (one("U8", "[4]", "[0,4]"), 5, &["5 bytes", "take 4"]),
        (one("U8", "[4]", "[4,0]"), 4, &["`w`", "before it begins"]),
        (one("U8", "[4]", "[0,4,4]"), 4, &["`w`", "two data offsets"]),
        (one("U8", "[4]", "[0,-4]"), 4, &["`w`", "no data offsets"]),
        (one("U8", "[4]", "[0,4.0]"), 4, &["`w`", "no data offsets"]),
        (one("U8", "4", "[0,4]"), 4, &["`w`", "no shape"]),
        (one("U8", "[-4]", "[0,4]"), 4, &["`w`", "no shape"]),
        (one("F64", huge, "[0,8]"), 8, &["`w`", "8 bytes"]),
        (one("F64", huge, "[0,18446744073709551615]"), 8, &["`w`"]),
        (one("BOOL", "[1]", "[0,1]"), 1, &[]),
        (two("[0,4]", "[2,6]"), 6, &["`b`", "within another"]),
        (two("[0,4]", "[0,4]"), 4, &["`b`", "within another"]),
        (two("[0,4]", "[5,9]"), 9, &["`b`", "hole"]),
        (two("[1,5]", "[5,9]"), 9, &["`a`", "hole"]),
        (of(&[entry("a", "U8", "[4]", "[0,4]"), entry("a", "U8", "[4]", "[4,8]")]), 8, &["`a`", "twice"]),
        ("{\"w\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}".into(), 0, &["`dtype`", "twice"]),
        ("{\"w\":{\"shape\":[0],\"data_offsets\":[0,0]}}".into(), 0, &["`w`", "no dtype"]),
        ("{\"w\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"more\":1}}".into(), 0, &["`w`", "`more`"]),
        ("{\"__metadata__\":{\"m\":1}}".into(), 0, &["`m`"]),
        ("{\"w\":1}".into(), 0, &["header"]),
        ("[]".into(), 0, &["brace"]),
        ("{\"w\":".into(), 0, &["header"]),
        ("{} {}".into(), 0, &["header"]),
        (deep, 0, &["recursion"]),
    ];
    for (header, data, words) in invalid.iter().filter(|(_, _, words)| !words.is_empty()) {
        let start: String = header.chars().take(120).collect();
        let error = Safetensors::from_bytes(&file(header, *data)).expect_err(&start);
        assert_eq!(error.kind(), ErrorKind::InvalidModel, "{error}: {start}");
        assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}: {start}");
    }
    let mut two = file(&one("BOOL", "[1]", "[0,1]"), 0);
    two.push(2);
    let error = Safetensors::from_bytes(&two).expect_err("neither true nor false");
    assert!(error.to_string().contains("`w`"), "{error}");
    let error = Safetensors::from_bytes(&file(&one("F8_E4M3", "[1]", "[0,1]"), 1)).expect_err("eight bits");
    assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains("`w`") && error.to_string().contains("F8_E4M3"));
    for end in 0..8 {
        let error = Safetensors::from_bytes(&[9; 8][..end]).expect_err("no length");
        assert!(error.to_string().contains("before its header"), "{error}");
    }
    let long = |length: u64| Safetensors::from_bytes(&length.to_le_bytes()).expect_err("no header");
    assert!([u64::MAX, 100_000_001].iter().all(|length| long(*length).kind() == ErrorKind::Limit));
    assert!(long(100_000_000).to_string().contains("within its header"));
}

#[test]
fn training_files_are_written_under_names_of_their_own() {
    let tensor = || Tensor::scalar(1.0f32);
    let tensors = |names: &[&str]| names.iter().map(|name| (name.to_string(), tensor())).collect();
    let texts = |names: &[&str]| names.iter().map(|name| (name.to_string(), String::new())).collect();
    for (file, word) in [
        (Safetensors { tensors: tensors(&["a", "b", "a"]), metadata: vec![] }, "`a`"),
        (Safetensors { tensors: tensors(&["__metadata__"]), metadata: vec![] }, "`__metadata__`"),
        (Safetensors { tensors: vec![], metadata: texts(&["m", "m"]) }, "`m`"),
    ] {
        let error = file.write(&mut Vec::new()).expect_err(word);
        assert!(error.kind() == ErrorKind::InvalidArgument && error.to_string().contains(word), "{error}");
    }
}

#[test]
fn training_files_with_changed_bytes_neither_panic_nor_take_memory() {
    let whole = bytes(&all());
    let mut random = Random::new(41);
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().expect("eight bytes")) as usize;
    let places = random.integers(DType::I64, &[4000, 2], 0, 1 << 30).to_i64();
    let mut survived = 0;
    for pair in places.chunks(2) {
        let mut changed = whole.clone();
        let at = pair[0] as usize % header;
        match pair[1] % 4 {
            0 => changed[at] = (pair[1] / 4) as u8,
            1 => changed[at] ^= 1 << (pair[1] / 4 % 8),
            2 => changed.truncate(pair[0] as usize % whole.len()),
            _ => changed[at] = b"0123456789[]{},:\""[(pair[1] / 4) as usize % 17],
        }
        let (found, most) = peak(|| Safetensors::from_bytes(&changed));
        survived += usize::from(found.is_ok());
        assert!(most < 1 << 20, "{most} bytes for a file of {}", whole.len());
    }
    assert!(survived > 0, "some changes are of names or texts");
}
