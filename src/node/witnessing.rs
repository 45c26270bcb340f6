//! One witness, asked to cosign: the conversation of C2SP tlog-witness from the log's side, and
//! what each answer means.

use std::fmt;

use super::reader::{ReadFault, Reader};
use crate::domain::EntryCount;
use crate::ledger::cosignature::{CosignatureFault, Held, cosignature_on};
use crate::ledger::policy::PolicyWitness;
use crate::ledger::vkey::VerifierKey;
use crate::ledger::{CheckpointFault, SignedCheckpoint};
use crate::limits::MAX_SUBMISSION_TRIES;
use crate::witness::{Answer, ClientFault, Submission, WitnessClient};

/// A checkpoint to be cosigned.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) size: EntryCount,
    /// With the ledger's signature only.
    pub(super) checkpoint: SignedCheckpoint,
}

/// What came of asking.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A cosignature that was checked.
    Cosigned(Box<Held>),
    /// The witness has cosigned a larger tree of ours.
    Ahead,
    /// No cosignature.
    Trouble(Trouble),
}

/// Why a witness did not cosign.
#[derive(Debug)]
pub(super) enum Trouble {
    /// ALARM: it has cosigned more entries than this ledger has. Either this ledger is an old copy,
    /// or somebody else signs with its key.
    SawMore { size: EntryCount, ours: EntryCount },
    /// ALARM: what it cosigned is not a beginning of this ledger.
    SawAnother { size: EntryCount, said: String },
    /// No answer.
    Unreachable(ClientFault),
    /// It says no.
    Refused { status: u16, said: String },
    /// What it sent is no cosignature of it on this checkpoint.
    BadAnswer(String),
    /// It tells other sizes each time.
    Unsteady,
    /// This node could not read its own tree.
    Unreadable(ReadFault),
}

/// Asks one witness, and remembers how far it is.
pub(super) struct Worker {
    key: VerifierKey,
    client: WitnessClient,
    reader: Reader,
    /// The size that it cosigned last, as far as is known.
    stands: EntryCount,
}

impl Outcome {
    /// Every name, for the metrics.
    pub(super) const NAMES: [&'static str; 9] = [
        "cosigned",
        "ahead",
        "saw-more",
        "saw-another",
        "unreachable",
        "refused",
        "bad-answer",
        "unsteady",
        "unreadable",
    ];

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Cosigned(_) => "cosigned",
            Self::Ahead => "ahead",
            Self::Trouble(trouble) => trouble.name(),
        }
    }
}

impl Trouble {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::SawMore { .. } => "saw-more",
            Self::SawAnother { .. } => "saw-another",
            Self::Unreachable(_) => "unreachable",
            Self::Refused { .. } => "refused",
            Self::BadAnswer(_) => "bad-answer",
            Self::Unsteady => "unsteady",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// Whether it tells of another history of this ledger.
    pub(super) const fn is_alarm(&self) -> bool {
        matches!(self, Self::SawMore { .. } | Self::SawAnother { .. })
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SawMore { size, ours } => write!(
                f,
                "FORK ALARM: the witness says that it cosigned {size} entries of this ledger, \
                 which has {ours}: this is an old copy, or somebody else signs with its key"
            ),
            Self::SawAnother { size, said } => write!(
                f,
                "FORK ALARM: the witness says that the {size} entries which it cosigned are not \
                 the first {size} of this ledger ({said})"
            ),
            Self::Unreachable(fault) => write!(f, "the witness does not answer: {fault}"),
            Self::Refused { status, said } => write!(f, "the witness refuses: {status} {said}"),
            Self::BadAnswer(why) => write!(f, "the witness answers with no cosignature: {why}"),
            Self::Unsteady => f.write_str("the witness tells other sizes each time"),
            Self::Unreadable(fault) => write!(f, "no proof for the witness: {fault}"),
        }
    }
}

impl Worker {
    pub(super) fn new(
        witness: &PolicyWitness,
        url: &str,
        reader: Reader,
    ) -> Result<Self, ClientFault> {
        let client = WitnessClient::new(url)?;
        Ok(Self { key: witness.key.clone(), client, reader, stands: EntryCount(0) })
    }

    /// Has a checkpoint cosigned. A witness that stands elsewhere than was thought says where, and
    /// gets the proof from there.
    pub(super) fn ask(&mut self, target: &Target) -> Outcome {
        if self.stands > target.size {
            // It will say again where it is.
            self.stands = EntryCount(0);
        }
        for _ in 0..MAX_SUBMISSION_TRIES {
            let proof = match self.reader.consistency_proof(self.stands, target.size) {
                Ok(proof) => proof.unwrap_or_default(),
                Err(fault) => return Outcome::Trouble(Trouble::Unreadable(fault)),
            };
            let body = Submission::body(self.stands, &proof, target.checkpoint.text());
            let answer = match self.client.add_checkpoint(&body) {
                Ok(answer) => answer,
                Err(fault) => return Outcome::Trouble(Trouble::Unreachable(fault)),
            };
            match answer {
                Answer::Cosigned(lines) => return self.cosigned(target, &lines),
                Answer::Stands(size) if size > target.size => return self.beyond(size),
                Answer::Stands(size) => self.stands = size,
                // A proof that our own reader verified does not verify from where it stands.
                Answer::Refused { status: 422, said } => {
                    let size = self.stands;
                    return Outcome::Trouble(Trouble::SawAnother { size, said });
                }
                Answer::Refused { status, said } => {
                    return Outcome::Trouble(Trouble::Refused { status, said });
                }
            }
        }
        Outcome::Trouble(Trouble::Unsteady)
    }

    fn beyond(&mut self, size: EntryCount) -> Outcome {
        // Asked now, not before: the ledger may have grown since this target was chosen.
        let ours = self.reader.size();
        if size > ours {
            return Outcome::Trouble(Trouble::SawMore { size, ours });
        }
        self.stands = size;
        Outcome::Ahead
    }

    fn cosigned(&mut self, target: &Target, lines: &str) -> Outcome {
        match held_of(&target.checkpoint, lines, &self.key) {
            Ok(held) => {
                self.stands = target.size;
                Outcome::Cosigned(Box::new(held))
            }
            Err(why) => Outcome::Trouble(Trouble::BadAnswer(why)),
        }
    }
}

/// The witness's own cosignature in its answer; lines by others are ignored.
fn held_of(checkpoint: &SignedCheckpoint, lines: &str, key: &VerifierKey) -> Result<Held, String> {
    // An answer with an empty line in it would make what stands before it the text that is signed.
    if lines.is_empty() || lines.starts_with('\n') || lines.contains("\n\n") {
        return Err("not signature lines".to_owned());
    }
    let text = format!("{}{lines}", checkpoint.text());
    let found: Result<Option<Held>, CosignatureFault> =
        cosignature_on(text.as_bytes(), key).map_err(|fault: CheckpointFault| fault.to_string())?;
    let held = found.map_err(|fault| fault.to_string())?;
    held.ok_or_else(|| "no line of its name and key id".to_owned())
}
