//! Every maximum of the house, with its arithmetic. Nothing loops, allocates or queues beyond these.
//!
//! A number here that is part of the record (marked *format*) can only grow with a new format version;
//! the others are this implementation's own and may change.

/// *Format.* An entry's length in an entry bundle is a `u16` (C2SP tlog-tiles).
pub const MAX_ENTRY_BYTES: usize = 65_535;
/// *Format.* Fixed part of an entry: version 2, kind 1, index 8, previous chain value 32, recorded at 8,
/// rules version 2, tables hash 32, batch first 8, batch length 2, link count 2.
pub const ENTRY_HEADER_BYTES: usize = 2 + 1 + 8 + 32 + 8 + 2 + 32 + 8 + 2 + 2;
/// *Format.* One lot link: lot id 16, ordinal 4, previous entry 8.
pub const LOT_LINK_BYTES: usize = 16 + 4 + 8;
/// *Format.* Lots that one event may name: 300 inputs, additions, outputs and residues together.
pub const MAX_LOTS_PER_EVENT: usize = 512;
/// *Format.* One signature in an envelope: key id 32, algorithm 2, ed25519 signature 64.
pub const SIGNATURE_BYTES: usize = 32 + 2 + 64;
/// *Format.* Parties that one event may need to sign.
pub const MAX_SIGNATURES: usize = 4;
/// *Format.* Signed bytes of one event.
pub const MAX_PAYLOAD_BYTES: usize = 48 * 1024;
/// *Format.* Envelope around a payload: count 1, signatures, payload length 4.
pub const MAX_ENVELOPE_BYTES: usize = 1 + MAX_SIGNATURES * SIGNATURE_BYTES + 4 + MAX_PAYLOAD_BYTES;

const _: () = assert!(
    ENTRY_HEADER_BYTES + MAX_LOTS_PER_EVENT * LOT_LINK_BYTES + MAX_ENVELOPE_BYTES
        <= MAX_ENTRY_BYTES,
    "the largest event with the most signatures and lots must fit an entry"
);

/// Entries in one atomic batch. 256 x 48 KiB would exceed the request limit, so bytes bind first.
pub const MAX_BATCH_EVENTS: usize = 256;
/// Bytes of one gRPC request (a batch of envelopes), and of one reply.
pub const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;
/// Envelope bytes in one batch: a reply repeats each entry (header and links around the envelope), and
/// one checkpoint and a proof per entry. (2 MiB + 256 x (97 + 512 x 28 + 64 x 34)) < 6.5 MiB in the worst
/// case that a client can build; the reply limit is set to that, the request limit stays.
pub const MAX_BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Bytes of one gRPC reply.
pub const MAX_REPLY_BYTES: usize = 8 * 1024 * 1024;

const _: () = assert!(MAX_BATCH_BYTES + MAX_BATCH_EVENTS * 64 <= MAX_REQUEST_BYTES);
const _: () = assert!(
    MAX_BATCH_BYTES
        + MAX_BATCH_EVENTS * (ENTRY_HEADER_BYTES + MAX_LOTS_PER_EVENT * LOT_LINK_BYTES + 64 * 34)
        <= MAX_REPLY_BYTES
);

/// Entries in one commit group (one journal frame). 512 to 1,024 measured best.
pub const MAX_GROUP_ENTRIES: usize = 1_024;
/// Bytes of entries in one commit group: at least one whole batch fits with its entry headers.
pub const MAX_GROUP_BYTES: usize = 8 * 1024 * 1024;
/// Requests waiting for the writer; beyond it callers get `Busy`.
pub const MAX_MAILBOX_REQUESTS: usize = 1_024;

/// Mass of one lot: a million tonnes. With 1e-8 fractions of fractions of fractions,
/// 1e12 x (1e8)^3 = 1e36 < 2^127 (1.7e38), so contained mass never overflows 128 bits.
pub const MAX_LOT_MASS_G: u64 = 1_000_000_000_000;
/// 100 % in units of 1e-8.
pub const WHOLE_E8: u32 = 100_000_000;

/// Bytes of short texts: numbers of documents, tickets, methods, external references.
pub const MAX_SHORT_TEXT_BYTES: usize = 64;
/// Bytes of names and authorities.
pub const MAX_NAME_BYTES: usize = 128;
/// Bytes of notes and reasons.
pub const MAX_NOTE_BYTES: usize = 256;
/// Bytes of a code of a table (material, form, process, scheme).
pub const MAX_CODE_BYTES: usize = 32;
/// Bytes of an origin.
pub const MAX_ORIGIN_BYTES: usize = 128;
/// Bytes of a checkpoint quoted inside an event.
pub const MAX_CHECKPOINT_TEXT_BYTES: usize = 2_048;

