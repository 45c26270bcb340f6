//! The policy file of C2SP tlog-policy: which logs, which witnesses, and how many of them make a
//! checkpoint one to believe.

use std::collections::BTreeMap;
use std::fmt;

use super::checkpoint::{CheckpointFault, Note};
use super::cosignature::{CosignatureFault, Held, held_in};
use super::vkey::{SignatureType, VerifierKey, VkeyFault};
use crate::domain::{Origin, PublicKey};
use crate::limits::{MAX_POLICY_BYTES, MAX_POLICY_GROUPS, MAX_POLICY_LOGS, MAX_POLICY_WITNESSES};

/// The quorum that asks for nobody; no witness and no group has this name.
const NONE: &[u8] = b"none";

/// A policy, read and closed: every name that is used was defined before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    /// Witnesses and groups in the order of the file; a group names only places before its own.
    members: Vec<Member>,
    /// A place in `members`; `None` for `quorum none`.
    quorum: Option<usize>,
}

/// A log of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyLog {
    /// Its key; the key's name is the origin.
    pub key: VerifierKey,
    /// Where it can be reached, if that was said.
    pub url: Option<String>,
}

/// A witness of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyWitness {
    /// How the policy calls it; means nothing elsewhere.
    pub name: PolicyName,
    /// Its key.
    pub key: VerifierKey,
    /// Its submission prefix (C2SP tlog-witness), if that was said.
    pub url: Option<String>,
}

/// A name in a policy: octets, not text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyName(Vec<u8>);

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Member {
    /// A place in the witnesses.
    Witness(usize),
    /// Places in the members, all before this one, and how many of them it takes.
    Group { name: PolicyName, threshold: usize, of: Vec<usize> },
}

/// Why a text is not a policy, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy line {line}: {rule}")]
pub struct PolicyFault {
    /// From 1; the last line for what is missing.
    pub line: usize,
    /// Which rule it breaks.
    pub rule: PolicyRule,
}

/// A rule of the policy file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRule {
    /// Too long.
    #[error("a policy has at most {MAX_POLICY_BYTES} bytes, not {0}")]
    TooLong(usize),
    /// A control character other than tab and newline.
    #[error("control character {0:#04x}; only tab and newline may be there")]
    ControlCharacter(u8),
    /// A last line that is cut off.
    #[error("the last line does not end in a newline; is the file whole?")]
    NoNewline,
    /// Not a line of a policy.
    #[error("{0:?} begins no line of a policy; log, witness, group and quorum do")]
    Keyword(String),
    /// Too few or too many words.
    #[error("a line of this kind is `{0}`")]
    Words(&'static str),
    /// A key that is none, or of another kind.
    #[error("{0}")]
    Key(#[source] VkeyFault),
    /// A key that is not text.
    #[error("the key is not UTF-8")]
    KeyNotText,
    /// The same public key again.
    #[error("the key of {0} again; one key is one log or witness")]
    DuplicateKey(String),
    /// The same name again.
    #[error("the name {0} is taken")]
    NameTaken(PolicyName),
    /// The name that means nobody.
    #[error("`none` is no name of a witness or group")]
    NameReserved,
    /// A name that nobody defined before this line.
    #[error("{0} is not defined on a line before")]
    NameUnknown(PolicyName),
    /// In a group already: it would count twice.
    #[error("{0} is in a group already, and counts once")]
    MemberTwice(PolicyName),
    /// Not a threshold.
    #[error("{found:?} is neither `any`, `all`, nor a number from 1 to the {members} members")]
    Threshold {
        /// What was written.
        found: String,
        /// How many members there are.
        members: usize,
    },
    /// A second quorum.
    #[error("a second quorum; the first is on line {0}")]
    QuorumTwice(usize),
    /// No quorum.
    #[error("a policy has one line `quorum <name>`, and there is none")]
    QuorumMissing,
    /// Too many.
    #[error("more than {most} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
}

/// What the cosignatures on one checkpoint say under a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignatureReport {
    /// Witnesses whose cosignatures hold.
    pub held: Vec<(PolicyName, Held)>,
    /// Witnesses without a line.
    pub missing: Vec<PolicyName>,
    /// Witnesses under whose name and key id there is a line that does not hold.
    pub bad: Vec<(PolicyName, CosignatureFault)>,
    /// Whether those that hold are enough.
    pub is_quorum_met: bool,
}

