//! Tensors in numpy's files: `.npy`, a header and elements, and `.npz`, a zip archive of these. The format is numpy's
//! `numpy.lib.format`.

use crate::failure::{Failure, Result};
use gristmill::{DType, Tensor, TensorType, View};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Longer headers are those of records.
const MAX_HEADER: usize = 1 << 16;

/// Elements of a type, as headers name it after the order of bytes.
const TYPES: [(&str, DType); 12] = [
    ("b1", DType::Bool),
    ("f2", DType::F16),
    ("f4", DType::F32),
    ("f8", DType::F64),
    ("i1", DType::I8),
    ("i2", DType::I16),
    ("i4", DType::I32),
    ("i8", DType::I64),
    ("u1", DType::U8),
    ("u2", DType::U16),
    ("u4", DType::U32),
    ("u8", DType::U64),
];

/// The tensor in a `.npy` file.
pub(crate) fn read_npy(path: &Path) -> Result<Tensor> {
    let file = File::open(path).map_err(|e| Failure::file("open", path, e))?;
    read(BufReader::new(file)).map_err(|e| Failure::file("read", path, e))
}

/// The tensors of a `.npz` file, by name.
pub(crate) fn read_npz(path: &Path) -> Result<Vec<(String, Tensor)>> {
    let file = File::open(path).map_err(|e| Failure::file("open", path, e))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|e| Failure::file("read", path, e))?;
    let mut tensors = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|e| Failure::file("read", path, e))?;
        let name = entry.name().map_err(|e| Failure::file("read", path, e))?.into_owned();
        let Some(name) = name.strip_suffix(".npy").map(str::to_string) else { continue };
        let tensor = read(entry).map_err(|e| Failure::file("read", path, format!("array `{name}`: {e}")))?;
        tensors.push((name, tensor));
    }
    Ok(tensors)
}

/// What a header says.
#[derive(Debug, PartialEq)]
struct Header {
    dtype: DType,
    /// The bytes of an element stand in the other order than the machine's.
    swapped: bool,
    /// The first axis is the one whose neighbours are neighbours in the file.
    columns: bool,
    dims: Vec<usize>,
}

impl Header {
    /// From a dictionary as Python writes it.
    fn parse(text: &str) -> Result<Header> {
        let field = |name: &str| -> Result<&str> {
            let at = text.find(&format!("'{name}'")).ok_or_else(|| Failure::message(format!("its header has no {name}")))?;
            let rest = text[at + name.len() + 2..].trim_start();
            Ok(rest.strip_prefix(':').unwrap_or(rest).trim_start())
        };
        let descr = field("descr")?;
        let Some(element) = descr.strip_prefix('\'').and_then(|rest| rest.split('\'').next()) else {
            return Err(Failure::message("expected an array of numbers, found one of records"));
        };
        let unknown = || Failure::message(format!("expected an array of numbers, found elements of type {element}"));
        let order = element.chars().next().ok_or_else(unknown)?;
        let dtype = TYPES.iter().find(|(name, _)| element[order.len_utf8()..] == **name).ok_or_else(unknown)?.1;
        let big = match order {
            '<' => false,
            '>' => true,
            '|' | '=' => cfg!(target_endian = "big"),
            _ => return Err(unknown()),
        };
        let shape = field("shape")?;
        let wrong = || Failure::message("the shape in its header is not one");
        let (dims, _) = shape.strip_prefix('(').and_then(|rest| rest.split_once(')')).ok_or_else(wrong)?;
        let dims = dims.split(',').map(str::trim).filter(|dim| !dim.is_empty());
        let dims = dims.map(|dim| dim.parse().map_err(|_| wrong())).collect::<Result<Vec<usize>>>()?;
        Ok(Header {
            dtype,
            swapped: big != cfg!(target_endian = "big") && dtype.size() > 1,
            columns: field("fortran_order")?.starts_with("True"),
            dims,
        })
    }

    /// From the start of a file, up to the elements.
    fn read(reader: &mut impl Read) -> Result<Header> {
        let mut start = [0; 8];
        reader.read_exact(&mut start).map_err(ends)?;
        if !start.starts_with(MAGIC) {
            return Err(Failure::message("it is not in numpy's format"));
        }
        // The length has two bytes in version 1, and four since.
        let mut length = [0; 4];
        reader.read_exact(if start[6] == 1 { &mut length[..2] } else { &mut length }).map_err(ends)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_HEADER {
            return Err(Failure::message("expected an array of numbers, found a header that is too long for one"));
        }
        let mut text = vec![0; length];
        reader.read_exact(&mut text).map_err(ends)?;
        Header::parse(&String::from_utf8_lossy(&text))
    }

