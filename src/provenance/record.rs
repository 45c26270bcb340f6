//! The record of one entry in memory. It never leaves the process, so it has no version: it is read
//! by the code that wrote it.
//!
//! Links first, of one width, so that a lot is found among many by halving: lot 16, and how many
//! entries back the lot's entry before this one lies, u32, 0 where it came into being. Then of each
//! lot that came into being its origin kinds and its material. Then the movement. Numbers are as
//! short as they are small (seven bits a byte), and a movement names a lot by its place among the
//! links.

use crate::domain::effects::LotLink;
use crate::domain::event::LotDraw;
use crate::domain::lot::{Content, Contents};
use crate::domain::movement::{Birth, InProcess, Movement};
use crate::domain::vocabulary::{EventKind, Substance};
use crate::domain::{CampaignId, EntryIndex, EventId, Grams, LotId};
use crate::limits::{MAX_ASSAY_VALUES, MAX_LOTS_PER_EVENT};

const LINK_BYTES: usize = 16 + 4;
const COUNT_BYTES: usize = 2;
/// A contents, every substance once, with the longest numbers.
const MAX_CONTENTS_BYTES: usize = 10 + 1 + MAX_ASSAY_VALUES * (1 + 10 + 10);
/// The longest record. Every lot of an event is drawn from or born, or both, and may stand by its
/// whole id; a movement has three contents besides.
pub(super) const MAX_BYTES: usize = COUNT_BYTES
    + MAX_LOTS_PER_EVENT * (LINK_BYTES + 3 + 5)
    + 2 * MAX_LOTS_PER_EVENT * (2 + 16 + 10 + MAX_CONTENTS_BYTES)
    + 3 * MAX_CONTENTS_BYTES
    + 256;

/// As what a lot came into being: its origin kinds as bits, and the number of its material.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) kinds: u16,
    pub(super) material: u32,
}

/// Parts of a movement that few have; each a bit.
mod has {
    pub(super) const ASSAY: u64 = 1;
    pub(super) const CAMPAIGN: u64 = 2;
    pub(super) const STOCK: u64 = 4;
    pub(super) const GAINED: u64 = 8;
    pub(super) const UPTAKE: u64 = 16;
    pub(super) const LOSS: u64 = 32;
}

/// Writes a record. `class_of` tells of a lot that came into being what it is, when that is known.
pub(super) fn put(
    out: &mut Vec<u8>,
    index: EntryIndex,
    links: &[LotLink],
    mut class_of: impl FnMut(LotId) -> Option<Class>,
    movement: Option<&Movement>,
) {
    // At most as many links as an event names lots.
    out.extend(u16::try_from(links.len()).unwrap_or(u16::MAX).to_le_bytes());
    for link in links {
        out.extend(link.lot.as_bytes());
        out.extend(distance(link, index).to_le_bytes());
    }
    for link in links.iter().filter(|link| link.previous.is_none()) {
        let class = class_of(link.lot);
        put_number(out, class.map_or(0, |it| u64::from(it.kinds) + 1));
        put_number(out, class.map_or(0, |it| it.material.into()));
    }
    if let Some(movement) = movement {
        Writer { out, links }.movement(movement);
    }
}

/// Entries between a lot's entry before and this one. One that is farther away than 32 bits say is
/// put beyond every entry, so that the life is not told from here.
fn distance(link: &LotLink, index: EntryIndex) -> u32 {
    let back = link.previous.map(|previous| index.0.saturating_sub(previous.0));
    back.map_or(0, |back| u32::try_from(back).unwrap_or(u32::MAX))
}

/// How far back the lot's entry before this one lies; 0 where it came into being, `None` when the
/// record does not name it.
pub(super) fn link_of(bytes: &[u8], lot: LotId) -> Option<u32> {
    let links = links(bytes)?;
    let (mut low, mut high) = (0, links.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let link = links.get(middle)?;
        match link[..16].cmp(&lot.as_bytes()[..]) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => return link_distance(link),
        }
    }
    None
}

