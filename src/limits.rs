//! Every maximum of the house, with its arithmetic. Nothing loops, allocates or queues beyond
//! these.
//!
//! A number here that is part of the record (marked *format*) can only grow with a new format
//! version; the others are this implementation's own and may change.

/// *Format.* An entry's length in an entry bundle is a `u16` (C2SP tlog-tiles).
pub const MAX_ENTRY_BYTES: usize = 65_535;
/// *Format.* Fixed part of an entry: version 2, kind 1, index 8, previous chain value 32, recorded
/// at 8, rules version 2, tables hash 32, batch first 8, batch length 2, link count 2.
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
/// Envelope bytes in one batch.
pub const MAX_BATCH_BYTES: usize = 2 * 1024 * 1024;
/// A receipt around its entry, as text: at most 64 lines of proof (44 characters of base64 each,
/// and the end of the line), and at most 2,048 bytes of head and checkpoint.
pub const MAX_RECEIPT_OVERHEAD_BYTES: usize = 64 * 45 + 2_048;
/// Bytes of one gRPC reply. The longest answers a batch with a receipt per event, whose entries
/// (header and links around the envelope) stand in it as base64, 4 characters for 3 bytes:
/// (2 MiB + 256 x (97 + 512 x 28)) x 4/3 + 256 x 4,928 = 9.0 MB.
pub const MAX_REPLY_BYTES: usize = 12 * 1024 * 1024;

const _: () = assert!(MAX_BATCH_BYTES + MAX_BATCH_EVENTS * 64 <= MAX_REQUEST_BYTES);
const _: () = assert!(
    (MAX_BATCH_BYTES
        + MAX_BATCH_EVENTS * (ENTRY_HEADER_BYTES + MAX_LOTS_PER_EVENT * LOT_LINK_BYTES))
        .div_ceil(3)
        * 4
        + MAX_BATCH_EVENTS * MAX_RECEIPT_OVERHEAD_BYTES
        <= MAX_REPLY_BYTES
);

/// Entries in one commit group (one journal frame). 512 to 1,024 measured best.
pub const MAX_GROUP_ENTRIES: usize = 1_024;
/// Bytes of entries in one commit group: at least one whole batch fits with its entry headers.
pub const MAX_GROUP_BYTES: usize = 8 * 1024 * 1024;
/// Parties, sites and keys, of each so many, that are kept decoded: a party of 1 kB each, 16 MB.
pub const MAX_KNOWN_REGISTRY: usize = 16_384;
/// Requests waiting for the writer; beyond it callers get `Busy`.
pub const MAX_MAILBOX_REQUESTS: usize = 1_024;

/// Groups that are in journal and database and wait for the head guard. It takes all that wait at
/// once, so more would only hide a disk that is too slow.
pub const MAX_UNGUARDED_GROUPS: usize = 4;
/// Milliseconds from one group to the next at least, while more than one call at a time comes: a
/// group costs a sync, a signature and a dozen wake-ups, whatever is in it.
pub const GROUP_PACE_MS: u64 = 3;
/// Entry bytes that the database may lag behind on disk before it is synced under load: what a
/// start after a crash replays from the journal.
pub const MAX_UNSYNCED_BYTES: usize = 8 * 1024 * 1024;
/// Milliseconds without a request after which the database is synced.
pub const IDLE_SYNC_MS: u64 = 500;
/// Requests whose signatures are checked, and reads that run, at one time.
pub const MAX_PARALLEL_JOBS: usize = 64;
/// Small events that are checked together: what takes longer would keep a runtime thread's other
/// calls waiting.
pub const MAX_GATHERED_EVENTS: usize = 64;
/// Bytes of an event that is checked on the runtime's thread, not in one of its own.
pub const SMALL_EVENT_BYTES: usize = 4 * 1024;

/// Signers whose parsed keys are kept: about 450 bytes each with their place in the map, 1.8 MB.
pub const MAX_KNOWN_SIGNERS: usize = 4_096;
/// Signers with tables: 256 x 129,216 B = 33.1 MB, once for a node and once for a verification. One
/// that gives its table up keeps it until whoever checks with it is done.
pub const MAX_SIGNER_TABLES: usize = 256;
/// Bytes of one signer's table: 42 rows of 32 points of 96 bytes, and one of 2.
pub const MAX_SIGNER_TABLE_BYTES: usize = (42 * 32 + 2) * 96;
/// Signatures of a signer that hold before it gets a table. A table takes 0.2 to 0.45 ms to build,
/// and a signature saves 27 us by it: 16 pay for it, so whoever stops right then has cost twice
/// what was needed, and nobody costs more.
pub const TABLE_AFTER_SIGNATURES: u32 = 16;
/// Signatures that share the inversion, 1.1 kB of work space each. From some hundred on it is no
/// part of the cost.
pub const SIGNATURES_AT_ONCE: usize = 1_024;
/// Places that are looked at to find one of a signer seldom seen.
pub const SIGNER_PROBES: usize = 8;
/// Signatures after which what was counted is halved: 16 for each known signer, so that one who
/// signs more than its part grows.
pub const SIGNERS_AGE_AFTER: u64 = 16 * MAX_KNOWN_SIGNERS as u64;

const _: () = assert!(MAX_SIGNER_TABLES * MAX_SIGNER_TABLE_BYTES <= 32 * 1024 * 1024);
const _: () = assert!(MAX_SIGNER_TABLES < MAX_KNOWN_SIGNERS);

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
/// Bytes of one receipt: entry in base64, 64 proof lines of 45 bytes, checkpoint, and 256 for the
/// rest.
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
/// Events of one campaign that stand: a month of three charges and twenty draws a day, and room.
pub const MAX_CAMPAIGN_EVENTS: usize = 1_024;

const _: () = assert!(
    (MAX_CAMPAIGN_EVENTS * (MAX_INPUTS + MAX_ADDITIONS)) as u64 <= u64::MAX / MAX_LOT_MASS_G,
    "what all events of a campaign charge adds up in 64 bits"
);

