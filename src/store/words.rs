//! What is read of waivers, grants, attestations and acknowledgements.

use super::Store;
use super::database::decoded;
use super::fault::StoreFault;
use super::keyspace::{Key, Tag};
use crate::domain::audit::{Acknowledgement, Attestation};
use crate::domain::waiver::WaiverState;
use crate::domain::{EntryIndex, LotId, PartyId};

impl Store {
    /// Waivers, ascending by reason and subject, after one.
    pub fn waivers(
        &self,
        after: Option<(String, String)>,
        max: usize,
    ) -> Result<Vec<WaiverState>, StoreFault> {
        let after = after.map(|(reason_code, subject)| Key::Waiver(reason_code, subject));
        let from = after.as_ref().map_or(vec![Tag::Waiver as u8], Key::bytes);
        self.rows(Tag::Waiver, from, max, |key| Some(key) != after.as_ref())
    }

    /// Attestations in the order of their entries, after one.
    pub fn attestations(
        &self,
        after: Option<EntryIndex>,
        max: usize,
    ) -> Result<Vec<Attestation>, StoreFault> {
        let after = after.map(Key::Attestation);
        let from = after.as_ref().map_or(vec![Tag::Attestation as u8], Key::bytes);
        self.rows(Tag::Attestation, from, max, |key| Some(key) != after.as_ref())
    }

    /// What each party has said last of an anomaly, ascending by party.
    pub fn acknowledgements(
        &self,
        anomaly: &str,
        max: usize,
    ) -> Result<Vec<Acknowledgement>, StoreFault> {
        let first = Key::Acknowledgement(anomaly.to_owned(), PartyId::from_bytes([0; 16]));
        let mut found = Vec::new();
        for item in self.database.walk(Tag::Acknowledgement, first.bytes()) {
            let (key, value) = item?;
            match &key {
                Key::Acknowledgement(of, _) if of == anomaly && found.len() < max => {
                    found.push(decoded(&key, &value)?);
                }
                _ => break,
            }
        }
        Ok(found)
    }

    /// Lots that a party has a grant to see, ended ones included, ascending, after one.
    pub fn granted_lots(
        &self,
        reader: PartyId,
        after: Option<LotId>,
        max: usize,
    ) -> Result<Vec<LotId>, StoreFault> {
        let from = Key::GrantedLot(reader, after.unwrap_or(LotId::from_bytes([0; 16])));
        let mut found = Vec::new();
        for item in self.database.walk(Tag::GrantedLot, from.bytes()) {
            match item?.0 {
                Key::GrantedLot(of, lot) if of == reader && found.len() < max => {
                    if Some(lot) != after {
                        found.push(lot);
                    }
                }
                _ => break,
            }
        }
        Ok(found)
    }

    fn rows<T: super::codec::Codec>(
        &self,
        tag: Tag,
        from: Vec<u8>,
        max: usize,
        is_asked: impl Fn(&Key) -> bool,
    ) -> Result<Vec<T>, StoreFault> {
        let mut found = Vec::new();
        for item in self.database.walk(tag, from) {
            if found.len() >= max {
                break;
            }
            let (key, value) = item?;
            if is_asked(&key) {
                found.push(decoded(&key, &value)?);
            }
        }
        Ok(found)
    }
}
