//! Protocol buffers, as far as they are written (<https://protobuf.dev/programming-guides/encoding>).

/// How the bytes of a field are laid out.
mod kind {
    pub(super) const VARINT: u64 = 0;
    pub(super) const BYTES: u64 = 2;
    pub(super) const FOUR_BYTES: u64 = 5;
}

/// A message that is being written, field by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value > 0x7F {
            self.bytes.push((value & 0x7F) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn key(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    /// An integer or the value of an enum.
    pub(super) fn int(&mut self, field: u64, value: i64) {
        self.key(field, kind::VARINT);
        self.varint(value.cast_unsigned());
    }

    /// A 32-bit float.
    pub(super) fn float(&mut self, field: u64, value: f32) {
        self.key(field, kind::FOUR_BYTES);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Bytes.
    pub(super) fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, kind::BYTES);
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// Text.
    pub(super) fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    /// Repeated integers, packed.
    pub(super) fn ints(&mut self, field: u64, values: &[i64]) {
        let mut packed = Message::default();
        values.iter().for_each(|value| packed.varint(value.cast_unsigned()));
        self.bytes(field, &packed.bytes);
    }

    /// Repeated floats, packed.
    pub(super) fn floats(&mut self, field: u64, values: &[f32]) {
        let packed: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.bytes(field, &packed);
    }

    /// A message within this one.
    pub(super) fn message(&mut self, field: u64, inner: &Message) {
        self.bytes(field, &inner.bytes);
    }

    /// A message within this one whose last field is long: it is copied once.
    pub(super) fn message_ending(&mut self, field: u64, inner: &Message, last: u64, bytes: &[u8]) {
        let mut head = inner.clone();
        head.key(last, kind::BYTES);
        head.varint(bytes.len() as u64);
        self.key(field, kind::BYTES);
        self.varint((head.bytes.len() + bytes.len()) as u64);
        self.bytes.extend_from_slice(&head.bytes);
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Its bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::Message;

    #[test]
    fn fields_are_as_the_specification_shows_them() {
        let mut inner = Message::default();
        inner.int(1, 150);
        assert_eq!(inner.bytes, [0x08, 0x96, 0x01]);
        let mut message = Message::default();
        message.message(3, &inner);
        message.text(2, "testing");
        message.ints(6, &[3, 270, 86942]);
        let expected = [
            [0x1a, 0x03, 0x08, 0x96, 0x01].as_slice(),
            &[0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67],
            &[0x32, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05],
        ];
        assert_eq!(message.into_bytes(), expected.concat());
    }

    #[test]
    fn negative_integers_take_ten_bytes() {
        let mut message = Message::default();
        message.int(1, -1);
        assert_eq!(message.bytes, [&[0x08][..], &[0xff; 9], &[0x01]].concat());
        assert_eq!(message.len(), 11);
    }

    #[test]
    fn a_long_last_field_is_one_of_the_message() {
        let mut inner = Message::default();
        inner.int(1, 5);
        let (mut at_once, mut apart) = (Message::default(), Message::default());
        at_once.message_ending(2, &inner, 9, &[1, 2, 3]);
        inner.bytes(9, &[1, 2, 3]);
        apart.message(2, &inner);
        assert_eq!(at_once, apart);
    }
}
