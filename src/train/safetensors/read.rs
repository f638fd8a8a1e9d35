//! Bytes to tensors.

use super::format::{MAX_HEADER, Safetensors, little_endian};
use super::header::{Entry, Header};
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::Tensor;
use std::path::Path;

impl Safetensors {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) when it cannot be read; as [`from_bytes`](Safetensors::from_bytes).
    pub fn load(path: impl AsRef<Path>) -> Result<Safetensors> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| Error::new(ErrorKind::Io, format!("{}: {error}", path.display())))?;
        Safetensors::from_bytes(&bytes).map_err(|error| Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) naming what is malformed: names that stand there twice, bytes of no tensor or of
    /// two, lengths that do not fit; [`Unsupported`](crate::ErrorKind::Unsupported) naming a tensor of another dtype;
    /// [`Limit`](crate::ErrorKind::Limit) for a header of more than 100 MB.
    pub fn from_bytes(bytes: &[u8]) -> Result<Safetensors> {
        let (length, rest) = bytes.split_first_chunk().ok_or_else(|| Error::invalid_model("the file ends before its header"))?;
        let length = u64::from_le_bytes(*length);
        let fits = usize::try_from(length).ok().filter(|length| *length <= MAX_HEADER);
        let length = fits.ok_or_else(|| Error::limit(format!("the header has {length} bytes; at most {MAX_HEADER} are read")))?;
        let halves = rest.split_at_checked(length);
        let (text, data) = halves.ok_or_else(|| {
            Error::invalid_model(format!("the file ends within its header: {} of {length} bytes are there", rest.len()))
        })?;
        let header = Header::parse(text)?;
        check_places(&header.entries, data.len())?;
        let tensors = header.entries.into_iter().map(|entry| tensor(entry, data)).collect::<Result<_>>()?;
        Ok(Safetensors { metadata: header.metadata, tensors })
    }
}

/// Checks that every byte of the data is one tensor's.
fn check_places(entries: &[Entry], length: usize) -> Result<()> {
    let mut entries: Vec<&Entry> = entries.iter().collect();
    entries.sort_by_key(|entry| (entry.begin, entry.end));
    let mut end = 0;
    for entry in entries {
        if entry.begin != end {
            let what = if entry.begin < end { "lies within another" } else { "leaves a hole before it" };
            let message =
                format!("tensor `{}` begins at byte {}, and {what}: the one before ends at {end}", entry.name, entry.begin);
            return Err(Error::invalid_model(message));
        }
        end = entry.end;
        if end > length {
            let message = format!("tensor `{}` ends at byte {end} of the data, which has {length}", entry.name);
            return Err(Error::invalid_model(message));
        }
    }
    match end == length {
        true => Ok(()),
        false => Err(Error::invalid_model(format!("the data has {length} bytes, of which tensors take {end}"))),
    }
}

fn tensor(entry: Entry, data: &[u8]) -> Result<(String, Tensor)> {
    let Entry { name, ty, begin, end } = entry;
    let bytes = data.get(begin..end).ok_or_else(|| Error::internal("places that were checked"))?;
    let size = ty.dtype.size();
    match Tensor::from_bytes(ty, &little_endian(bytes, size)) {
        Ok(tensor) => Ok((name, tensor)),
        Err(error) => Err(Error::invalid_model(format!("tensor `{name}`: {error}"))),
    }
}
