//! Numbers, texts, lists, ids, units.

use super::{Codec, CodecFault, Input, codec_struct};
use crate::domain::units::Validity;
use crate::domain::{
    AffiliationId, CampaignId, EntryCount, EntryIndex, EventId, Grams, Hash32, KeyId, LicenceId,
    LotId, Origin, PartyId, PublicKey, SiteId, TimeMs,
};

macro_rules! codec_integer {
    ($($name:ty),+) => {
        $(impl Codec for $name {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }

            fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
                input.array().map(Self::from_be_bytes)
            }
        })+
    };
}
codec_integer!(u8, u16, u32, u64);

macro_rules! codec_uuid {
    ($($name:ident),+) => {
        $(impl Codec for $name {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.as_bytes());
            }

            fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
                input.array().map(Self::from_bytes)
            }
        })+
    };
}
codec_uuid!(AffiliationId, CampaignId, EventId, LicenceId, LotId, PartyId, SiteId);

macro_rules! codec_wrapper {
    ($($name:ident),+) => {
        $(impl Codec for $name {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }

            fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
                Codec::take(input).map(Self)
            }
        })+
    };
}
codec_wrapper!(EntryCount, EntryIndex, Hash32, KeyId, PublicKey);

codec_struct!(Validity { from, to });

impl Codec for [u8; 32] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        input.array()
    }
}

impl Codec for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        match u8::take(input)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(input.fault("a truth value is 0 or 1")),
        }
    }
}

/// A count; the house holds no list that does not fit 32 bits.
impl Codec for usize {
    fn put(&self, out: &mut Vec<u8>) {
        debug_assert!(u32::try_from(*self).is_ok());
        u32::try_from(*self).unwrap_or(u32::MAX).put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        u32::take(input).map(|count| count as usize)
    }
}

impl Codec for Grams {
    fn put(&self, out: &mut Vec<u8>) {
        self.get().put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        u64::take(input).map(Self::of)
    }
}

impl Codec for TimeMs {
    fn put(&self, out: &mut Vec<u8>) {
        self.get().put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        let millis = u64::take(input)?;
        Self::new(millis).map_err(|_| input.fault("a time after the year 9999"))
    }
}

impl Codec for String {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        let len = usize::take(input)?;
        let raw = input.bytes(len)?.to_vec();
        Self::from_utf8(raw).map_err(|_| input.fault("a text is not UTF-8"))
    }
}

impl Codec for Origin {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_str().to_owned().put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        let text = String::take(input)?;
        Self::parse(&text).map_err(|_| input.fault("a text is not an origin"))
    }
}

impl<T: Codec> Codec for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        if bool::take(input)? { T::take(input).map(Some) } else { Ok(None) }
    }
}

impl<T: Codec> Codec for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_ref().put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        T::take(input).map(Self::new)
    }
}

impl<T: Codec> Codec for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        for item in self {
            item.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        let count = usize::take(input)?;
        // Every item takes a byte at least, so a bent count allocates no more than the value is
        // long.
        if count > input.left() {
            return Err(input.fault("a list is longer than its value"));
        }
        (0..count).map(|_| T::take(input)).collect()
    }
}

impl<A: Codec, B: Codec> Codec for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        Ok((A::take(input)?, B::take(input)?))
    }
}

impl<A: Codec, B: Codec, C: Codec> Codec for (A, B, C) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
        self.2.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        Ok((A::take(input)?, B::take(input)?, C::take(input)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{assert_round_trip, decode, encode};
    use super::*;

    #[test]
    fn plain_things_come_back() {
        assert_round_trip(&(1_u8, 2_u16, 3_u32));
        assert_round_trip(&(u64::MAX, true, String::from("铜")));
        assert_round_trip(&vec![Some(EntryIndex(7)), None]);
        assert_round_trip(&Validity { from: TimeMs::of(1), to: Some(TimeMs::of(2)) });
        assert_round_trip(&Origin::parse("ledger.example/a").unwrap());
        assert_round_trip(&(Grams::of(u64::MAX), LotId::from_bytes([9; 16])));
    }

    #[test]
    fn what_no_value_has_is_refused() {
        assert_eq!(decode::<bool>(&[2]).unwrap_err().rule, "a truth value is 0 or 1");
        assert_eq!(decode::<Option<u8>>(&[3, 0]).unwrap_err().offset, 1);
        assert!(decode::<Vec<u8>>(&[255; 5]).is_err());
        assert!(decode::<String>(&[0, 0, 0, 1, 0xFF]).is_err());
        assert!(decode::<TimeMs>(&[255; 8]).is_err());
        assert!(decode::<Origin>(&encode(&String::from("a b"))).is_err());
    }
}
