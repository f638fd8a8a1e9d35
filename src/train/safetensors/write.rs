//! Tensors to bytes.

use super::format::{METADATA, Safetensors, little_endian, word};
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use serde_json::Value as Json;
use std::collections::HashSet;
use std::io::Write;

/// The header ends at a multiple of this, so that data of the widest elements are aligned.
const ALIGNMENT: usize = 8;

impl Safetensors {
    /// Writes the bytes of a file; of equal contents they are equal. The data of wider elements come first, so that all are aligned.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) naming a tensor or a text that stands there twice or has the name of the
    /// metadata; [`Io`](crate::ErrorKind::Io) when the writer fails.
    pub fn write(&self, writer: &mut impl Write) -> Result<()> {
        self.check_names()?;
        let mut sorted: Vec<(usize, &Tensor)> = self.tensors.iter().map(|(_, tensor)| tensor).enumerate().collect();
        sorted.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.dtype().size()));
        let mut places = vec![(0usize, 0usize); self.tensors.len()];
        let mut end = 0usize;
        for (number, tensor) in &sorted {
            let begin = end;
            end = begin.checked_add(tensor.bytes().len()).ok_or_else(|| Error::limit("the file would be too long"))?;
            if let Some(place) = places.get_mut(*number) {
                *place = (begin, end);
            }
        }
        let header = self.header(&places);
        let length = u64::try_from(header.len()).map_err(|_| Error::limit("the header would be too long"))?;
        writer.write_all(&length.to_le_bytes())?;
        writer.write_all(header.as_bytes())?;
        for (_, tensor) in sorted {
            writer.write_all(&little_endian(tensor.bytes(), tensor.dtype().size()))?;
        }
        Ok(())
    }

    fn check_names(&self) -> Result<()> {
        let mut known = HashSet::from([METADATA]);
        if let Some((name, _)) = self.tensors.iter().find(|(name, _)| !known.insert(name)) {
            return Err(Error::invalid_argument(format!("tensor `{name}` stands there twice, or has the name of the metadata")));
        }
        let mut known = HashSet::new();
        match self.metadata.iter().find(|(name, _)| !known.insert(name)) {
            Some((name, _)) => Err(Error::invalid_argument(format!("metadata `{name}` stands there twice"))),
            None => Ok(()),
        }
    }

    /// The header for these places of the tensors, ended by spaces.
    fn header(&self, places: &[(usize, usize)]) -> String {
        let quoted = |text: &str| Json::from(text).to_string();
        let mut members = Vec::new();
        if !self.metadata.is_empty() {
            let texts: Vec<String> =
                self.metadata.iter().map(|(name, text)| format!("{}:{}", quoted(name), quoted(text))).collect();
            members.push(format!("\"{METADATA}\":{{{}}}", texts.join(",")));
        }
        for ((name, tensor), (begin, end)) in self.tensors.iter().zip(places) {
            let (name, dtype) = (quoted(name), word(tensor.dtype()));
            let shape: Vec<String> = tensor.shape().iter().map(ToString::to_string).collect();
            let shape = shape.join(",");
            members.push(format!("{name}:{{\"dtype\":\"{dtype}\",\"shape\":[{shape}],\"data_offsets\":[{begin},{end}]}}"));
        }
        let mut text = format!("{{{}}}", members.join(","));
        while !text.len().is_multiple_of(ALIGNMENT) {
            text.push(' ');
        }
        text
    }
}
