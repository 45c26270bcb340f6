//! Domain state as values of the database.
//!
//! *Owns:* every field in order, big-endian, no tags, no defaults, nothing left over. Words are
//! stored by the numbers that the record gives them.
//!
//! *Never:* is part of the record: these bytes are nobody's but ours and can be made again from the
//! journal. A change of layout is a new format version of the database and a rebuild.
//!
//! *See:* `store::keyspace` for the keys they lie under.

mod audit;
mod campaign;
mod fact;
mod ledger;
mod lot;
mod lot_map;
mod movement;
mod party;
mod plain;
mod sight;

/// Why bytes are not a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {rule}")]
pub struct CodecFault {
    /// Where.
    pub offset: usize,
    /// What is broken there.
    pub rule: &'static str,
}

/// A type that has a layout.
pub trait Codec: Sized {
    /// Appends the value.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes a value off the front.
    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault>;
}

/// Bytes that are being read.
#[derive(Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A value's bytes.
pub fn encode<T: Codec>(value: &T) -> Vec<u8> {
    // A lot takes some 300 bytes, most else less: seldom moved while it grows.
    let mut out = Vec::with_capacity(320);
    value.put(&mut out);
    out
}

/// The value of some bytes, all of them.
pub fn decode<T: Codec>(bytes: &[u8]) -> Result<T, CodecFault> {
    let mut input = Input { bytes, at: 0 };
    let value = T::take(&mut input)?;
    if input.left() > 0 {
        return Err(input.fault("bytes are left over"));
    }
    Ok(value)
}

impl<'a> Input<'a> {
    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8], CodecFault> {
        let Some(found) = self.bytes[self.at..].get(..len) else {
            return Err(self.fault("the value ends too early"));
        };
        self.at += len;
        Ok(found)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecFault> {
        let Some(found) = self.bytes[self.at..].first_chunk::<N>() else {
            return Err(self.fault("the value ends too early"));
        };
        self.at += N;
        Ok(*found)
    }

    fn fault(&self, rule: &'static str) -> CodecFault {
        CodecFault { offset: self.at, rule }
    }
}

/// Gives a struct the layout of its fields in the order named. A field that is forgotten does not
/// compile.
macro_rules! codec_struct {
    ($name:ty { $($field:ident),+ $(,)? }) => {
        impl $crate::store::codec::Codec for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),+ } = self;
                $($crate::store::codec::Codec::put($field, out);)+
            }

            fn take(
                input: &mut $crate::store::codec::Input<'_>,
            ) -> Result<Self, $crate::store::codec::CodecFault> {
                $(let $field = $crate::store::codec::Codec::take(input)?;)+
                Ok(Self { $($field),+ })
            }
        }
    };
}

/// Gives an enum a number (u8) per variant, then the fields of the variant. Numbers are never
/// reused.
macro_rules! codec_enum {
    ($name:ident { $($number:literal $variant:ident $(( $($field:ident),+ ))?),+ $(,)? }) => {
        impl $crate::store::codec::Codec for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(( $($field),+ ))? => {
                        out.push($number);
                        $($($crate::store::codec::Codec::put($field, out);)+)?
                    })+
                }
            }

            fn take(
                input: &mut $crate::store::codec::Input<'_>,
            ) -> Result<Self, $crate::store::codec::CodecFault> {
                let number = <u8 as $crate::store::codec::Codec>::take(input)?;
                match number {
                    $($number => {
                        $($(let $field = $crate::store::codec::Codec::take(input)?;)+)?
                        Ok(Self::$variant $(( $($field),+ ))?)
                    })+
                    _ => Err(input.fault(concat!("a number that no ", stringify!($name), " has"))),
                }
            }
        }
    };
}

/// Stores words of the vocabulary by their numbers.
macro_rules! codec_vocabulary {
    ($($name:ident),+ $(,)?) => {
        $(impl $crate::store::codec::Codec for $name {
            fn put(&self, out: &mut Vec<u8>) {
                out.push(self.number());
            }

            fn take(
                input: &mut $crate::store::codec::Input<'_>,
            ) -> Result<Self, $crate::store::codec::CodecFault> {
                let number = <u8 as $crate::store::codec::Codec>::take(input)?;
                let word = $name::from_number(number.into());
                word.ok_or(input.fault(concat!("a number that no ", stringify!($name), " has")))
            }
        })+
    };
}

pub(super) use codec_struct;
use {codec_enum, codec_vocabulary};

/// A value goes and comes back; every shorter and longer byte string is refused.
#[cfg(test)]
fn assert_round_trip<T: Codec + PartialEq + std::fmt::Debug>(value: &T) {
    let mut bytes = encode(value);
    assert_eq!(&decode::<T>(&bytes).unwrap(), value);
    for len in 0..bytes.len() {
        assert!(decode::<T>(&bytes[..len]).is_err(), "{len} bytes of {value:?} are a value");
    }
    bytes.push(0);
    assert!(decode::<T>(&bytes).is_err(), "a byte more is still {value:?}");
}
