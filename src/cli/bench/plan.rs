//! How the entries of a run are spent: which sizes are looked at, and on the way to each, what is
//! only filled in and what is measured.

use anyhow::bail;

use crate::limits::{
    BENCH_FIRST_POINT, MAX_BATCH_EVENTS, MAX_BENCH_MEASURED_ENTRIES, MAX_BENCH_WINDOW_ENTRIES,
};

/// The sizes at which everything is measured: powers of ten from a hundred thousand on, and the
/// end; there have to be as many entries again between the last two.
pub(super) fn points(entries: u64) -> Vec<u64> {
    let powers = std::iter::successors(Some(BENCH_FIRST_POINT), |it| it.checked_mul(10));
    powers.take_while(|it| *it <= entries / 2).chain([entries]).collect()
}

/// Entries on the way to a size. All but `fill` and `burst` are of one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// Before anything is measured.
    pub(super) fill: u64,
    /// In a window of batches; whole batches.
    pub(super) batch: u64,
    /// In a window of single appends.
    pub(super) single: u64,
    /// In a window at half of the peak.
    pub(super) paced: u64,
    /// Into which the node is killed; whole batches.
    pub(super) burst: u64,
}

impl Step {
    /// Plans a step of so many entries. Of what is measured a tenth is the burst, and of the rest
    /// five ninths go in batches, two alone, two at half of the peak. So many in a hundred take a
    /// registration of their key besides, and each 64 of these three of their party.
    pub(super) fn new(entries: u64, rounds: u64, fresh_percent: u64) -> anyhow::Result<Self> {
        const FULL: u64 = MAX_BATCH_EVENTS as u64;
        let registered = fresh_percent + fresh_percent.div_ceil(8);
        let measured = (entries * 100 / (100 + registered)).min(MAX_BENCH_MEASURED_ENTRIES);
        let burst = (measured / 10 / FULL).max(2) * FULL;
        let rest = measured.saturating_sub(burst) / rounds;
        let batch = (rest * 5 / 9).min(MAX_BENCH_WINDOW_ENTRIES) / FULL * FULL;
        let single = (rest * 2 / 9).min(MAX_BENCH_WINDOW_ENTRIES) / 4 * 4;
        if batch == 0 || single == 0 {
            bail!(
                "{entries} entries are too few for {rounds} rounds beside the registry: give more \
                 entries, or fewer rounds or signers"
            );
        }
        let windows = rounds * (batch + 2 * single);
        let fill = entries.saturating_sub(windows + windows * registered / 100 + burst);
        Ok(Self { fill: fill / 4 * 4, batch, single, paced: single, burst })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_ten_and_the_end() {
        assert_eq!(points(2_000), [2_000]);
        assert_eq!(points(100_000), [100_000]);
        assert_eq!(points(150_000), [150_000]);
        assert_eq!(points(2_500_000), [100_000, 1_000_000, 2_500_000]);
    }

    #[test]
    fn a_step_spends_no_more_than_it_has() {
        for (entries, rounds) in [(3_000, 1), (100_000, 5), (9_000_000, 5), (50_000, 50)] {
            let it = Step::new(entries, rounds, 0).unwrap();
            let spent = it.fill + rounds * (it.batch + it.single + it.paced) + it.burst;
            assert!(spent <= entries && entries - spent < 1_024, "{entries}: {it:?}");
            assert!(it.batch.is_multiple_of(256) && it.burst.is_multiple_of(256));
        }
        assert!(Step::new(1_000, 5, 0).is_err());
    }
}