/// Scans of [`MAX_SCANNED_ROWS`] campaigns each that one page may take: 2.5 million campaigns,
/// those of 41 plants with ten lines each in 500 years.
pub const MAX_CAMPAIGN_SCANS: usize = 250;

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
/// Holds of a lot that its owner placed: it fills half of the room, the rest is an authority's.
pub const MAX_OWNER_HOLDS: usize = MAX_HOLDS / 2;
/// Approvals of one lot at a time; one that has ended makes room.
pub const MAX_APPROVALS: usize = 16;
/// Parties that may see one lot by a grant; one whose grant has ended makes room.
pub const MAX_GRANTS: usize = 16;
/// Steps back that one grant may show.
pub const MAX_GRANT_DEPTH: u32 = 64;
/// Successions of one party, taken back ones included, and parties that it succeeds.
pub const MAX_SUCCESSIONS: usize = 16;
/// Successions that follow each other from one party to the one that acts: as many parties are read
/// to find it.
pub const MAX_SUCCESSION_CHAIN: u32 = 8;
/// Months that one claim of credit may be taken from, and one answer on credit tells of.
pub const MAX_CREDIT_MONTHS: u32 = 12;
/// Parties that one entry can concern: owner and possessor of each lot, before and after; those who
/// sign; the laboratory of each output and residue, and four more that a body names.
pub const MAX_CONCERNED: usize = 4 * MAX_LOTS_PER_EVENT + MAX_SIGNATURES + 2 * MAX_OUTPUTS + 4;
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
/// Lots and steps of one page of a trace, at most and by default. The first page also has an
/// origin of 20 bytes and two shares of 48 for each lot; a step has 80, a lot 44.
pub const MAX_TRACE_PAGE_SIZE: u32 = 10_000;
/// See [`MAX_TRACE_PAGE_SIZE`].
pub const DEFAULT_TRACE_PAGE_SIZE: u32 = 1_000;
const _: () = assert!(
    MAX_TRACE_PAGE_SIZE as usize * 80 + MAX_TRACE_LOTS * (20 + 2 * 48) + 2_048 <= MAX_PAGE_BYTES,
    "the first page of the longest trace fits a page"
);
/// Bytes of one row of a recall: seven ids of 18, material and form, five numbers, and its frame.
pub const MAX_RECALL_ROW_BYTES: usize = 7 * 18 + 2 * (2 + MAX_CODE_BYTES) + 5 * 11 + 4;

/// A leap of the clock backwards beyond this stops the writer.
pub const MAX_CLOCK_STEP_BACK_MS: u64 = 5_000;

/// *Format.* Messages within messages, the outermost counted: event, body, lot, composition and
/// value are 5.
pub const MAX_MESSAGE_DEPTH: usize = 8;
/// Digits of the number of a hazardous-waste transfer manifest.
pub const MANIFEST_DIGITS: usize = 14;
/// Bytes of a vehicle plate.
pub const MAX_VEHICLE_BYTES: usize = 16;
/// Yearly capacity of a site or licence: a thousand lots of the largest mass, a thousand million
/// tonnes.
pub const MAX_YEARLY_CAPACITY_G: u64 = 1_000 * MAX_LOT_MASS_G;
/// Field faults told of one event; more are counted out, the event is refused either way.
pub const MAX_FIELD_FAULTS: usize = 32;
/// Bytes of a refused value that a fault repeats.
pub const MAX_FOUND_BYTES: usize = 64;
/// Lines of one script of events.
pub const MAX_SCRIPT_LINES: usize = 1_000_000;
/// Times that a client of ours sends the same append before it gives up.
pub const MAX_APPEND_TRIES: u32 = 6;
/// Entries that one trace reads for each step it may report: a lot's life also holds assays, offers
/// and holds, and draws that lead elsewhere.
pub const MAX_TRACE_ENTRIES_PER_STEP: usize = 8;
/// Entries of a lot's life that a walk keeps in mind, so that most lives are read once: 20,000 lots
/// with 16 of 8 bytes are 2.6 MB.
pub const MAX_KEPT_LIFE_ENTRIES: usize = 16;
/// Bytes of recent history in memory, of which walks are made without a look at the disk: as many
/// as the database's own cache. An entry that brings a lot of one known substance takes 116 of
/// them, so 2.3 million entries; of older ones the database is asked.
pub const MAX_RECENT_BYTES: usize = 256 * 1024 * 1024;
/// Entries whose records lie together in memory and are forgotten together.
pub const RECENT_RUN_ENTRIES: usize = 16_384;
/// When recent history outgrows its bound, one of so many parts of it is forgotten.
pub const RECENT_FORGET_PARTS: usize = 8;
/// Entries that are taken over into recent history at a time: who walks waits for no more.
pub const RECENT_STEP_ENTRIES: usize = 512;
/// Entries that a walk takes over itself before it begins; when more are missing, it goes by the
/// database alone. They cost some microseconds each.
pub const MAX_RECENT_BEHIND: u64 = 8_192;
/// Shares (one origin in one draw or birth) that one origin vector may cost: 24 bytes each, so
/// below 480 MB if none were freed. A chain of 5,000 lots with 300 origins costs 3,000,000.
pub const MAX_TRACE_SHARES: usize = 20_000_000;

/// *Format.* Header of a journal frame: magic 4, version 2, entry count 2, first index 8, body
/// length 4, checkpoint length 4, checksum 4.
pub const FRAME_HEADER_BYTES: usize = 4 + 2 + 2 + 8 + 4 + 4 + 4;
/// *Format.* Checksum behind the body of a journal frame.
pub const FRAME_TRAILER_BYTES: usize = 4;
/// Body of a journal frame: the checkpoint of the group before, and each entry with a length of 4
/// bytes. An empty group takes a request as it comes: a batch of the largest requests with all
/// their lot links fits, too.
pub const MAX_FRAME_BODY_BYTES: usize =
    MAX_CHECKPOINT_TEXT_BYTES + MAX_GROUP_BYTES + 4 * MAX_GROUP_ENTRIES;
/// A whole journal frame.
pub const MAX_FRAME_BYTES: usize = FRAME_HEADER_BYTES + MAX_FRAME_BODY_BYTES + FRAME_TRAILER_BYTES;
/// *Format.* Header of a journal segment: magic 8, version 2, ledger hash 32, first index 8,
/// checksum 4.
pub const SEGMENT_HEADER_BYTES: usize = 8 + 2 + 32 + 8 + 4;
/// Bytes of one journal segment, preallocated. A frame that does not fit begins the next one.
pub const JOURNAL_SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

const _: () = assert!(
    MAX_BATCH_BYTES + MAX_BATCH_EVENTS * (ENTRY_HEADER_BYTES + MAX_LOTS_PER_EVENT * LOT_LINK_BYTES)
        <= MAX_GROUP_BYTES,
    "a whole batch fits a group, and so a frame"
);
const _: () = assert!(MAX_GROUP_ENTRIES <= u16::MAX as usize, "a frame counts entries in a u16");
const _: () = assert!(MAX_FRAME_BODY_BYTES <= u32::MAX as usize, "a frame's length is a u32");
const _: () = assert!(
    (SEGMENT_HEADER_BYTES + MAX_FRAME_BYTES) as u64 <= JOURNAL_SEGMENT_BYTES,
    "the largest group fits a segment"
);

