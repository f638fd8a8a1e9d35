//! Tensors in numpy's files.

use crate::failure::{Failure, Result};
use gristmill::{DType, Element, Shape, Tensor, TensorType, tensor::View};
use npyz::npz::{NpzArchive, NpzWriter};
use npyz::{AutoSerialize, Endianness, NpyFile, Order, TypeChar, WriterBuilder};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// The tensor in a `.npy` file.
pub(crate) fn read_npy(path: &Path) -> Result<Tensor> {
    let file = File::open(path).map_err(|e| Failure::file("open", path, e))?;
    read(BufReader::new(file)).map_err(|e| Failure::file("read", path, e))
}

/// The tensors of a `.npz` file, by name.
pub(crate) fn read_npz(path: &Path) -> Result<Vec<(String, Tensor)>> {
    let failed = |e: std::io::Error| Failure::file("read", path, e);
    let mut archive = NpzArchive::open(path).map_err(failed)?;
    let names: Vec<String> = archive.array_names().map(str::to_string).collect();
    let mut tensors = Vec::new();
    for name in names {
        let entry = archive.zip_archive().by_name(&npyz::npz::file_name_from_array_name(&name));
        let entry = entry.map_err(|e| Failure::file("read", path, e))?;
        let tensor = read(entry).map_err(|e| Failure::file("read", path, format!("array `{name}`: {e}")))?;
        tensors.push((name, tensor));
    }
    Ok(tensors)
}

/// A tensor from the text of a `.npy` file; the elements are read as bytes, so no length is trusted.
fn read(reader: impl Read) -> Result<Tensor> {
    // npyz multiplies the extents of a header without a check.
    let header = catch_unwind(AssertUnwindSafe(|| NpyFile::new(reader)));
    let header = header.map_err(|_| Failure::message("the shape in its header is too large"))?;
    let file = header.map_err(|e| Failure::message(e.to_string()))?;
    let npyz::DType::Plain(element) = file.dtype() else {
        return Err(Failure::message("expected an array of numbers, found one of records"));
    };
    let size = element.size_field();
    let dtype = match (element.type_char(), size) {
        (TypeChar::Bool, 1) => DType::Bool,
        (TypeChar::Float, 2) => DType::F16,
        (TypeChar::Float, 4) => DType::F32,
        (TypeChar::Float, 8) => DType::F64,
        (TypeChar::Int, 1) => DType::I8,
        (TypeChar::Int, 2) => DType::I16,
        (TypeChar::Int, 4) => DType::I32,
        (TypeChar::Int, 8) => DType::I64,
        (TypeChar::Uint, 1) => DType::U8,
        (TypeChar::Uint, 2) => DType::U16,
        (TypeChar::Uint, 4) => DType::U32,
        (TypeChar::Uint, 8) => DType::U64,
        _ => return Err(Failure::message(format!("expected an array of numbers, found elements of type {element}"))),
    };
    let mut dims: Vec<usize> = file.shape().iter().map(|d| usize::try_from(*d).unwrap_or(usize::MAX)).collect();
    let (swap, columns) = (element.endianness() != Endianness::of_machine() && size > 1, file.order() == Order::Fortran);
    if columns {
        dims.reverse();
    }
    let ty = TensorType::new(dtype, dims).checked()?;
    let mut bytes = Vec::new();
    file.into_inner().take((ty.elements() as u64).saturating_mul(size)).read_to_end(&mut bytes)?;
    if swap {
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
    let mut archive = NpzWriter::new(BufWriter::new(file));
    for (name, tensor) in tensors {
        write(&mut archive, name, tensor).map_err(|e| Failure::file("write", path, e))?;
    }
    archive.zip_writer().finish().map_err(|e| Failure::file("write", path, e))?;
    Ok(())
}

fn write<W: Write + Seek>(archive: &mut NpzWriter<W>, name: &str, tensor: &Tensor) -> Result<()> {
    match tensor.dtype() {
        DType::F32 => write_elements::<f32, W>(archive, name, tensor),
        DType::F64 => write_elements::<f64, W>(archive, name, tensor),
        DType::I8 => write_elements::<i8, W>(archive, name, tensor),
        DType::I16 => write_elements::<i16, W>(archive, name, tensor),
        DType::I32 => write_elements::<i32, W>(archive, name, tensor),
        DType::I64 => write_elements::<i64, W>(archive, name, tensor),
        DType::U8 => write_elements::<u8, W>(archive, name, tensor),
        DType::U16 => write_elements::<u16, W>(archive, name, tensor),
        DType::U32 => write_elements::<u32, W>(archive, name, tensor),
        DType::U64 => write_elements::<u64, W>(archive, name, tensor),
        DType::Bool => write_elements::<bool, W>(archive, name, tensor),
        DType::F16 | DType::BF16 => {
            let wide = Tensor::from_f64(TensorType::new(DType::F32, tensor.shape().clone()), &tensor.to_f64())?;
            write_elements::<f32, W>(archive, name, &wide)
        }
    }
}

fn write_elements<T: Element + AutoSerialize, W: Write + Seek>(
    archive: &mut NpzWriter<W>,
    name: &str,
    tensor: &Tensor,
) -> Result<()> {
    let shape: Vec<u64> = Shape::dims(tensor.shape()).iter().map(|d| *d as u64).collect();
    let mut writer = archive.array::<T>(name, Default::default())?.default_dtype().shape(&shape).begin_nd()?;
    writer.extend(tensor.as_slice::<T>()?.iter().copied())?;
    writer.finish()?;
    Ok(())
}