impl Policy {
    /// Reads a policy file.
    pub fn parse(text: &[u8]) -> Result<Self, PolicyFault> {
        if text.len() > MAX_POLICY_BYTES {
            return Err(PolicyFault { line: 1, rule: PolicyRule::TooLong(text.len()) });
        }
        let mut reading = Reading::default();
        let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        let rest = lines.pop().unwrap_or_default();
        let last = lines.len().max(1);
        for (at, line) in lines.iter().enumerate() {
            let number = at + 1;
            reading.take(line, number).map_err(|rule| PolicyFault { line: number, rule })?;
        }
        if !rest.is_empty() {
            return Err(PolicyFault { line: lines.len() + 1, rule: PolicyRule::NoNewline });
        }
        let missing = PolicyFault { line: last, rule: PolicyRule::QuorumMissing };
        let (quorum, _) = reading.quorum.ok_or(missing)?;
        let Reading { logs, witnesses, members, .. } = reading;
        Ok(Self { logs, witnesses, members, quorum })
    }

    /// Its logs; none means that they are known from elsewhere.
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// Its witnesses.
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// Whether it names no logs, or this one under this key.
    pub fn is_for(&self, origin: &Origin, key: &PublicKey) -> bool {
        let is_it =
            |log: &PolicyLog| log.key.name() == origin.as_str() && log.key.public_key() == *key;
        self.logs.is_empty() || self.logs.iter().any(is_it)
    }

    /// Whether these witnesses are enough; a place for each witness of the policy, in its order.
    pub fn is_quorum(&self, held: &[bool]) -> bool {
        let Some(quorum) = self.quorum else { return true };
        let mut met: Vec<bool> = Vec::with_capacity(self.members.len());
        // A group names places before its own, so one pass answers all.
        for member in &self.members {
            met.push(match member {
                Member::Witness(at) => held.get(*at).copied().unwrap_or(false),
                Member::Group { threshold, of, .. } => {
                    of.iter().filter(|at| met.get(**at) == Some(&true)).count() >= *threshold
                }
            });
        }
        met.get(quorum) == Some(&true)
    }

    /// What the cosignatures on a checkpoint say. Lines of witnesses that are not of the policy are
    /// ignored; who signed as the log is not asked here.
    pub fn judge(&self, checkpoint: &[u8]) -> Result<CosignatureReport, CheckpointFault> {
        let note = Note::parse(checkpoint)?;
        let (mut held, mut missing, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        let mut holds = Vec::with_capacity(self.witnesses.len());
        for witness in &self.witnesses {
            let name = witness.name.clone();
            let found = held_in(&note, &witness.key);
            holds.push(matches!(found, Ok(Some(_))));
            match found {
                Ok(Some(cosignature)) => held.push((name, cosignature)),
                Ok(None) => missing.push(name),
                Err(fault) => bad.push((name, fault)),
            }
        }
        let is_quorum_met = self.is_quorum(&holds);
        Ok(CosignatureReport { held, missing, bad, is_quorum_met })
    }
}

/// A policy that is being read.
#[derive(Debug, Default)]
struct Reading {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    members: Vec<Member>,
    names: BTreeMap<PolicyName, usize>,
    /// For each member, whether a group has it already.
    is_grouped: Vec<bool>,
    /// With its line.
    quorum: Option<(Option<usize>, usize)>,
}

impl Reading {
    fn take(&mut self, line: &[u8], number: usize) -> Result<(), PolicyRule> {
        if let Some(found) = line.iter().find(|it| (**it < 0x20 && **it != b'\t') || **it == 0x7f) {
            return Err(PolicyRule::ControlCharacter(*found));
        }
        let words: Vec<&[u8]> =
            line.split(|it| matches!(it, b' ' | b'\t')).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", rest @ ..] => self.take_log(rest),
            [b"witness", rest @ ..] => self.take_witness(rest),
            [b"group", rest @ ..] => self.take_group(rest),
            [b"quorum", rest @ ..] => self.take_quorum(rest, number),
            [first, ..] => Err(PolicyRule::Keyword(told(first))),
        }
    }

    fn take_log(&mut self, words: &[&[u8]]) -> Result<(), PolicyRule> {
        let (key, url) = match words {
            [key] => (key, None),
            [key, url] => (key, Some(told(url))),
            _ => return Err(PolicyRule::Words("log <vkey> [<url>]")),
        };
        let key = vkey(SignatureType::Ed25519, key)?;
        if self.logs.iter().any(|log| log.key.public_key() == key.public_key()) {
            return Err(PolicyRule::DuplicateKey(key.name().to_owned()));
        }
        bounded(self.logs.len(), MAX_POLICY_LOGS, "logs")?;
        self.logs.push(PolicyLog { key, url });
        Ok(())
    }