/// Segments of the journal that are kept open for reading.
pub const MAX_OPEN_SEGMENTS: usize = 64;
/// Facts or movements packed in one value of the database. 64 of 600 B measured three times cheaper
/// than one by one.
pub const MAX_PACK_ENTRIES: usize = 64;
/// Places of a lot's life in one row; so many at most lie in the row of the lot itself, 24 bytes
/// each.
pub const LIFE_CHUNK: usize = 16;
/// Bytes of facts or movements in one row of the database, unless a single one is larger.
pub const MAX_PACK_BYTES: usize = 7 * 1024;
/// Bytes of rows in one block of a run, before it is compressed, unless a single row is larger.
/// sled keeps up to 16 neighbours in a page, and a page above 128 KiB becomes a file of its own,
/// which it removes before the log that no longer names it is durable: a power cut then costs the
/// database.
pub const BLOCK_BYTES: usize = 7 * 1024;
/// Bytes that a block may have when it is unpacked: a block and the largest row behind it.
pub const MAX_BLOCK_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of rows that wait in memory for a sync of the database. One who writes more brings them
/// into it himself.
pub const MAX_FRESH_BYTES: usize = 48 * 1024 * 1024;
/// Bytes of memory that a row takes beside its key and value, roughly.
pub const FRESH_ROW_BYTES: usize = 80;
/// Runs of one level of the database that are merged into one of the next.
pub const RUN_FAN_IN: usize = 8;
/// Runs of one level that may wait to be merged; one who adds another merges them, or waits for who
/// does.
pub const MAX_RUNS_OF_LEVEL: usize = 4 * RUN_FAN_IN;
/// Levels of runs: the last one is merged with itself. A run of the last has 8^6 times what a sync
/// brings.
pub const MAX_RUN_LEVEL: u8 = 6;
/// Blocks after which a merge looks whether runs of lower levels are to be merged first: half a
/// MiB, some milliseconds.
pub const MERGE_PAUSE_BLOCKS: u64 = 64;
/// Bytes of rows from which on a merge leaves a block as it is: smaller ones it puts together.
pub const MIN_WHOLE_BLOCK_BYTES: usize = BLOCK_BYTES / 2;
/// Blocks between two smaller ones that a merge leaves, so as to take over blocks behind them.
pub const BLOCKS_PER_SMALL_ONE: u64 = 8;
/// Rows of sled's that are removed in one turn, some microseconds each, for which others wait.
pub const REMOVE_ROWS: usize = 64;
/// Microseconds for which one who takes many turns in a row pauses when another waits: time enough
/// for that one to wake up.
pub const TURN_PAUSE_US: u64 = 200;
/// How far the thread that merges gives way to others (0 is not at all, 19 most): of a processor
/// that it shares with one other it gets a quarter. It needs about a sixth while entries come as
/// fast as they can.
pub const TIDIER_NICENESS: i32 = 5;
/// Milliseconds after which one who waits for a merge of another thread looks whether it ended.
pub const MERGE_WAIT_MS: u64 = 100;
/// Bits of a run's filter for each of its rows, and how many of them a key sets: one in a hundred
/// keys that are not there is looked for in vain.
pub const FILTER_BITS_PER_ROW: usize = 10;
/// See [`FILTER_BITS_PER_ROW`].
pub const FILTER_HASHES: u32 = 7;
/// Rows that a walk takes from memory at a time: first, and then.
pub const WALK_FIRST_ROWS: usize = 8;
/// See [`WALK_FIRST_ROWS`].
pub const WALK_ROWS: usize = 128;
/// Hashes in one row of the tree as it is stored: four levels. A row is written anew with every
/// group that ends in it, and a proof hashes the rows on its way.
pub const STORED_ROW_HASHES: usize = 16;
/// Hashes in a tile of the tree (C2SP tlog-tiles: tiles of height 8).
pub const ROW_HASHES: usize = 256;
/// *Format.* Levels of tiles: 8 levels of the tree each, and a tree of 64-bit size has 64.
pub const TILE_LEVELS: u8 = 8;
/// Bytes of the path of a tile. The longest is that of an entry bundle at the end of a tree of
/// 2^64 - 1 entries: 13 before the index, 28 for its 17 digits, 6 for the width.
pub const MAX_TILE_PATH_BYTES: usize = 13 + 28 + 6;
/// Bytes of one entry bundle: each entry with its length of 2 bytes.
pub const MAX_ENTRY_BUNDLE_BYTES: usize = ROW_HASHES * (2 + MAX_ENTRY_BYTES);
/// Memory that sled may use as a cache of pages.
pub const DATABASE_CACHE_BYTES: u64 = 256 * 1024 * 1024;
/// Rows that one page of a filtered list looks at; a page that stops here says so.
pub const MAX_SCANNED_ROWS: usize = 10_000;
/// Bytes of the file that names a store's format and ledger.
pub const MAX_FORMAT_FILE_BYTES: u64 = 1_024;
/// Databases and torn tails set aside beside the living ones; an operator clears them away.
pub const MAX_SET_ASIDE: u32 = 1_000;
/// Databases that a start makes anew by itself before it asks for the operator: each one set aside
/// takes as much of the disk as the living one, and so many power cuts have a cause.
pub const MAX_REBUILDS_UNASKED: u32 = 4;

