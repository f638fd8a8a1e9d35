//! Protobuf messages without a schema: enough of the wire format to write models by hand and to change any field of one.

/// A field of a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) number: u64,
    pub(crate) value: Value,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Number(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    /// Text, bytes or packed numbers.
    Bytes(Vec<u8>),
    Message(Vec<Field>),
}

pub(crate) fn number(number: u64, value: i64) -> Field {
    Field { number, value: Value::Number(value as u64) }
}

pub(crate) fn text(number: u64, value: &str) -> Field {
    Field { number, value: Value::Bytes(value.as_bytes().to_vec()) }
}

pub(crate) fn message(number: u64, fields: Vec<Field>) -> Field {
    Field { number, value: Value::Message(fields) }
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The bytes of a message.
pub(crate) fn encode(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for Field { number, value } in fields {
        let mut tag = |wire: u64| write_varint(number << 3 | wire, &mut out);
        match value {
            Value::Number(n) => {
                tag(0);
                write_varint(*n, &mut out);
            }
            Value::Fixed64(bytes) => {
                tag(1);
                out.extend(bytes);
            }
            Value::Fixed32(bytes) => {
                tag(5);
                out.extend(bytes);
            }
            Value::Bytes(bytes) => {
                tag(2);
                write_varint(bytes.len() as u64, &mut out);
                out.extend(bytes);
            }
            Value::Message(fields) => {
                tag(2);
                let bytes = encode(fields);
                write_varint(bytes.len() as u64, &mut out);
                out.extend(bytes);
            }
        }
    }
    out
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The fields of a message, or `None` when the bytes are none. Text that happens to read as a message does so.
pub(crate) fn decode(mut bytes: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = read_varint(&mut bytes)?;
        let value = match tag & 7 {
            0 => Value::Number(read_varint(&mut bytes)?),
            1 => {
                let (head, rest) = bytes.split_first_chunk::<8>()?;
                bytes = rest;
                Value::Fixed64(*head)
            }
            5 => {
                let (head, rest) = bytes.split_first_chunk::<4>()?;
                bytes = rest;
                Value::Fixed32(*head)
            }
            2 => {
                let length = usize::try_from(read_varint(&mut bytes)?).ok()?;
                let (head, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                match decode(head).filter(|fields| !fields.is_empty()) {
                    Some(fields) => Value::Message(fields),
                    None => Value::Bytes(head.to_vec()),
                }
            }
            _ => return None,
        };
        if tag >> 3 == 0 {
            return None;
        }
        fields.push(Field { number: tag >> 3, value });
    }
    Some(fields)
}

/// The paths to all fields, each a list of indices from the outermost message inwards.
pub(crate) fn paths(fields: &[Field]) -> Vec<Vec<usize>> {
    let mut found = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        found.push(vec![index]);
        if let Value::Message(inner) = &field.value {
            found.extend(paths(inner).into_iter().map(|path| [vec![index], path].concat()));
        }
    }
    found
}

/// The message that holds the field at a path, and the index of the field in it.
pub(crate) fn holder<'a>(mut fields: &'a mut Vec<Field>, path: &[usize]) -> Option<(&'a mut Vec<Field>, usize)> {
    let (last, outer) = path.split_last()?;
    for index in outer {
        match &mut fields.get_mut(*index)?.value {
            Value::Message(inner) => fields = inner,
            _ => return None,
        }
    }
    (*last < fields.len()).then_some((fields, *last))
}