/// As what a lot came into being here; `None` when it did not, or when nobody said.
pub(super) fn class_of(bytes: &[u8], lot: LotId) -> Option<Class> {
    let links = links(bytes)?;
    let mut reader = Reader::behind(bytes, links);
    for link in links {
        if link_distance(link)? > 0 {
            continue;
        }
        let (kinds, material) = (reader.number()?, reader.number()?);
        if link[..16] == lot.as_bytes()[..] {
            let kinds = u16::try_from(kinds.checked_sub(1)?).ok()?;
            return Some(Class { kinds, material: u32::try_from(material).ok()? });
        }
    }
    None
}

/// What the event did to metal; `None` when the record is broken.
#[expect(clippy::option_option, reason = "broken, and nothing done, are two answers")]
pub(super) fn movement_of(bytes: &[u8], index: EntryIndex) -> Option<Option<Movement>> {
    let links = links(bytes)?;
    let mut reader = Reader::behind(bytes, links);
    for link in links {
        if link_distance(link)? == 0 {
            // What it is.
            reader.number()?;
            reader.number()?;
        }
    }
    if reader.rest.is_empty() {
        return Some(None);
    }
    let movement = reader.movement(index)?;
    reader.rest.is_empty().then_some(Some(movement))
}

fn links(bytes: &[u8]) -> Option<&[[u8; LINK_BYTES]]> {
    let (count, rest) = bytes.split_first_chunk::<COUNT_BYTES>()?;
    let count = usize::from(u16::from_le_bytes(*count));
    let (links, []) = rest.get(..count * LINK_BYTES)?.as_chunks() else { return None };
    Some(links)
}

fn link_distance(link: &[u8; LINK_BYTES]) -> Option<u32> {
    link.last_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    links: &'a [LotLink],
}

impl Writer<'_> {
    fn movement(&mut self, movement: &Movement) {
        let Movement {
            index: _,
            event,
            kind,
            draws,
            births,
            output_count,
            uptake,
            loss,
            assay,
            campaign,
            stock,
            gained,
        } = movement;
        self.out.extend(event.as_bytes());
        self.out.push(kind.number());
        let bit = |bit, is_there| if is_there { bit } else { 0 };
        let parts = bit(has::ASSAY, assay.is_some())
            | bit(has::CAMPAIGN, campaign.is_some())
            | bit(has::STOCK, stock.is_some())
            | bit(has::GAINED, gained.is_some())
            | bit(has::UPTAKE, !uptake.is_zero())
            | bit(has::LOSS, !loss.is_zero());
        self.number(parts);
        self.count(draws.len());
        for draw in draws {
            self.draw(draw);
        }
        self.count(births.len());
        self.count(*output_count);
        for birth in births {
            self.birth(birth);
        }
        if !uptake.is_zero() {
            self.number(uptake.get());
        }
        if !loss.is_zero() {
            self.number(loss.get());
        }
        if let Some(assay) = assay {
            self.birth(assay);
        }
        if let Some(campaign) = campaign {
            self.out.extend(campaign.as_bytes());
        }
        if let Some(stock) = stock {
            self.stock(stock);
        }
        if let Some(gained) = gained {
            self.draw(gained);
        }
    }

    fn number(&mut self, number: u64) {
        put_number(self.out, number);
    }

    fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    /// A lot that the entry does not link stands behind the place that none has.
    fn lot(&mut self, lot: LotId) {
        if let Ok(place) = self.links.binary_search_by(|link| link.lot.cmp(&lot)) {
            self.count(place);
        } else {
            self.count(self.links.len());
            self.out.extend(lot.as_bytes());
        }
    }

    fn draw(&mut self, draw: &LotDraw) {
        self.lot(draw.lot);
        self.number(draw.mass.get());
    }

    fn birth(&mut self, birth: &Birth) {
        self.lot(birth.lot);
        self.number(birth.mass.get());
        match &birth.contents {
            None => self.count(0),
            Some(contents) => self.contents(contents),
        }
    }

    /// Begins with how many items there are, and one more, for none is another thing.
    fn contents(&mut self, contents: &Contents) {
        self.count(contents.items.len() + 1);
        self.number(contents.of_mass.get());
        for item in &contents.items {
            self.out.push(item.substance.number());
            self.number(item.contained.get());
            self.number(item.uncertainty.get());
        }
    }

    fn stock(&mut self, stock: &InProcess) {
        self.number(stock.mass.get());
        self.contents(&stock.contents);
        self.out.push(stock.from.is_some().into());
        if let Some(from) = stock.from {
            self.out.extend(from.as_bytes());
        }
        self.contents(&stock.left);
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    links: &'a [[u8; LINK_BYTES]],
}