const _: () = assert!(MAX_REBUILDS_UNASKED <= MAX_SET_ASIDE);
/// Attempts to open the database while sled's threads still let go of an instance that was closed
/// just now.
pub const MAX_DATABASE_OPEN_ATTEMPTS: u32 = 400;
/// Between two of these attempts; 10 s altogether.
pub const DATABASE_OPEN_PAUSE_MS: u64 = 25;
/// Bytes that are free beside a copy of the database and its shadow before they are held against
/// each other: as much as a small database takes at its beginning.
pub const MIN_COMPARE_FREE_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of the items of one page: with their framing they fit the 4 MiB that a client takes unless
/// told otherwise. One item always fits: the longest is an entry, or a party with all its licences
/// (100 kB).
pub const MAX_PAGE_BYTES: usize = 3 * 1024 * 1024;
/// Entries read at a time for a page: 64 x 65,535 B = 4.2 MB at most in hand.
pub const ENTRY_READ_AHEAD: usize = 64;
/// Relations to lots read at a time for a page: 256 x 2 kB (a lot as it left, with every substance)
/// = 0.5 MB in hand.
pub const RELATED_READ_AHEAD: usize = 256;
/// Bytes of tables in one page.
pub const TABLES_PAGE_BYTES: usize = 1024 * 1024;
/// Calls in flight on all connections, health and reflection apart; beyond it callers get `Busy`.
/// As many as the mailbox holds.
pub const MAX_CALLS_IN_FLIGHT: usize = 1_024;
/// Calls in flight of one party, or of all operators; so four greedy ones fill the service, not
/// one.
pub const MAX_CALLS_PER_CALLER: usize = 256;
/// Calls in flight of unknown callers from one address.
pub const MAX_CALLS_PER_ADDRESS: usize = 32;
/// Calls in flight of all unknown callers together; they are not among those of
/// [`MAX_CALLS_IN_FLIGHT`], so they stand in nobody's way.
pub const MAX_STRANGER_CALLS: usize = 256;
/// Streams of one connection.
pub const MAX_STREAMS_PER_CONNECTION: u32 = 128;
/// Connections in all; a newcomer then takes the place of the one that has longest said nothing.
/// What one costs by itself, whatever its caller does: TLS 3 x 16 KiB and 64 KiB of what it has
/// not sent, frames 2 x 16 KiB, a window, and a refusal of 8 KiB for every stream.
pub const MAX_CONNECTIONS: usize = 512;
/// Connections from one address (of IPv6: from one network of 64 bits).
pub const MAX_CONNECTIONS_PER_ADDRESS: usize = 128;
/// See [`MAX_CONNECTIONS`].
pub const CONNECTION_BYTES: usize = 112 * 1024
    + 2 * HTTP2_FRAME_BYTES as usize
    + WINDOW_BYTES as usize
    + MAX_STREAMS_PER_CONNECTION as usize * 8 * 1024;
/// Bytes that a connection, and a stream of it, may send before a handler has taken them. 256 KiB
/// let 5 MB/s through at a distance of 50 ms.
pub const WINDOW_BYTES: u32 = 256 * 1024;
/// Bytes of one frame of HTTP/2.
pub const HTTP2_FRAME_BYTES: u32 = 16 * 1024;
/// Bytes of a reply that lie ready for one stream, and of a piece that replies are cut into.
pub const REPLY_PIECE_BYTES: usize = 16 * 1024;
/// Bytes of the headers of one request: names, values, and 32 for each (as HTTP/2 counts). With
/// HTTP/1.1 also the bytes that are read ahead.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Headers of one request. An identified call through two proxies has 20.
pub const MAX_HEADERS: usize = 64;
/// Bytes of a token in a header; ours have 86.
pub const MAX_TOKEN_BYTES: usize = 256;
/// Bytes of all requests in hand, from the first byte until nothing needs them: a quarter of what
/// all calls in flight could send. Beyond it callers get `Busy`.
pub const REQUEST_BUDGET_BYTES: usize = 256 * 1024 * 1024;
/// Of these, one caller's.
pub const CALLER_REQUEST_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of one request of a caller that is not known. Questions about what is public have 100.
pub const MAX_STRANGER_REQUEST_BYTES: usize = 16 * 1024;
/// Bytes of all replies to identified callers in hand: from before a handler begins (as many as
/// its call may answer) until the last of them is on the wire. A call waits for its share for half
/// of its time; the other half is for the answer.
pub const REPLY_BUDGET_BYTES: usize = 512 * 1024 * 1024;
/// Of these, one caller's; it is never less than the longest reply.
pub const CALLER_REPLY_BYTES: usize = 128 * 1024 * 1024;
/// The same for callers that are not known, apart, so that they starve nobody who is.
pub const STRANGER_REPLY_BUDGET_BYTES: usize = 64 * 1024 * 1024;
/// Of these, one address's.
pub const ADDRESS_REPLY_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of a reply that is one record, one proof or one receipt.
pub const SMALL_REPLY_BYTES: usize = 256 * 1024;
/// Bytes of a reply that is one page.
pub const PAGE_REPLY_BYTES: usize = 4 * 1024 * 1024;
/// What callers can make the doors hold at worst, all limits reached at a time: 0.5 GiB of
/// replies, 64 MiB of strangers', 0.25 GiB of requests, 1.4 MiB for each of 512 connections, and
/// the headers of all calls in flight. A test sends hostile crowds and reads the process's memory.
pub const DOORS_WORST_BYTES: usize = REPLY_BUDGET_BYTES
    + STRANGER_REPLY_BUDGET_BYTES
    + REQUEST_BUDGET_BYTES
    + MAX_CONNECTIONS * CONNECTION_BYTES
    + (MAX_CALLS_IN_FLIGHT + MAX_STRANGER_CALLS) * MAX_HEADER_BYTES;

/// Bytes of a reply that is one entry bundle: 256 entries, each behind a tag of 1 byte and a length
/// of 3. Only for those who may read all entries, so no stranger's budget has to hold it.
pub const BUNDLE_REPLY_BYTES: usize = ROW_HASHES * (4 + MAX_ENTRY_BYTES);
/// Seconds that a tile may be kept by whoever fetched it: a year, as caches take it for ever.
pub const TILE_CACHE_SECONDS: u32 = 31_536_000;

const _: () = assert!(MAX_RECEIPT_BYTES <= SMALL_REPLY_BYTES);
const _: () = assert!(MAX_REPLY_BYTES <= BUNDLE_REPLY_BYTES, "it is the longest reply of all");
const _: () = assert!(BUNDLE_REPLY_BYTES <= CALLER_REPLY_BYTES, "one always fits a share");
const _: () = assert!(MAX_PAGE_BYTES + MAX_PAGE_BYTES / 4 <= PAGE_REPLY_BYTES);
const _: () = assert!(MAX_REPLY_BYTES <= ADDRESS_REPLY_BYTES, "one reply always fits a share");
const _: () = assert!(DOORS_WORST_BYTES <= 1_600 * 1024 * 1024, "1.6 GB is what operators read");

/// How long a connection may take until TLS is agreed on.
pub const MAX_HANDSHAKE_SECONDS: u64 = 10;
/// How long a connection may take until its first call begins, and a request of HTTP/1.1 until its
/// headers are whole.
pub const MAX_FIRST_CALL_SECONDS: u64 = 20;
/// A connection without a call is asked to end after this.
pub const MAX_IDLE_SECONDS: u64 = 300;
/// A connection of this age is asked to end: its caller comes back over a new one, with the
/// certificate that is then the right one, and to the place that is then the right one.
pub const MAX_CONNECTION_AGE_SECONDS: u64 = 1_800;
/// What a connection that was asked to end has left for its calls: the longest one fits.
pub const CONNECTION_GRACE_SECONDS: u64 = 75;
/// A caller that takes nothing of what it asked for, for so long, is cut off.
pub const MAX_STALL_SECONDS: u64 = 20;
/// A reply that is not taken as a whole within this is cut off: 12 MiB at 100 kB/s.
pub const MAX_REPLY_SECONDS: u64 = 120;
/// Between two looks at whether certificates, authorities or tokens have changed on disk.
pub const KEYS_POLL_SECONDS: u64 = 5;