    fn take_witness(&mut self, words: &[&[u8]]) -> Result<(), PolicyRule> {
        let (name, key, url) = match words {
            [name, key] => (name, key, None),
            [name, key, url] => (name, key, Some(told(url))),
            _ => return Err(PolicyRule::Words("witness <name> <vkey> [<url>]")),
        };
        let name = self.new_name(name)?;
        let key = vkey(SignatureType::CosignatureV1, key)?;
        let same = self.witnesses.iter().find(|it| it.key.public_key() == key.public_key());
        if let Some(same) = same {
            return Err(PolicyRule::DuplicateKey(same.name.to_string()));
        }
        bounded(self.witnesses.len(), MAX_POLICY_WITNESSES, "witnesses")?;
        let place = self.witnesses.len();
        self.witnesses.push(PolicyWitness { name: name.clone(), key, url });
        self.define(name, Member::Witness(place));
        Ok(())
    }

    fn take_group(&mut self, words: &[&[u8]]) -> Result<(), PolicyRule> {
        let [name, threshold, members @ ..] = words else {
            return Err(PolicyRule::Words("group <name> <k, any or all> <name>..."));
        };
        if members.is_empty() {
            return Err(PolicyRule::Words("group <name> <k, any or all> <name>..."));
        }
        let name = self.new_name(name)?;
        let mut of = Vec::with_capacity(members.len());
        for member in members {
            let (member, place) = self.known(member)?;
            // Else it could be one voice here and another one in a group of groups.
            if std::mem::replace(&mut self.is_grouped[place], true) {
                return Err(PolicyRule::MemberTwice(member));
            }
            of.push(place);
        }
        let threshold = threshold_of(threshold, of.len())?;
        let groups = self.members.len() - self.witnesses.len();
        bounded(groups, MAX_POLICY_GROUPS, "groups")?;
        self.define(name.clone(), Member::Group { name, threshold, of });
        Ok(())
    }

    fn take_quorum(&mut self, words: &[&[u8]], number: usize) -> Result<(), PolicyRule> {
        let [name] = words else { return Err(PolicyRule::Words("quorum <name>")) };
        if let Some((_, first)) = self.quorum {
            return Err(PolicyRule::QuorumTwice(first));
        }
        let place = if *name == NONE { None } else { Some(self.known(name)?.1) };
        self.quorum = Some((place, number));
        Ok(())
    }

    fn new_name(&self, name: &[u8]) -> Result<PolicyName, PolicyRule> {
        if name == NONE {
            return Err(PolicyRule::NameReserved);
        }
        let name = PolicyName(name.to_vec());
        if self.names.contains_key(&name) {
            return Err(PolicyRule::NameTaken(name));
        }
        Ok(name)
    }

    fn known(&self, name: &[u8]) -> Result<(PolicyName, usize), PolicyRule> {
        let name = PolicyName(name.to_vec());
        match self.names.get(&name) {
            Some(place) => Ok((name, *place)),
            None => Err(PolicyRule::NameUnknown(name)),
        }
    }

    fn define(&mut self, name: PolicyName, member: Member) {
        self.names.insert(name, self.members.len());
        self.members.push(member);
        self.is_grouped.push(false);
    }
}

fn vkey(wanted: SignatureType, word: &[u8]) -> Result<VerifierKey, PolicyRule> {
    let text = std::str::from_utf8(word).map_err(|_| PolicyRule::KeyNotText)?;
    VerifierKey::parse_as(wanted, text).map_err(PolicyRule::Key)
}

fn threshold_of(word: &[u8], members: usize) -> Result<usize, PolicyRule> {
    let number = match word {
        b"any" => Some(1),
        b"all" => Some(members),
        digits if digits.iter().all(u8::is_ascii_digit) => told(digits).parse().ok(),
        _ => None,
    };
    let threshold = number.filter(|it| (1..=members).contains(it));
    threshold.ok_or_else(|| PolicyRule::Threshold { found: told(word), members })
}

fn bounded(count: usize, most: usize, what: &'static str) -> Result<(), PolicyRule> {
    if count < most { Ok(()) } else { Err(PolicyRule::TooMany { what, most }) }
}

