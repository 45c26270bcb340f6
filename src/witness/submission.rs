//! The body of `add-checkpoint` (C2SP tlog-witness): old size, consistency proof, checkpoint.

use std::fmt::Write as _;

use crate::domain::{EntryCount, Hash32};
use crate::ledger::base64::encode as to_base64;
use crate::ledger::checkpoint::{CheckpointFault, parse_decimal, parse_hash};
use crate::ledger::log_checkpoint::LogCheckpoint;
use crate::limits::{MAX_CONSISTENCY_LINES, MAX_SUBMISSION_BYTES};

/// A submission: form checked, nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Size of the tree that the proof begins with.
    pub old: EntryCount,
    /// From that tree to the checkpoint's.
    pub proof: Vec<Hash32>,
    /// The new checkpoint.
    pub checkpoint: LogCheckpoint,
}

/// Why a body is not a submission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmissionFault {
    /// Longer than any.
    #[error("a submission has at most {MAX_SUBMISSION_BYTES} bytes, not {0}")]
    TooLong(usize),
    /// The part before the checkpoint is not text.
    #[error("the lines before the checkpoint are not UTF-8")]
    NotUtf8,
    /// No empty line.
    #[error("there is no empty line before the checkpoint")]
    NoEmptyLine,
    /// The first line is another.
    #[error("line 1 is not `old <size>`")]
    OldSize,
    /// Too many proof lines.
    #[error("more than {MAX_CONSISTENCY_LINES} proof lines")]
    ProofTooLong,
    /// A proof line is not a hash.
    #[error("line {0} is not 32 bytes in base64")]
    ProofLine(usize),
    /// The checkpoint is none.
    #[error("the checkpoint is refused: {0}")]
    Checkpoint(#[source] CheckpointFault),
}

impl Submission {
    /// Takes a body apart.
    pub fn parse(body: &[u8]) -> Result<Self, SubmissionFault> {
        if body.len() > MAX_SUBMISSION_BYTES {
            return Err(SubmissionFault::TooLong(body.len()));
        }
        // No line before the first empty one can be empty.
        let blank = body.windows(2).position(|pair| pair == b"\n\n");
        let blank = blank.ok_or(SubmissionFault::NoEmptyLine)?;
        let head = std::str::from_utf8(&body[..blank]).map_err(|_| SubmissionFault::NotUtf8)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(parse_decimal).map(EntryCount).ok_or(SubmissionFault::OldSize)?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == MAX_CONSISTENCY_LINES {
                return Err(SubmissionFault::ProofTooLong);
            }
            proof.push(parse_hash(line).ok_or(SubmissionFault::ProofLine(proof.len() + 2))?);
        }
        let checkpoint = LogCheckpoint::parse(&body[blank + 2..]);
        let checkpoint = checkpoint.map_err(SubmissionFault::Checkpoint)?;
        Ok(Self { old, proof, checkpoint })
    }

    /// The body for a checkpoint's text.
    pub fn body(old: EntryCount, proof: &[Hash32], checkpoint: &str) -> String {
        let mut body = format!("old {old}\n");
        for hash in proof {
            // Writing to a String does not fail.
            let _ = writeln!(body, "{}", to_base64(hash.as_bytes()));
        }
        body.push('\n');
        body.push_str(checkpoint);
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::hash::sha256;

    /// The example of C2SP tlog-witness.
    const EXAMPLE: &str = "old 20852014\n\
        PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
        jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
        5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
        /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\
        \n\
        example.com/behind-the-sofa\n\
        20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
        \n\
        \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN\
        7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

    #[test]
    fn the_example_of_the_specification_is_read_and_written() {
        let read = Submission::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!((read.old, read.proof.len()), (EntryCount(20_852_014), 4));
        assert_eq!(read.checkpoint.origin(), "example.com/behind-the-sofa");
        assert_eq!(read.checkpoint.size(), EntryCount(20_852_163));
        let checkpoint = EXAMPLE.split_once("\n\n").unwrap().1;
        assert_eq!(Submission::body(read.old, &read.proof, checkpoint), EXAMPLE);
    }

    #[test]
    fn each_rule_broken_once_is_told_as_such() {
        let checkpoint = EXAMPLE.split_once("\n\n").unwrap().1;
        let line = to_base64(&sha256(b"x").0);
        let of = |head: &str| Submission::parse(format!("{head}\n\n{checkpoint}").as_bytes());
        let lines = |count: usize| format!("old 1{}", format!("\n{line}").repeat(count));
        assert!(of(&lines(63)).is_ok());
        let rows = [
            (lines(64), SubmissionFault::ProofTooLong),
            ("old 01".into(), SubmissionFault::OldSize),
            ("old -1".into(), SubmissionFault::OldSize),
            ("old  1".into(), SubmissionFault::OldSize),
            ("old 18446744073709551616".into(), SubmissionFault::OldSize),
            ("size 1".into(), SubmissionFault::OldSize),
            ("old 1\r".into(), SubmissionFault::OldSize),
            (format!("old 1\n{line}\n{line} "), SubmissionFault::ProofLine(3)),
            ("old 1\nAA==".into(), SubmissionFault::ProofLine(2)),
        ];
        for (head, fault) in rows {
            assert_eq!(of(&head), Err(fault), "{head}");
        }
        assert_eq!(Submission::parse(b"old 1\n"), Err(SubmissionFault::NoEmptyLine));
        assert_eq!(Submission::parse(b"\xff\n\nx"), Err(SubmissionFault::NotUtf8));
        let none = Submission::parse(b"old 1\n\nnot a checkpoint\n");
        assert!(matches!(none, Err(SubmissionFault::Checkpoint(_))));
        let long = vec![b'a'; MAX_SUBMISSION_BYTES + 1];
        assert_eq!(Submission::parse(&long), Err(SubmissionFault::TooLong(long.len())));
    }
}