const _: () = assert!(MAX_CALL_SECONDS < CONNECTION_GRACE_SECONDS);

/// Bytes of a file of certificates or a key.
pub const MAX_PEM_FILE_BYTES: u64 = 256 * 1024;
/// Tokens of one file, expired and revoked ones included.
pub const MAX_TOKENS: usize = 4_096;
/// Bytes of a file of tokens: 1,024 for each; without a note they have 350.
pub const MAX_TOKEN_FILE_BYTES: u64 = 1_024 * MAX_TOKENS as u64;
/// Days that a token, or a certificate for development, is good for at most.
pub const MAX_TOKEN_DAYS: u32 = 366;

/// Cells that a party's calls fill in a second, unless the operator says otherwise: one for a
/// record, more for a page or a trace.
pub const CALLS_PER_SECOND: u32 = 1_000;
/// The same for unknown callers of one address.
pub const STRANGER_CALLS_PER_SECOND: u32 = 50;
/// Callers whose rates are remembered, about 100 bytes each. When all are recent, new ones share
/// one.
pub const MAX_RATED_CALLERS: usize = 16_384;
/// Reads that run at a time, each on a thread of the blocking pool; others wait within their
/// deadline.
pub const MAX_CONCURRENT_READS: usize = 16;
/// A call without a deadline, or with a longer one, gets this one.
pub const MAX_CALL_SECONDS: u64 = 60;
/// Values in the JSON of one request. The longest request is a batch of [`MAX_BATCH_EVENTS`]
/// envelopes, each a value; read values cost 100 bytes each beside their text.
pub const MAX_JSON_VALUES: usize = 1_024;
/// A reply in JSON is written in pieces of about this many bytes, and the next one when the client
/// has taken the last; a piece ends with an item of the reply, of which the longest (a party with
/// all its licences, a receipt) has 200 kB. A batch of envelopes as base64 fits a request:
/// 2 MiB x 4/3 + 256 x 3 < 4 MiB.
pub const JSON_PIECE_BYTES: usize = 64 * 1024;
const _: () = assert!(MAX_BATCH_BYTES.div_ceil(3) * 4 + MAX_BATCH_EVENTS * 8 <= MAX_REQUEST_BYTES);
const _: () = assert!(MAX_BATCH_EVENTS * 2 < MAX_JSON_VALUES);
/// How long a shutdown waits for calls that do not end (a watch of the health service never does).
pub const MAX_DRAIN_SECONDS: u64 = 10;
/// A connection is asked for a sign of life after this silence, and has the second time to answer.
pub const KEEPALIVE_SECONDS: u64 = 60;
/// See [`KEEPALIVE_SECONDS`].
pub const KEEPALIVE_ANSWER_SECONDS: u64 = 20;
/// Wrong fields listed in one error. Clients refuse trailers of more than 8 KiB, and details are
/// base64: 4/3 x (8 x 3 x 100 of fields + 3 x 100 of numbers + 2 x 400 of sentences) = 4.7 kB.
pub const MAX_VIOLATIONS_LISTED: usize = 8;
/// Bytes of one text of a wrong field in an error.
pub const MAX_VIOLATION_TEXT_BYTES: usize = 100;
/// Bytes of one sentence or number in an error: the longest, 16 blocking events, has 750. Beside
/// the message itself it stands in the details four times: 768 + 4/3 x 4 x 768 = 4.9 kB.
pub const MAX_ERROR_TEXT_BYTES: usize = 768;
/// *Format.* Entries of a bundle: the grounds of a lot with a hundred thousand ancestors.
pub const MAX_LOT_BUNDLE_ENTRIES: usize = 500_000;
/// *Format.* Bytes of a bundle. Usual entries take 1.6 kB each with their proofs, so that the most
/// entries fit.
pub const MAX_LOT_BUNDLE_BYTES: usize = 1 << 30;
/// *Format.* Bytes of the evidence of a fork: two checkpoints, a consistency proof, and lines.
pub const MAX_EVIDENCE_BYTES: usize = 2 * MAX_CHECKPOINT_BYTES + 64 * (MAX_PROOF_HASHES + 8);
/// Entries that a verification takes apart on all cores while it judges as many: some 12 MB with
/// usual ones, and two such pieces are in hand.
pub const PIECE_ENTRIES: usize = 4_096;
/// Bytes of entries after which fewer are enough: a piece has at most these and a commit group.
pub const PIECE_BYTES: usize = 32 * 1024 * 1024;
/// Of a piece, what one core takes apart at a time, at least and at most: enough that the
/// signatures of a signer stand together, few enough that no core waits long for another.
pub const MIN_PART_ENTRIES: usize = 128;
/// See [`MIN_PART_ENTRIES`].
pub const MAX_PART_ENTRIES: usize = 512;
/// Seconds between two looks of a monitor, unless it is told otherwise.
pub const MONITOR_SECONDS: u64 = 30;
/// Findings that one verification tells; more are counted, not told.
pub const MAX_FINDINGS: usize = 1_000;
/// Of those, findings of one kind: a thousand checkpoints by a wrong key do not crowd out the one
/// line that names the entry.
pub const MAX_FINDINGS_OF_A_KIND: usize = MAX_FINDINGS / 2;
/// Checkpoints that a verification holds until their entries have come: the latest, and a few
/// pinned ones.
pub const MAX_PENDING_CHECKPOINTS: usize = 16;
/// Lines of a trace's tree on a terminal; JSON has all of it.
pub const MAX_TREE_LINES: usize = 400;
/// Parties, and sites, of a list on a terminal whose names a server is asked for: a call each.
pub const MAX_NAMES_ASKED: usize = 1_000;
/// Bytes of the name of a small file beside the ledger: two hashes in hexadecimal and a hyphen.
pub const MAX_CABINET_NAME_BYTES: usize = 64 + 1 + 64;
/// Bytes of a small file beside the ledger: a draft is an envelope with its parties; an opening has
/// a salt, a fact and its readers.
pub const MAX_CABINET_FILE_BYTES: u64 = 64 * 1024;
/// Readings of a small file until two in a row are the same; a backup beside a running node reads
/// them. Between two changes of one file lies a sync, so the third reading is the last, but for a
/// file that is not the node's.
pub const MAX_BESIDE_READS: usize = 8;
/// Bytes of a line of a backup's manifest: a hash of 64 digits, two spaces, a name of at most 155
/// and 100 bytes and a slash (ustar), the end of the line.
pub const MAX_MANIFEST_LINE_BYTES: u64 = 64 + 2 + 155 + 1 + 100 + 1;
/// Drafts that wait at one time. In memory each has about 300 bytes: 3 MB. On disk at most
/// 10,000 x 64 KiB = 655 MB.
pub const MAX_DRAFTS: usize = 10_000;
/// Drafts of one proposer that wait at one time: no party fills the drawer alone.
pub const MAX_DRAFTS_PER_PARTY: usize = 256;
/// How long a draft waits for its signatures, at most: 30 days.
pub const MAX_DRAFT_SECONDS: u32 = 30 * 24 * 3_600;
/// How long it waits when its proposer does not say: 7 days.
pub const DEFAULT_DRAFT_SECONDS: u32 = 7 * 24 * 3_600;
/// Bytes around the envelope in a draft's file: version 1, times 16, proposer 16, count 1, and 16
/// for each party that has to sign.
pub const MAX_DRAFT_HEAD_BYTES: usize = 1 + 16 + 16 + 1 + MAX_SIGNATURES * 16;