    /// As the start of a file.
    fn bytes(dtype: DType, dims: &[usize]) -> Vec<u8> {
        let name = TYPES.iter().find(|(_, known)| *known == dtype).map_or("f4", |(name, _)| name);
        let order = if cfg!(target_endian = "big") { '>' } else { '<' };
        let dims = match dims {
            // A tuple of one takes a comma.
            [one] => format!("{one},"),
            many => many.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
        };
        let mut text = format!("{{'descr': '{order}{name}', 'fortran_order': False, 'shape': ({dims}), }}");
        // Elements start at a multiple of 64 bytes, after a line break.
        let before = MAGIC.len() + 4;
        let padding = (before + text.len() + 1).next_multiple_of(64) - (before + text.len() + 1);
        text.extend(std::iter::repeat_n(' ', padding));
        text.push('\n');
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.into_bytes());
        bytes
    }
}

/// What cannot be read of a file.
fn ends(error: std::io::Error) -> Failure {
    Failure::message(error.to_string())
}

/// A tensor from the text of a `.npy` file; no length is trusted before as many bytes are there.
fn read(mut reader: impl Read) -> Result<Tensor> {
    let Header { dtype, swapped, columns, mut dims } = Header::read(&mut reader)?;
    if columns {
        dims.reverse();
    }
    let ty = TensorType::new(dtype, dims).checked()?;
    let mut bytes = Vec::new();
    reader.take((ty.elements() as u64).saturating_mul(dtype.size() as u64)).read_to_end(&mut bytes).map_err(ends)?;
    if swapped {
        bytes.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
    }
    let tensor = Tensor::from_bytes(ty, &bytes)?;
    if !columns {
        return Ok(tensor);
    }
    // Column-major data is row-major data of the reversed shape, transposed.
    let reversed: Vec<usize> = (0..tensor.shape().rank()).rev().collect();
    Ok(tensor.gather(&View::contiguous(tensor.shape()).transpose(&reversed)))
}

/// Writes tensors to a `.npz` file. Half floats become f32, since numpy has no bf16.
pub(crate) fn write_npz<'a>(path: &Path, tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> Result<()> {
    let file = File::create(path).map_err(|e| Failure::file("create", path, e))?;
    let failed = |e: zip::result::ZipError| Failure::file("write", path, e);
    let mut archive = ZipWriter::new(BufWriter::new(file));
    for (name, tensor) in tensors {
        let wide = matches!(tensor.dtype(), DType::F16 | DType::BF16)
            .then(|| Tensor::from_f64(TensorType::new(DType::F32, tensor.shape().clone()), &tensor.to_f64()))
            .transpose()?;
        let tensor = wide.as_ref().unwrap_or(tensor);
        let large = tensor.bytes().len() as u64 >= u64::from(u32::MAX);
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(large);
        archive.start_file(format!("{name}.npy"), options).map_err(failed)?;
        let header = Header::bytes(tensor.dtype(), tensor.shape().dims());
        let written = archive.write_all(&header).and_then(|()| archive.write_all(tensor.bytes()));
        written.map_err(|e| Failure::file("write", path, e))?;
    }
    let mut file = archive.finish().map_err(failed)?;
    file.flush().map_err(|e| Failure::file("write", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let path = std::env::temp_dir().join(format!("gristmill-npy-{}.npz", std::process::id()));
        let tensors = [
            ("floats", Tensor::new([2, 3], &[1.0f32, -2.5, 0.0, f32::MAX, f32::INFINITY, 1e-40]).expect("6 elements")),
            ("a/number", Tensor::scalar(-7i64)),
            ("empty", Tensor::zeros(TensorType::new(DType::U8, [0, 4]))),
            ("truths", Tensor::new([3], &[true, false, true]).expect("3 elements")),
        ];
        write_npz(&path, tensors.iter().map(|(name, tensor)| (*name, tensor))).expect("it can be written");
        let read = read_npz(&path).expect("it can be read");
        std::fs::remove_file(&path).expect("it can be removed");
        assert_eq!(read, tensors.map(|(name, tensor)| (name.to_string(), tensor)));
    }

    #[test]
    fn columns_and_swapped_bytes_are_put_in_order() {
        let text = b"{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n";
        let mut file = b"\x93NUMPY\x02\x00".to_vec();
        file.extend((text.len() as u32).to_le_bytes());
        file.extend(text);
        file.extend([1i16, 4, 2, 5, 3, 6].iter().flat_map(|x| x.to_be_bytes()));
        assert_eq!(read(file.as_slice()).expect("it is sound"), Tensor::new([2, 3], &[1i16, 2, 3, 4, 5, 6]).expect("6"));
    }

    #[test]
    fn what_is_no_array_of_numbers_is_refused() {
        for text in ["{}", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "{'descr': '<c8', 'shape': ()}"] {
            assert!(Header::parse(text).is_err(), "{text}");
        }
        for dims in ["(-1,)", "(99999999999999999999999,)", "5", "(a)"] {
            assert!(Header::parse(&format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {dims}}}")).is_err(), "{dims}");
        }
        let vast = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4), }";
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((vast.len() as u16).to_le_bytes());
        file.extend(vast);
        assert!(read(file.as_slice()).is_err(), "more elements than can be");
        assert!(read(&b"\x93NUMPY\x02\x00\xff\xff\xff\xff"[..]).is_err() && read(&b"PK"[..]).is_err());
    }
}