impl<'a> Reader<'a> {
    fn behind(bytes: &'a [u8], links: &'a [[u8; LINK_BYTES]]) -> Self {
        let rest = bytes.get(COUNT_BYTES + links.len() * LINK_BYTES..).unwrap_or_default();
        Self { rest, links }
    }

    fn movement(&mut self, index: EntryIndex) -> Option<Movement> {
        let event = EventId::from_bytes(self.array()?);
        let kind = EventKind::from_number(self.byte()?.into())?;
        let parts = self.number()?;
        let draw_count = self.count(MAX_LOTS_PER_EVENT)?;
        let mut draws = Vec::with_capacity(draw_count);
        for _ in 0..draw_count {
            draws.push(self.draw()?);
        }
        let birth_count = self.count(MAX_LOTS_PER_EVENT)?;
        let output_count = self.count(MAX_LOTS_PER_EVENT)?;
        let mut births = Vec::with_capacity(birth_count);
        for _ in 0..birth_count {
            births.push(self.birth()?);
        }
        let has = |bit| parts & bit > 0;
        let uptake = if has(has::UPTAKE) { self.grams()? } else { Grams::ZERO };
        let loss = if has(has::LOSS) { self.grams()? } else { Grams::ZERO };
        let assay = if has(has::ASSAY) { Some(self.birth()?) } else { None };
        let campaign =
            if has(has::CAMPAIGN) { Some(CampaignId::from_bytes(self.array()?)) } else { None };
        let stock = if has(has::STOCK) { Some(self.stock()?) } else { None };
        let gained = if has(has::GAINED) { Some(self.draw()?) } else { None };
        Some(Movement {
            index,
            event,
            kind,
            draws,
            births,
            output_count,
            uptake,
            loss,
            assay,
            campaign,
            stock,
            gained,
        })
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn count(&mut self, most: usize) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= most)
    }

    fn grams(&mut self) -> Option<Grams> {
        self.number().map(Grams::of)
    }

    fn lot(&mut self) -> Option<LotId> {
        let place = self.count(self.links.len())?;
        match self.links.get(place) {
            Some(link) => link.first_chunk().map(|bytes| LotId::from_bytes(*bytes)),
            None => self.array().map(LotId::from_bytes),
        }
    }

    fn draw(&mut self) -> Option<LotDraw> {
        Some(LotDraw { lot: self.lot()?, mass: self.grams()? })
    }

    fn birth(&mut self) -> Option<Birth> {
        let (lot, mass) = (self.lot()?, self.grams()?);
        let contents = match self.count(MAX_ASSAY_VALUES + 1)?.checked_sub(1) {
            None => None,
            Some(item_count) => Some(self.contents(item_count)?),
        };
        Some(Birth { lot, mass, contents })
    }

    fn contents(&mut self, item_count: usize) -> Option<Contents> {
        let of_mass = self.grams()?;
        let mut items = Vec::with_capacity(item_count);
        for _ in 0..item_count {
            let substance = Substance::from_number(self.byte()?.into())?;
            items.push(Content { substance, contained: self.grams()?, uncertainty: self.grams()? });
        }
        Some(Contents { of_mass, items })
    }

    fn stock(&mut self) -> Option<InProcess> {
        let mass = self.grams()?;
        let item_count = self.count(MAX_ASSAY_VALUES + 1)?.checked_sub(1)?;
        let contents = self.contents(item_count)?;
        let from = match self.byte()? {
            0 => None,
            _ => Some(CampaignId::from_bytes(self.array()?)),
        };
        let item_count = self.count(MAX_ASSAY_VALUES + 1)?.checked_sub(1)?;
        Some(InProcess { mass, contents, from, left: self.contents(item_count)? })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const fn id(number: u8) -> LotId {
        LotId::from_bytes([number; 16])
    }

    fn contents() -> Contents {
        let item = |substance, grams| Content {
            substance,
            contained: Grams::of(grams),
            uncertainty: Grams::of(grams / 128),
        };
        let items = vec![item(Substance::Cu, 127), item(Substance::Nd, 1_000_000_000_000)];
        Contents { of_mass: Grams::of(16_384), items }
    }

    /// Everything that a movement can have.
    pub(in super::super) fn full(index: u64) -> Movement {
        let birth = |lot, contents| Birth { lot, mass: Grams::of(128), contents };
        let draw = |lot| LotDraw { lot, mass: Grams::of(u64::MAX) };
        let nothing = Contents { of_mass: Grams::ZERO, items: Vec::new() };
        Movement {
            index: EntryIndex(index),
            event: EventId::from_bytes([9; 16]),
            kind: EventKind::TransformLots,
            draws: vec![draw(id(2)), draw(id(8)), draw(id(3))],
            births: vec![birth(id(3), None), birth(id(2), Some(contents()))],
            output_count: 1,
            uptake: Grams::of(1),
            loss: Grams::of(2),
            assay: Some(birth(id(3), Some(nothing.clone()))),
            campaign: Some(CampaignId::from_bytes([3; 16])),
            stock: Some(InProcess {
                mass: Grams::of(7),
                contents: contents(),
                from: Some(CampaignId::from_bytes([4; 16])),
                left: nothing,
            }),
            gained: Some(draw(id(2))),
        }
    }

    fn record(movement: Option<&Movement>) -> Vec<u8> {
        let link = |lot, previous: Option<u64>| LotLink {
            lot,
            ordinal: u32::from(previous.is_some()),
            previous: previous.map(EntryIndex),
        };
        let links = [link(id(1), Some(7)), link(id(2), None), link(id(3), Some(9))];
        let class = |_| Some(Class { kinds: 5, material: 300 });
        let mut bytes = Vec::new();
        put(&mut bytes, EntryIndex(10), &links, class, movement);
        bytes
    }

    #[test]
    fn movements_come_back() {
        let bare = Movement {
            draws: vec![],
            births: vec![],
            uptake: Grams::ZERO,
            loss: Grams::ZERO,
            assay: None,
            campaign: None,
            stock: None,
            gained: None,
            ..full(10)
        };
        for movement in [None, Some(bare), Some(full(10))] {
            let bytes = record(movement.as_ref());
            assert_eq!(movement_of(&bytes, EntryIndex(10)), Some(movement));
        }
    }

    #[test]
    fn links_and_classes_come_back() {
        let bytes = record(None);
        let found = [1, 2, 3, 4].map(|lot| link_of(&bytes, id(lot)));
        assert_eq!(found, [Some(3), Some(0), Some(1), None]);
        assert_eq!(class_of(&bytes, id(2)), Some(Class { kinds: 5, material: 300 }));
        assert_eq!(class_of(&bytes, id(1)), None, "it was there before");
    }

    #[test]
    fn a_record_that_was_cut_says_nothing() {
        let bytes = record(Some(&full(10)));
        let whole = bytes.len();
        let bare = record(None).len();
        for length in (0..whole).filter(|length| *length != bare) {
            assert_eq!(movement_of(&bytes[..length], EntryIndex(10)), None, "{length}");
        }
    }
}