const _: () = assert!(
    (MAX_DRAFT_HEAD_BYTES + MAX_ENVELOPE_BYTES) as u64 <= MAX_CABINET_FILE_BYTES,
    "a draft with the largest envelope fits its file"
);

/// Bytes of a private fact.
pub const MAX_FACT_BYTES: usize = 4 * 1024;
/// *Format.* Bytes of the salt before a private fact.
pub const SALT_BYTES: usize = 32;
/// Parties that may read one private fact, besides the one that deposited it.
pub const MAX_OPENING_READERS: usize = 16;
/// Bytes around a private fact in its file: version 1, depositor 16, count 1, 16 for each reader,
/// salt.
pub const MAX_OPENING_HEAD_BYTES: usize = 1 + 16 + 1 + MAX_OPENING_READERS * 16 + SALT_BYTES;

const _: () = assert!(
    (MAX_OPENING_HEAD_BYTES + MAX_FACT_BYTES) as u64 <= MAX_CABINET_FILE_BYTES,
    "an opening fits its file"
);

/// Bytes of a configuration file: every setting with its comments takes a tenth.
pub const MAX_CONFIG_BYTES: u64 = 64 * 1024;
/// Bytes of a file with one key: an encrypted PKCS#8 key in PEM has 400.
pub const MAX_KEY_FILE_BYTES: usize = 16 * 1024;
/// *Format.* Keys of one ledger in all its life: one a year for longer than anybody keeps records.
pub const MAX_LEDGER_KEYS: usize = 64;
/// Connections that read metrics at a time: one Prometheus, its twin, and somebody who looks.
pub const MAX_METRICS_CONNECTIONS: usize = 8;
/// How long one reading of the metrics may take.
pub const MAX_METRICS_SECONDS: u64 = 10;
/// Between two foldings of what histograms gathered: at 100,000 calls a second some 10 MB of
/// samples.
pub const METRICS_UPKEEP_SECONDS: u64 = 5;
/// Free bytes below which a node is in trouble soon: four segments of the journal, two for it and
/// as much for the database.
pub const MIN_FREE_BYTES: u64 = 4 * JOURNAL_SEGMENT_BYTES;
/// Open files that are enough: a connection for each call in flight, and as many again.
pub const MIN_OPEN_FILES: u64 = 2_048;
/// How often the doctor measures the time to sync.
pub const SYNC_PROBES: usize = 16;
/// A disk that takes longer than this for one sync is slow.
pub const SLOW_SYNC_MS: u64 = 50;
/// Entries of a bench: events a second apart from July 2024 on end in October 2027, and a ledger of
/// 600 B an entry takes some 150 GB.
pub const MAX_BENCH_ENTRIES: u64 = 100_000_000;
/// The first size at which a bench measures; then each tenfold.
pub const BENCH_FIRST_POINT: u64 = 100_000;
/// Parties that sign the load of a bench. Each takes four entries of the registry, which are in
/// hand together: 20,000 x 4 x 450 B = 36 MB.
pub const MAX_BENCH_SIGNERS: u32 = 20_000;
/// Windows of each measurement of a bench.
pub const MAX_BENCH_ROUNDS: u8 = 50;
/// Entries on the way to a size that a bench measures; those before them are filled in.
pub const MAX_BENCH_MEASURED_ENTRIES: u64 = 200_000;
/// Entries of one window of a bench, which are signed before it begins; with those of the windows
/// beside it 100,000 x 600 B = 60 MB.
pub const MAX_BENCH_WINDOW_ENTRIES: u64 = 40_000;
/// Signatures that the yardstick of a bench checks at a time, taken apart before: 10,000 x 900 B =
/// 9 MB, and a quarter of a second on two cores.
pub const MAX_YARDSTICK_CHECKS: usize = 10_000;
/// Proofs, and lots, that a bench reads at each size: 20 are above the 99th percentile.
pub const BENCH_READS: u64 = 2_000;
/// Audits of a small ledger; a large one is audited once.
pub const BENCH_AUDITS: u8 = 3;
/// Connections of a bench to its node: four windows of 256 KiB hold the batches in flight, and
/// 4 x 128 streams the single appends.
pub const BENCH_CONNECTIONS: usize = 4;
/// Batches that a bench has in flight: enough that one group is judged while another is synced.
pub const BENCH_BATCHES_IN_FLIGHT: usize = 8;
/// Single appends that a bench has in flight: as many as one caller may.
pub const BENCH_SINGLES_IN_FLIGHT: usize = MAX_CALLS_PER_CALLER;
/// How long a bench waits for one answer.
pub const BENCH_CALL_SECONDS: u64 = 60;
/// Times, a millisecond apart, that a bench asks a busy node again.
pub const MAX_BENCH_TRIES: usize = 10_000;
/// How long a bench waits at most until its node is at rest.
pub const BENCH_SETTLE_SECONDS: u64 = 30;
/// What an envelope with one signature has around the signed bytes: count 1, signature, length 4.
pub const ENVELOPE_OF_ONE_BYTES: usize = 1 + SIGNATURE_BYTES + 4;

const _: () = assert!(
    BENCH_CONNECTIONS * MAX_STREAMS_PER_CONNECTION as usize >= BENCH_SINGLES_IN_FLIGHT,
    "no single append of a bench waits for a stream"
);
/// Bytes of a ledger that the doctor copies without being told to.
pub const MAX_DOCTOR_COPY_BYTES: u64 = 256 * 1024 * 1024;

const _: () = assert!(MIN_OPEN_FILES >= 2 * MAX_CALLS_IN_FLIGHT as u64);
/// A certificate that ends sooner than this is a problem: somebody has to act this week.
pub const CERTIFICATE_PROBLEM_DAYS: u64 = 7;
/// A certificate that ends sooner than this should be renewed.
pub const CERTIFICATE_ADVICE_DAYS: u64 = 30;