/// Bytes of one checkpoint with its signatures: room for 16 cosignatures of nearly 5 KB each (C2SP
/// signed-note asks for that much), in base64: 16 x (4/3 x 5,000 + 256) < 112 KiB.
pub const MAX_CHECKPOINT_BYTES: usize = 128 * 1024;
/// Hashes of one inclusion proof: the levels of a tree of 64-bit size.
pub const MAX_PROOF_HASHES: usize = 64;
/// Bytes of one receipt: entry in base64, 64 proof lines of 45 bytes, checkpoint, and 256 for the rest.
pub const MAX_RECEIPT_BYTES: usize =
    MAX_ENTRY_BYTES.div_ceil(3) * 4 + MAX_PROOF_HASHES * 45 + MAX_CHECKPOINT_BYTES + 256;

/// Documents, and commitments, of one event.
pub const MAX_DOCUMENTS: usize = 16;
/// Commitments of one event.
pub const MAX_COMMITMENTS: usize = 16;
/// Values of one composition: every substance once.
pub const MAX_ASSAY_VALUES: usize = 40;
/// Grades of one lot.
pub const MAX_GRADES: usize = 8;
/// Lots drawn as inputs or as parents of a merge.
pub const MAX_INPUTS: usize = 300;
/// Lots added (alloying, primary) in one transform.
pub const MAX_ADDITIONS: usize = 64;
/// Outputs, and residues, of one transform; lots of one opening inventory.
pub const MAX_OUTPUTS: usize = 64;
/// Children of one split.
pub const MAX_SPLIT_CHILDREN: usize = 256;
/// Loss or uptake lines of one transform.
pub const MAX_MASS_LINES: usize = 8;
/// Roles of one party.
pub const MAX_ROLES: usize = 16;
/// Licences of one party.
pub const MAX_LICENCES: usize = 64;
/// Affiliations of one party, past ones included.
pub const MAX_AFFILIATIONS: usize = 64;
/// Keys of one party, expired and revoked ones included.
pub const MAX_KEYS: usize = 64;
/// Waste codes of one licence.
pub const MAX_WASTE_CODES: usize = 64;
/// Processes of one site.
pub const MAX_SITE_PROCESSES: usize = 32;
/// Holds on one lot at a time.
pub const MAX_HOLDS: usize = 16;
/// Correctives of one declared error.
pub const MAX_CORRECTIVES: usize = 16;
/// Blocking events listed in one refusal; more are counted, not listed.
pub const MAX_BLOCKING_LISTED: usize = 16;
/// Events of a lot's life that are looked through for that list; older ones are not counted.
pub const MAX_BLOCKING_SCANNED: u32 = 4_096;

const _: () = assert!(
    MAX_INPUTS + MAX_ADDITIONS + MAX_OUTPUTS + MAX_OUTPUTS <= MAX_LOTS_PER_EVENT,
    "a transform at all its limits names no more lots than an entry can link"
);

/// Chunks of one published table set.
pub const MAX_TABLE_CHUNKS: u32 = 64;
/// Bytes of one chunk of tables.
pub const MAX_TABLE_CHUNK_BYTES: usize = 40_000;
/// Bytes of a whole table set.
pub const MAX_TABLE_SET_BYTES: usize = MAX_TABLE_CHUNKS as usize * MAX_TABLE_CHUNK_BYTES;

/// Items of one page of a list, at most and by default.
pub const MAX_PAGE_SIZE: u32 = 1_000;
/// Items of one page when the caller does not say.
pub const DEFAULT_PAGE_SIZE: u32 = 100;
/// Lots that one trace visits; a trace that stops here says so.
pub const MAX_TRACE_LOTS: usize = 20_000;
/// Steps (edges) that one trace reports; a trace that stops here says so.
pub const MAX_TRACE_STEPS: usize = 100_000;
/// A leap of the clock backwards beyond this stops the writer.
pub const MAX_CLOCK_STEP_BACK_MS: u64 = 5_000;

/// *Format.* Messages within messages, the outermost counted: event, body, lot, composition, value are 5.
pub const MAX_MESSAGE_DEPTH: usize = 8;
/// Bytes of a vehicle plate.
pub const MAX_VEHICLE_BYTES: usize = 16;
/// Yearly capacity of a site or licence: a thousand lots of the largest mass, a thousand million tonnes.
pub const MAX_YEARLY_CAPACITY_G: u64 = 1_000 * MAX_LOT_MASS_G;
/// Field faults told of one event; more are counted out, the event is refused either way.
pub const MAX_FIELD_FAULTS: usize = 32;
/// Bytes of a refused value that a fault repeats.
pub const MAX_FOUND_BYTES: usize = 64;
/// Findings that one verification tells; more are counted, not told.
pub const MAX_FINDINGS: usize = 1_000;
/// Checkpoints that a verification holds until their entries have come: the latest, and a few pinned ones.
pub const MAX_PENDING_CHECKPOINTS: usize = 16;
