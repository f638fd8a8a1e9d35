//! Memory that one node needs for itself, and the textures that nodes take turns to use.

use super::tensors::{LATER, Tensors};
use super::types::Place;
use crate::error::{Error, Result};
use crate::graph::ValueId;
use crate::kernel::{Access, Operand, TEXTURE_WIDTH};
use std::collections::HashMap;

/// The scratch of one node.
#[derive(Default)]
pub(super) struct Scratch {
    tensors: HashMap<Operand, usize>,
    /// The textures that inputs are copied to.
    copied: HashMap<ValueId, usize>,
    textures: usize,
}

/// Bytes of each texture that nodes use as scratch.
#[derive(Default)]
pub(super) struct ScratchTextures(pub Vec<u64>);

impl Scratch {
    /// The place of one more texture.
    fn texture(&mut self) -> Place {
        self.textures += 1;
        Place::Texture(self.textures - 1)
    }

    /// The tensor of a temporary, or of an unread output.
    pub(super) fn temporary(
        &mut self,
        operand: Operand,
        access: Access,
        tensors: &mut Tensors,
        textures: &mut ScratchTextures,
        what: impl FnOnce() -> (String, u64),
    ) -> Result<usize> {
        let tensor = match self.tensors.get(&operand) {
            Some(tensor) => *tensor,
            None => {
                let place = if access.is_texture() { self.texture() } else { LATER };
                let (name, bytes) = what();
                tensors.add(name, bytes, place)?
            }
        };
        textures.check(tensor, access.is_texture(), tensors)?;
        self.tensors.insert(operand, tensor);
        tensors.bind(tensor);
        Ok(tensor)
    }

    /// The texture that an input was copied to before.
    pub(super) fn copy(&self, root: ValueId, tensors: &mut Tensors) -> Option<usize> {
        let tensor = *self.copied.get(&root)?;
        tensors.bind(tensor);
        Some(tensor)
    }

    /// A texture to copy an input to, which lies in `from`.
    pub(super) fn new_copy(
        &mut self,
        root: ValueId,
        from: usize,
        tensors: &mut Tensors,
        textures: &mut ScratchTextures,
    ) -> Result<usize> {
        let name = format!("{} as a texture", tensors.planned[from].name);
        let to = tensors.add(name, tensors.planned[from].bytes, self.texture())?;
        textures.check(to, true, tensors)?;
        self.copied.insert(root, to);
        Ok(to)
    }
}

impl ScratchTextures {
    /// Makes sure that a scratch texture is bound as one, and that its slot holds it.
    fn check(&mut self, tensor: usize, bound: bool, tensors: &Tensors) -> Result<()> {
        let planned = &tensors.planned[tensor];
        let Place::Texture(slot) = planned.place else {
            return match bound {
                true => Err(Error::internal(format!("`{}` is a buffer, bound as a texture", planned.name))),
                false => Ok(()),
            };
        };
        if !bound {
            return Err(Error::internal(format!("`{}` is a texture, bound as a buffer", planned.name)));
        }
        let bytes = planned.bytes.next_multiple_of(u64::from(TEXTURE_WIDTH) * 16);
        if slot == self.0.len() {
            self.0.push(bytes);
        }
        self.0[slot] = self.0[slot].max(bytes);
        Ok(())
    }
}
