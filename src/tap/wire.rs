//! Protobuf read in place: fields as they lie in the message, and a check of a whole trace export against its schema.
//!
//! Allocates nothing. May never accept what the protobuf decoder refuses: a checked message can be decoded at leisure later.
//! Field numbers are those of `opentelemetry/proto/{trace,common,resource}/v1` (OTLP 1.x).

/// The message is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// A value as it lies in the message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Wire<'a> {
    /// Bytes, text or a message.
    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed("a field has not the type that OTLP gives it")),
        }
    }
}

/// The fields of a message, in their order; ends after the first that is malformed.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) const fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (index, byte) in self.0.iter().enumerate().take(10) {
            // The tenth byte has room for one bit.
            if index == 9 && *byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                self.0 = self.0.get(index + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(Malformed("a number is cut short or too long"))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let split = usize::try_from(length).ok().and_then(|length| self.0.split_at_checked(length));
        let (taken, rest) = split.ok_or(Malformed("the message is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N as u64)?.try_into().map_err(|_| Malformed("the message is cut short"))
    }

    fn field(&mut self) -> Result<(u32, Wire<'a>), Malformed> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or(Malformed("a field has an impossible number"))?;
        let value = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(Malformed("a field has an unknown wire type")),
        };
        Ok((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Holds {
    Message(&'static Schema),
    Text,
    Bytes,
    Varint,
    Fixed64,
    Fixed32,
}

/// The fields of a message: number and content; others are skipped.
pub(super) struct Schema(&'static [(u32, Holds)]);

static VALUE: Schema = Schema(&[
    (1, Holds::Text),
    (2, Holds::Varint),
    (3, Holds::Varint),
    (4, Holds::Fixed64),
    (5, Holds::Message(&VALUES)),
    (6, Holds::Message(&PAIRS)),
    (7, Holds::Bytes),
    (8, Holds::Varint),
]);
static VALUES: Schema = Schema(&[(1, Holds::Message(&VALUE))]);
static PAIRS: Schema = Schema(&[(1, Holds::Message(&PAIR))]);
static PAIR: Schema = Schema(&[(1, Holds::Text), (2, Holds::Message(&VALUE)), (3, Holds::Varint)]);
static ENTITY: Schema = Schema(&[(1, Holds::Text), (2, Holds::Text), (3, Holds::Text), (4, Holds::Text)]);
static RESOURCE: Schema = Schema(&[(1, Holds::Message(&PAIR)), (2, Holds::Varint), (3, Holds::Message(&ENTITY))]);
static SCOPE: Schema = Schema(&[(1, Holds::Text), (2, Holds::Text), (3, Holds::Message(&PAIR)), (4, Holds::Varint)]);
static EVENT: Schema = Schema(&[
    (1, Holds::Fixed64),
    (2, Holds::Text),
    (3, Holds::Message(&PAIR)),
    (4, Holds::Varint),
]);
static LINK: Schema = Schema(&[
    (1, Holds::Bytes),
    (2, Holds::Bytes),
    (3, Holds::Text),
    (4, Holds::Message(&PAIR)),
    (5, Holds::Varint),
    (6, Holds::Fixed32),
]);
static STATUS: Schema = Schema(&[(2, Holds::Text), (3, Holds::Varint)]);
static SPAN: Schema = Schema(&[
    (1, Holds::Bytes),
    (2, Holds::Bytes),
    (3, Holds::Text),
    (4, Holds::Bytes),
    (5, Holds::Text),
    (6, Holds::Varint),
    (7, Holds::Fixed64),
    (8, Holds::Fixed64),
    (9, Holds::Message(&PAIR)),
    (10, Holds::Varint),
    (11, Holds::Message(&EVENT)),
    (12, Holds::Varint),
    (13, Holds::Message(&LINK)),
    (14, Holds::Varint),
    (15, Holds::Message(&STATUS)),
    (16, Holds::Fixed32),
]);
static SCOPE_SPANS: Schema = Schema(&[(1, Holds::Message(&SCOPE)), (2, Holds::Message(&SPAN)), (3, Holds::Text)]);
static RESOURCE_SPANS: Schema = Schema(&[(1, Holds::Message(&RESOURCE)), (2, Holds::Message(&SCOPE_SPANS)), (3, Holds::Text)]);
static EXPORT: Schema = Schema(&[(1, Holds::Message(&RESOURCE_SPANS))]);

/// How deep messages may lie in each other; the protobuf decoder's own limit.
const DEPTH: u32 = 100;

/// Checks a trace export: every field of every message has its type, every text is UTF-8, nothing is cut short.
pub(super) fn check(export: &[u8]) -> Result<(), Malformed> {
    conforms(export, &EXPORT, DEPTH)
}

fn conforms(message: &[u8], schema: &Schema, depth: u32) -> Result<(), Malformed> {
    for field in Fields::of(message) {
        let (number, value) = field?;
        // Numbers are dense, so a field is nearly always at its own place.
        let place = (number as usize).wrapping_sub(1);
        let near = schema.0.get(place).filter(|(known, _)| *known == number);
        let Some((_, holds)) = near.or_else(|| schema.0.iter().find(|(known, _)| *known == number)) else {
            continue;
        };
        match (holds, value) {
            (Holds::Message(inner), Wire::Bytes(bytes)) => {
                let depth = depth.checked_sub(1).ok_or(Malformed("messages lie too deep in each other"))?;
                conforms(bytes, inner, depth)?;
            }
            (Holds::Text, Wire::Bytes(bytes)) => {
                std::str::from_utf8(bytes).map_err(|_| Malformed("a text is not UTF-8"))?;
            }
            (Holds::Bytes, Wire::Bytes(_))
            | (Holds::Varint, Wire::Varint(_))
            | (Holds::Fixed64, Wire::Fixed64(_))
            | (Holds::Fixed32, Wire::Fixed32(_)) => {}
            _ => return Err(Malformed("a field has not the type that OTLP gives it")),
        }
    }
    Ok(())
}