fn told(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EntryCount;
    use crate::ledger::hash::sha256;
    use crate::ledger::{Checkpoint, Cosigner, SignedCheckpoint, SigningKey, with_cosignatures};

    fn witness(seed: u8) -> Cosigner {
        let name = format!("w{seed}.example");
        Cosigner::new(&name, SigningKey::from_seed([seed; 32])).unwrap()
    }

    fn ledger() -> (Origin, SigningKey) {
        (Origin::parse("log.example/one").unwrap(), SigningKey::from_seed([1; 32]))
    }

    fn log_vkey(seed: u8) -> String {
        let key = SigningKey::from_seed([seed; 32]).public_key();
        VerifierKey::new("log.example/one", SignatureType::Ed25519, &key).unwrap().to_string()
    }

    /// Witnesses X1 to Y3 under keys 11 to 16, and what follows.
    fn of(rest: &str) -> Result<Policy, PolicyFault> {
        let mut text = format!("# a policy\n\n  log {} https://log.example/\n", log_vkey(1));
        for (name, seed) in ["X1", "X2", "X3", "Y1", "Y2", "Y3"].into_iter().zip(11_u8..) {
            text = text + "\twitness  " + name + "\t" + &witness(seed).vkey().to_string() + " \n";
        }
        text.push_str(rest);
        Policy::parse(text.as_bytes())
    }

    fn cosigned(seeds: &[u8]) -> SignedCheckpoint {
        let (origin, key) = ledger();
        let root = sha256(b"root");
        let signed = Checkpoint { origin, size: EntryCount(3), root }.sign(&key);
        let lines: Vec<Held> =
            seeds.iter().map(|seed| witness(*seed).cosign(signed.note_text(), 7)).collect();
        with_cosignatures(&signed, &lines).unwrap()
    }

    const TWO_LEVELS: &str = "group X-witnesses 2 X1 X2 X3\ngroup Y-witnesses any Y1 Y2 Y3\n\
                              group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n";

    #[test]
    fn the_example_of_the_specification_asks_for_two_and_one() {
        let policy = of(TWO_LEVELS).unwrap();
        let rows: [(&[u8], bool); 7] = [
            (&[], false),
            (&[11, 12], false),
            (&[11, 14, 15, 16], false),
            (&[11, 12, 14], true),
            (&[12, 13, 16], true),
            (&[11, 12, 13, 14, 15, 16], true),
            // Strangers are no witnesses.
            (&[11, 14, 20, 21], false),
        ];
        for (seeds, is_met) in rows {
            let report = policy.judge(cosigned(seeds).as_bytes()).unwrap();
            assert_eq!(report.is_quorum_met, is_met, "{seeds:?}");
            let known = seeds.iter().filter(|seed| (11..=16).contains(*seed)).count();
            assert_eq!((report.held.len(), report.missing.len()), (known, 6 - known));
            assert_eq!(report.bad, []);
        }
    }

    #[test]
    fn a_line_that_does_not_hold_counts_for_nothing_and_is_named() {
        let policy = of("group g 2 X1 X2 X3\nquorum g\n").unwrap();
        let elsewhere = witness(12).cosign("another text\n", 7);
        let text = format!("{}{}\n", cosigned(&[11]).text(), elsewhere.line());
        let report = policy.judge(text.as_bytes()).unwrap();
        assert!(!report.is_quorum_met);
        let [(name, CosignatureFault::BadSignature { number: 3, .. })] = report.bad.as_slice()
        else {
            panic!("{:?}", report.bad);
        };
        assert_eq!(name.to_string(), "X2");
    }

    #[test]
    fn quorums_of_one_and_of_none() {
        assert!(
            of("quorum none\n").unwrap().judge(cosigned(&[]).as_bytes()).unwrap().is_quorum_met
        );
        let one = of("quorum Y2\n").unwrap();
        assert!(one.judge(cosigned(&[15]).as_bytes()).unwrap().is_quorum_met);
        assert!(!one.judge(cosigned(&[11, 12, 13, 14, 16]).as_bytes()).unwrap().is_quorum_met);
        assert_eq!(Policy::parse(b"quorum none\n").unwrap().witnesses(), []);
    }

    #[test]
    fn a_policy_is_for_the_logs_that_it_names() {
        let (origin, key) = ledger();
        let other = SigningKey::from_seed([2; 32]).public_key();
        let policy = of("quorum none\n").unwrap();
        assert!(policy.is_for(&origin, &key.public_key()));
        assert!(!policy.is_for(&origin, &other));
        assert!(!policy.is_for(&Origin::parse("log.example/two").unwrap(), &key.public_key()));
        assert!(Policy::parse(b"quorum none\n").unwrap().is_for(&origin, &other));
    }

    #[test]
    fn names_are_octets() {
        let key = witness(11).vkey().to_string();
        let kelvin = Policy::parse(format!("witness \u{212a} {key}\nquorum K\n").as_bytes());
        let unknown = PolicyRule::NameUnknown(PolicyName(b"K".to_vec()));
        assert_eq!(kelvin, Err(PolicyFault { line: 2, rule: unknown }));
        let raw = [b"witness \xff ", key.as_bytes(), b"\nquorum \xff\n"].concat();
        assert!(
            Policy::parse(&raw).unwrap().judge(cosigned(&[11]).as_bytes()).unwrap().is_quorum_met
        );
    }

    #[test]
    fn each_rule_broken_once_is_told_with_its_line() {
        let name = |text: &str| PolicyName(text.as_bytes().to_vec());
        let w20 = witness(20).vkey().to_string();
        let log = log_vkey(1);
        let threshold = |found: &str| PolicyRule::Threshold { found: found.into(), members: 2 };
        let group = PolicyRule::Words("group <name> <k, any or all> <name>...");
        // Lines 1 to 9 are those of the kit.
        let rows = [
            ("", 9, PolicyRule::QuorumMissing),
            ("quorum X1", 10, PolicyRule::NoNewline),
            ("quorum X1\r\n", 10, PolicyRule::ControlCharacter(b'\r')),
            ("quorum X1\nquorum X1\n", 11, PolicyRule::QuorumTwice(10)),
            ("quorum g\ngroup g any X1\n", 10, PolicyRule::NameUnknown(name("g"))),
            ("quorum\n", 10, PolicyRule::Words("quorum <name>")),
            ("Quorum X1\n", 10, PolicyRule::Keyword("Quorum".into())),
            ("group g any\n", 10, group),
            ("group g 0 X1 X2\n", 10, threshold("0")),
            ("group g 3 X1 X2\n", 10, threshold("3")),
            ("group g +1 X1 X2\n", 10, threshold("+1")),
            ("group g most X1 X2\n", 10, threshold("most")),
            ("group g any X1 X1\n", 10, PolicyRule::MemberTwice(name("X1"))),
            ("group g any X1\ngroup h any X1\n", 11, PolicyRule::MemberTwice(name("X1"))),
            ("group g any none\n", 10, PolicyRule::NameUnknown(name("none"))),
            ("group g any g\n", 10, PolicyRule::NameUnknown(name("g"))),
            ("group none any X1\n", 10, PolicyRule::NameReserved),
            ("group X1 any X2\n", 10, PolicyRule::NameTaken(name("X1"))),
            (&format!("witness X1 {w20}\n"), 10, PolicyRule::NameTaken(name("X1"))),
            (
                &format!("witness Z {}\n", witness(11).vkey()),
                10,
                PolicyRule::DuplicateKey("X1".into()),
            ),
            (&format!("log {log}\n"), 10, PolicyRule::DuplicateKey("log.example/one".into())),
            (
                &format!("log {w20}\n"),
                10,
                PolicyRule::Key(VkeyFault::OtherType { wanted: 1, found: 4 }),
            ),
            (
                &format!("witness Z {log}\n"),
                10,
                PolicyRule::Key(VkeyFault::OtherType { wanted: 4, found: 1 }),
            ),
        ];
        for (text, line, rule) in rows {
            assert_eq!(of(text), Err(PolicyFault { line, rule }), "{text:?}");
        }
        let endless = vec![b'#'; MAX_POLICY_BYTES + 1];
        assert!(matches!(Policy::parse(&endless).unwrap_err().rule, PolicyRule::TooLong(_)));
    }

    #[test]
    fn a_policy_of_the_largest_size_is_read_and_one_more_is_not() {
        let lines = |count: u16| {
            (0..count).fold(String::new(), |text, at| {
                let mut seed = [9; 32];
                seed[..2].copy_from_slice(&at.to_be_bytes());
                let key = Cosigner::new("w.example", SigningKey::from_seed(seed)).unwrap();
                text + &format!("witness w{at} {}\n", key.vkey())
            }) + "quorum none\n"
        };
        let most = u16::try_from(MAX_POLICY_WITNESSES).unwrap();
        assert_eq!(Policy::parse(lines(most).as_bytes()).unwrap().witnesses().len(), 32);
        let rule = PolicyRule::TooMany { what: "witnesses", most: MAX_POLICY_WITNESSES };
        let line = MAX_POLICY_WITNESSES + 1;
        assert_eq!(Policy::parse(lines(most + 1).as_bytes()), Err(PolicyFault { line, rule }));
    }
}