/// Entries that a watch reads at a time. An entry has up to 65,535 bytes, so a read takes 1 MiB at
/// most before it is cut to [`MAX_WATCH_BATCH_BYTES`].
pub const MAX_WATCH_BATCH_ENTRIES: usize = 16;
/// Bytes of entries that a watch has in hand, and of messages that wait for its reader; one of each
/// always fits.
pub const MAX_WATCH_BATCH_BYTES: usize = 256 * 1024;
/// Messages that wait for the reader of a watch.
pub const MAX_WATCH_QUEUE_MESSAGES: usize = 64;
/// Watches at a time. What they hold, all with the largest entries and readers that stopped:
/// 256 x 2 x (256 KiB + 64 KiB) = 160 MiB.
pub const MAX_WATCHES: usize = 256;
/// Watches of one caller.
pub const MAX_WATCHES_PER_CALLER: usize = 16;
/// A reader that takes nothing for so long while messages wait is cut off.
pub const MAX_WATCH_STALL_SECONDS: u64 = 10;
/// Between two heartbeats of a watch when its caller does not say.
pub const DEFAULT_HEARTBEAT_SECONDS: u32 = 10;
/// The longest that a caller may ask for.
pub const MAX_HEARTBEAT_SECONDS: u32 = 60;
/// A watch ends after so long and is begun again from where it was.
pub const MAX_WATCH_SECONDS: u64 = 1_500;
/// Between two tries of `urbanmine watch` to go on, at first and at most; each doubles the one
/// before.
pub const WATCH_RETRY_MS: u64 = 250;
/// See [`WATCH_RETRY_MS`].
pub const MAX_WATCH_RETRY_MS: u64 = 15_000;

/// Bytes of the name of a key that signs notes: an origin has at most 128, witnesses' names are
/// their hosts with a path.
pub const MAX_KEY_NAME_BYTES: usize = 256;
/// Bytes of a verifier key: name, plus, 8 hex digits, plus, 33 bytes in base64.
pub const MAX_VKEY_BYTES: usize = MAX_KEY_NAME_BYTES + 1 + 8 + 1 + 44;
/// Signature lines of a note whose cosignatures are judged: C2SP signed-note asks for 16 at least;
/// a ledger's own, and one of each witness of the longest policy, are 33.
pub const MAX_NOTE_SIGNATURES: usize = 64;
/// Bytes of one cosignature line: mark 4, name, space, 76 bytes in base64, newline.
pub const MAX_COSIGNATURE_LINE_BYTES: usize = 4 + MAX_KEY_NAME_BYTES + 1 + 104 + 1;
/// Logs of one policy: as many as a ledger may have keys, each is a line.
pub const MAX_POLICY_LOGS: usize = MAX_LEDGER_KEYS;
/// Witnesses of one policy; C2SP tlog-policy asks for 32 at least. Each is a thread of a node that
/// collects.
pub const MAX_POLICY_WITNESSES: usize = 32;
/// Groups of one policy; 32 at least are asked for.
pub const MAX_POLICY_GROUPS: usize = 64;
/// Bytes of a policy file: (64 logs + 32 witnesses) x (310 of key + 256 of name and URL) are 54 kB;
/// the rest is for groups and comments.
pub const MAX_POLICY_BYTES: usize = 128 * 1024;

const _: () = assert!(MAX_POLICY_WITNESSES < MAX_NOTE_SIGNATURES);
const _: () = assert!(
    MAX_CHECKPOINT_TEXT_BYTES + MAX_POLICY_WITNESSES * MAX_COSIGNATURE_LINE_BYTES
        <= MAX_CHECKPOINT_BYTES,
    "a checkpoint with the cosignatures of the longest policy is one that every reader takes"
);

/// Origins that one witness watches; each has a file and at most one checkpoint in memory.
pub const MAX_WITNESSED_LOGS: usize = 64;
/// Proof lines of one submission to a witness (C2SP tlog-witness).
pub const MAX_CONSISTENCY_LINES: usize = 63;
/// Bytes of one submission to a witness: the old size (4 + 20 + 1), the proof, an empty line, and
/// the checkpoint.
pub const MAX_SUBMISSION_BYTES: usize =
    (4 + 20 + 1) + MAX_CONSISTENCY_LINES * 45 + 1 + MAX_CHECKPOINT_BYTES;
/// Bytes of a witness's answer that are read: some cosignature lines, or a sentence.
pub const MAX_WITNESS_ANSWER_BYTES: usize = 16 * 1024;
/// Connections to a witness at a time. What they can make it hold: 64 x (130 KiB of body + 16 KiB
/// of headers) < 10 MiB.
pub const MAX_WITNESS_CONNECTIONS: usize = 64;
/// Of these, from one address (of IPv6: from one network of 64 bits).
pub const MAX_WITNESS_CONNECTIONS_PER_ADDRESS: usize = 16;
/// Submissions of one address in a second, twice as many at once. A log of a group each second
/// needs one or two.
pub const WITNESS_CALLS_PER_SECOND: u32 = 10;
/// How long a submission may take to arrive: its headers, and then its body.
pub const MAX_SUBMISSION_SECONDS: u64 = 10;
/// How long a connection to a witness may last; its caller comes back over a new one.
pub const MAX_WITNESS_CONNECTION_SECONDS: u64 = 600;
/// The same checkpoint again within this gets the cosignature of before, so that repeating a public
/// checkpoint at a witness costs it no write.
pub const RECOSIGN_SECONDS: u64 = 10;
/// A witness's clock that is further behind its own last cosignature than this cosigns nothing.
pub const MAX_WITNESS_STEP_BACK_SECONDS: u64 = 5;
/// How long a node waits for one answer of a witness, connecting included.
pub const WITNESS_ANSWER_SECONDS: u64 = 10;
/// Tries of one submission: the first tells how far the witness is, the second has the proof, and
/// one more in case that another submission came between.
pub const MAX_SUBMISSION_TRIES: usize = 3;
/// Between two looks of the collector at whether the ledger grew.
pub const COLLECT_TICK_MS: u64 = 200;
/// Between the beginnings of two rounds of a ledger that grows.
pub const COLLECT_PAUSE_MS: u64 = 1_000;
/// A ledger that does not grow has its checkpoint cosigned anew after this, so that who asks for a
/// fresh cosignature finds one.
pub const COLLECT_RENEW_SECONDS: u64 = 3_600;
/// After a failure a witness is asked again after this at first; each further one doubles it.
pub const WITNESS_RETRY_MS: u64 = 1_000;
/// See [`WITNESS_RETRY_MS`]. A quarter more or less by chance, so that not all come at once.
pub const MAX_WITNESS_RETRY_MS: u64 = 60_000;

/// *Format.* Hashes beside a way in the map of lot states: one for each bit of a key. With a
/// million lots a way has 21 on average.
pub const MAX_LOT_PROOF_HASHES: usize = 256;
/// Places of one tile of the map of lot states as it is stored: four bits of the way. A tile has at
/// most 16 x 50 B.
pub const LOT_TILE_SLOTS: usize = 16;
/// Levels of such tiles that the writer keeps in memory once it made them, from the top: 69,905
/// tiles at most, of 2.1 kB with the hashes inside of them, 147 MB from a million lots on. To read
/// one for each lot and hold it against its hash took a seventh of the node's time there.
pub const OWN_LOT_TILE_LEVELS: u8 = 5;
/// Bytes of the tiles below those levels that the writer keeps besides, some 95 a lot: up to ten
/// million lots it reads none of them again (950 MB by reckoning). What does not fit is read for
/// each lot, and held against its hash.
pub const MAX_SMALL_TILE_BYTES: usize = 1024 * 1024 * 1024;
/// Levels from the top that are hashed once for a statement and not with each piece of changes
/// before it: each of their 273 tiles changes several times in between.
pub const LATE_LOT_TILE_LEVELS: u8 = 3;
/// Lots for which the writer turns to the map although requests wait: half a millisecond of work.
pub const LOT_FOLD_FROM: usize = 64;
/// Lots that are folded into the map between two requests at most: as many as a request of events
/// with one lot each has, so that the map keeps up.
pub const LOT_FOLD_LOTS: usize = MAX_BATCH_EVENTS;
/// Entries after which the ledger states its lots' root, unless the operator says otherwise. A
/// statement is an entry of 300 B and a commit group with two syncs: below 0.1 % of 1,024 entries
/// of 600 B, and a busy ledger is stated every few seconds.
pub const LOT_STATE_EVERY_ENTRIES: u64 = 1_024;
/// Milliseconds that entries wait for such a statement when fewer come.
pub const LOT_STATE_WAIT_MS: u64 = 60_000;
/// Entries read at a time for what changed since the last such statement: 256 x 65,535 B = 17 MB at
/// most in hand.
pub const LOT_STATE_READ_AHEAD: usize = 256;
/// Tries to read a proof of a lot's state while the writer states the next one, and the pause
/// between them: half a second, in which the writer syncs a hundred times.
pub const MAX_LOT_PROOF_TRIES: u32 = 50;
/// See [`MAX_LOT_PROOF_TRIES`].
pub const LOT_PROOF_PAUSE_MS: u64 = 10;
/// Bytes of a proof of a lot's state, as text: the receipt of the statement, 45 for each hash
/// beside the way, and 512 for the rest.
pub const MAX_LOT_STATE_BYTES: usize = MAX_RECEIPT_BYTES + MAX_LOT_PROOF_HASHES * 45 + 512;
/// Entries of a lot's story in one file.
pub const MAX_STORY_ENTRIES: usize = 16_384;
/// Bytes of a lot's story: a lot in trade has entries of 1 kB, so this is room for all of them:
/// 16,384 x (1,024 x 4/3 + 30 x 45) = 44 MB.
pub const MAX_STORY_BYTES: usize = 64 * 1024 * 1024;

const _: () = assert!(LATE_LOT_TILE_LEVELS <= OWN_LOT_TILE_LEVELS);
const _: () = assert!(MAX_LOT_STATE_BYTES <= SMALL_REPLY_BYTES);
const _: () = assert!(MAX_LOT_STATE_BYTES + MAX_ENTRY_BYTES * 2 < MAX_STORY_BYTES);

/// Entries that a flag names: of more, the newest.
pub const MAX_EVIDENCE: usize = 64;
/// Entries that the analyst takes over in one step: questions to the book wait as long.
pub const ANALYST_STEP_ENTRIES: usize = 512;
/// Bytes of entries whose events wait for the analyst as the writer has them, with all that their
/// groups changed: some six times as much in memory, by estimate. It is what comes in a second at
/// 12,000 of 600 B. Of more it reads the oldest from the store.
pub const MAX_FEED_BYTES: usize = 8 * 1024 * 1024;
/// Between two looks of the analyst at what came: under load it takes over many at a time.
pub const ANALYST_PAUSE_MS: u64 = 200;

/// Rows of a report; what is left out is counted.
pub const MAX_REPORT_ROWS: usize = 100_000;
/// Entries that a figure of a report lists one by one; a number that rests on more of them has no
/// figure.
pub const MAX_FIGURE_ENTRIES: usize = 1_024;
/// Materials, elements, or codes of regions that a figure names.
pub const MAX_FIGURE_LIST: usize = 64;
/// Bytes of a figure as text: as many entries as it may list, of at most 20 digits, with 20
/// characters of grams beside each.
pub const MAX_FIGURE_BYTES: usize = 64 * 1024;

const _: () = assert!(MAX_FIGURE_ENTRIES * (20 + 20 + 2) + 16 <= MAX_FIGURE_BYTES);
/// Yuan a tonne in a table of reference prices: 1e12 g at it are 1e12 x 1e10 / 1e4 fen, which fits
/// 64 bits.
pub const MAX_PRICE_CNY_T: u64 = 10_000_000_000;
/// Months that the rules compare a month with, and that they add up: a year before it, or with it.
pub const LOOK_BACK_MONTHS: u32 = 12;
/// Steps that a search for a circle of sales walks back; a search that is cut says so in a flag.
/// Metal that was merged of 512 lots takes one step for each.
pub const MAX_CIRCLE_STEPS: usize = 2_048;
/// Sales that a search for a circle of a material looks at, within the days that it goes back; it
/// says so as well. A party that takes over a hundred loads a day has 9,000 of them in 90 days.
pub const MAX_SALES_COMPARED: usize = 16_384;
/// Deadlines that one entry tells of; what is more comes with the entries after it.
pub const MAX_TOLD_PER_ENTRY: usize = 64;
/// Uses of one ticket or manifest, and analyses of one lot, that the rules remember: the newest.
pub const MAX_REMEMBERED: usize = 8;
/// Other trips of a vehicle that one of its trips is compared with.
pub const MAX_TRIPS_COMPARED: usize = 256;
/// Weighings of a party among which round ones are counted.
pub const MAX_ROUND_WEIGHINGS: usize = 1_024;

/// Days that a report may look back or ahead.
pub const MAX_REPORT_DAYS: u32 = 3_660;
/// Entries of a lot's life whose papers its passport names.
pub const MAX_PASSPORT_ENTRIES: usize = 256;
