//! Closed lists of words. Numbers are those of the proto and part of the record; they are never
//! reused.

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)+ }

        impl $name {
            /// Every word, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word of a number of the proto; `None` for 0 (unspecified) and for strangers.
            pub const fn from_number(number: i32) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }

            /// The number in the proto.
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// The word as the proto spells it, without the prefix of its enum.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The word of a spelling, as in the tables.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

vocabulary!(
    /// What kind of paper pins a fact outside the ledger.
    #[expect(missing_docs, reason = "the proto explains them")]
    DocumentKind {
        WeighbridgeTicket = 1 "WEIGHBRIDGE_TICKET",
        Invoice = 2 "INVOICE",
        Contract = 3 "CONTRACT",
        HazardousWasteManifest = 4 "HAZARDOUS_WASTE_MANIFEST",
        AssayReport = 5 "ASSAY_REPORT",
        CustomsDeclaration = 6 "CUSTOMS_DECLARATION",
        Licence = 7 "LICENCE",
        SellerCertificate = 8 "SELLER_CERTIFICATE",
        Photograph = 9 "PHOTOGRAPH",
        Other = 10 "OTHER",
    }
);
vocabulary!(
    /// What a salted commitment hides.
    #[expect(missing_docs, reason = "the proto explains them")]
    CommitmentKind {
        SellerIdentity = 1 "SELLER_IDENTITY",
        Price = 2 "PRICE",
        Contract = 3 "CONTRACT",
        Other = 4 "OTHER",
    }
);
vocabulary!(
    /// Where material came from before it entered the ledger.
    #[expect(missing_docs, reason = "the proto explains them")]
    OriginKind {
        PostConsumer = 1 "POST_CONSUMER",
        PreConsumer = 2 "PRE_CONSUMER",
        InternalReturn = 3 "INTERNAL_RETURN",
        ImportedRawMaterial = 4 "IMPORTED_RAW_MATERIAL",
        Residue = 5 "RESIDUE",
        Primary = 6 "PRIMARY",
        AlloyingAddition = 7 "ALLOYING_ADDITION",
        Ore = 8 "ORE",
        Unknown = 9 "UNKNOWN",
    }
);
vocabulary!(
    /// Chain-of-custody models of ISO 22095.
    #[expect(missing_docs, reason = "the proto explains them")]
    CustodyModel {
        IdentityPreserved = 1 "IDENTITY_PRESERVED",
        Segregated = 2 "SEGREGATED",
        ControlledBlending = 3 "CONTROLLED_BLENDING",
        MassBalance = 4 "MASS_BALANCE",
    }
);
vocabulary!(
    /// Traceable elements; the number is the atomic number.
    #[expect(missing_docs, reason = "chemical symbols")]
    Substance {
        Li = 3 "LI", Mg = 12 "MG", Al = 13 "AL", Sc = 21 "SC", Ti = 22 "TI", Cr = 24 "CR",
        Co = 27 "CO", Ni = 28 "NI", Cu = 29 "CU", Zn = 30 "ZN", Ga = 31 "GA", Ge = 32 "GE",
        As = 33 "AS", Y = 39 "Y", Zr = 40 "ZR", Mo = 42 "MO", Cd = 48 "CD", In = 49 "IN",
        Sn = 50 "SN", Sb = 51 "SB", La = 57 "LA", Ce = 58 "CE", Pr = 59 "PR", Nd = 60 "ND",
        Sm = 62 "SM", Eu = 63 "EU", Gd = 64 "GD", Tb = 65 "TB", Dy = 66 "DY", Ho = 67 "HO",
        Er = 68 "ER", Tm = 69 "TM", Yb = 70 "YB", Lu = 71 "LU", W = 74 "W", Au = 79 "AU",
        Hg = 80 "HG", Pb = 82 "PB",
    }
);
vocabulary!(
    /// What an assay value is a fraction of, and of what.
    #[expect(missing_docs, reason = "the proto explains them")]
    AssayBasis {
        AsReceived = 1 "AS_RECEIVED",
        Dry = 2 "DRY",
        ReoOfTreo = 3 "REO_OF_TREO",
        Metal = 4 "METAL",
    }
);
vocabulary!(
    /// Document class of a purchase or sale.
    #[expect(missing_docs, reason = "the proto explains them")]
    InvoiceClass {
        VatSpecial = 1 "VAT_SPECIAL",
        VatOrdinary = 2 "VAT_ORDINARY",
        Reverse = 3 "REVERSE",
        None = 4 "NONE",
    }
);
vocabulary!(
    /// What a party is allowed to be.
    #[expect(missing_docs, reason = "the proto explains them")]
    PartyRole {
        Collector = 1 "COLLECTOR",
        Dismantler = 2 "DISMANTLER",
        IntegrationCooperative = 3 "INTEGRATION_COOPERATIVE",
        Smelter = 4 "SMELTER",
        RareEarthRecoveryPlant = 5 "RARE_EARTH_RECOVERY_PLANT",
        RareEarthSeparationPlant = 6 "RARE_EARTH_SEPARATION_PLANT",
        RareEarthMetalPlant = 7 "RARE_EARTH_METAL_PLANT",
        Trader = 8 "TRADER",
        Carrier = 9 "CARRIER",
        Laboratory = 10 "LABORATORY",
        Coordinator = 11 "COORDINATOR",
        Auditor = 12 "AUDITOR",
        Regulator = 13 "REGULATOR",
    }
);
vocabulary!(
    /// Kind of a licence.
    #[expect(missing_docs, reason = "the proto explains them")]
    LicenceKind {
        Business = 1 "BUSINESS",
        RenewableResourceRecycling = 2 "RENEWABLE_RESOURCE_RECYCLING",
        ProductiveScrap = 3 "PRODUCTIVE_SCRAP",
        HazardousWaste = 4 "HAZARDOUS_WASTE",
        PollutantDischarge = 5 "POLLUTANT_DISCHARGE",
        RareEarthRecovery = 6 "RARE_EARTH_RECOVERY",
        RareEarthSeparation = 7 "RARE_EARTH_SEPARATION",
        HazardousTransport = 8 "HAZARDOUS_TRANSPORT",
        LaboratoryAccreditation = 9 "LABORATORY_ACCREDITATION",
    }
);
vocabulary!(
    /// How a party belongs to a group.
    #[expect(missing_docs, reason = "the proto explains them")]
    AffiliationKind {
        Equity = 1 "EQUITY",
        GoldenShare = 2 "GOLDEN_SHARE",
        CooperationAgreement = 3 "COOPERATION_AGREEMENT",
        Independent = 4 "INDEPENDENT",
        Exited = 5 "EXITED",
        Deregistered = 6 "DEREGISTERED",
    }
);
vocabulary!(
    /// Who sold the scrap.
    #[expect(missing_docs, reason = "the proto explains them")]
    SellerKind {
        NaturalPerson = 1 "NATURAL_PERSON",
        Enterprise = 2 "ENTERPRISE",
        PublicBody = 3 "PUBLIC_BODY",
        Importer = 4 "IMPORTER",
    }
);
vocabulary!(
    /// Where mass went that is in no lot.
    #[expect(missing_docs, reason = "the proto explains them")]
    LossKind {
        Moisture = 1 "MOISTURE",
        Volatile = 2 "VOLATILE",
        Combustion = 3 "COMBUSTION",
        Oxidation = 4 "OXIDATION",
        Effluent = 5 "EFFLUENT",
        Handling = 6 "HANDLING",
        Other = 7 "OTHER",
    }
);
vocabulary!(
    /// Mass that joins in a process and carries no traced metal.
    #[expect(missing_docs, reason = "the proto explains them")]
    UptakeKind {
        Oxygen = 1 "OXYGEN",
        Water = 2 "WATER",
        Flux = 3 "FLUX",
        Reagent = 4 "REAGENT",
        Reductant = 5 "REDUCTANT",
    }
);
vocabulary!(
    /// What a transfer moves.
    #[expect(missing_docs, reason = "the proto explains them")]
    TransferScope {
        Custody = 1 "CUSTODY",
        Ownership = 2 "OWNERSHIP",
        CustodyAndOwnership = 3 "CUSTODY_AND_OWNERSHIP",
    }
);
vocabulary!(
    /// Why a transfer did not happen as offered.
    #[expect(missing_docs, reason = "the proto explains them")]
    TransferReason {
        Quality = 1 "QUALITY",
        Quantity = 2 "QUANTITY",
        Documents = 3 "DOCUMENTS",
        NotOrdered = 4 "NOT_ORDERED",
        Radioactive = 5 "RADIOACTIVE",
        NotShipped = 6 "NOT_SHIPPED",
        Other = 7 "OTHER",
    }
);
vocabulary!(
    /// To whom a lot leaves the ledger.
    #[expect(missing_docs, reason = "the proto explains them")]
    BuyerKind {
        Manufacturer = 1 "MANUFACTURER",
        Export = 2 "EXPORT",
        Other = 3 "OTHER",
    }
);
vocabulary!(
    /// Why a lot is stopped.
    #[expect(missing_docs, reason = "the proto explains them")]
    HoldReason {
        Investigation = 1 "INVESTIGATION",
        Quality = 2 "QUALITY",
        Dispute = 3 "DISPUTE",
        Radioactive = 4 "RADIOACTIVE",
        CourtOrder = 5 "COURT_ORDER",
        Other = 6 "OTHER",
    }
);
vocabulary!(
    /// What was wrong with an event.
    #[expect(missing_docs, reason = "the proto explains them")]
    ErrorKind {
        DidNotOccur = 1 "DID_NOT_OCCUR",
        IncorrectData = 2 "INCORRECT_DATA",
    }
);
vocabulary!(
    /// What somebody found who looked.
    #[expect(missing_docs, reason = "the proto explains them")]
    AttestResult {
        Passed = 1 "PASSED",
        PassedWithRemarks = 2 "PASSED_WITH_REMARKS",
        Failed = 3 "FAILED",
    }
);
vocabulary!(
    /// Kind of an event; the number is the tag of its body in the proto.
    #[expect(missing_docs, reason = "the proto explains them")]
    EventKind {
        Genesis = 20 "GENESIS",
        RegisterParty = 21 "REGISTER_PARTY",
        AmendParty = 22 "AMEND_PARTY",
        RegisterSite = 23 "REGISTER_SITE",
        AmendSite = 24 "AMEND_SITE",
        RegisterLicence = 25 "REGISTER_LICENCE",
        AmendLicence = 26 "AMEND_LICENCE",
        RegisterAffiliation = 27 "REGISTER_AFFILIATION",
        AmendAffiliation = 28 "AMEND_AFFILIATION",
        RegisterKey = 29 "REGISTER_KEY",
        RevokeKey = 30 "REVOKE_KEY",
        PublishTables = 31 "PUBLISH_TABLES",
        OpeningInventory = 32 "OPENING_INVENTORY",
        Waiver = 33 "WAIVER",
        Approval = 34 "APPROVAL",
        VisibilityGrant = 35 "VISIBILITY_GRANT",
        SucceedParty = 36 "SUCCEED_PARTY",
        CollectLot = 40 "COLLECT_LOT",
        AssayLot = 41 "ASSAY_LOT",
        SplitLot = 42 "SPLIT_LOT",
        MergeLots = 43 "MERGE_LOTS",
        TransformLots = 44 "TRANSFORM_LOTS",
        OpenCampaign = 45 "OPEN_CAMPAIGN",
        ChargeCampaign = 46 "CHARGE_CAMPAIGN",
        DrawCampaign = 47 "DRAW_CAMPAIGN",
        CloseCampaign = 48 "CLOSE_CAMPAIGN",
        OfferTransfer = 50 "OFFER_TRANSFER",
        AcceptTransfer = 51 "ACCEPT_TRANSFER",
        RejectTransfer = 52 "REJECT_TRANSFER",
        CancelTransfer = 53 "CANCEL_TRANSFER",
        PartlyAcceptTransfer = 54 "PARTLY_ACCEPT_TRANSFER",
        ReturnTransfer = 55 "RETURN_TRANSFER",
        SettleDiscrepancy = 56 "SETTLE_DISCREPANCY",
        HoldLot = 60 "HOLD_LOT",
        ReleaseLot = 61 "RELEASE_LOT",
        DisposeResidue = 62 "DISPOSE_RESIDUE",
        Stocktake = 63 "STOCKTAKE",
        ExitLot = 64 "EXIT_LOT",
        DeclareError = 70 "DECLARE_ERROR",
        Attest = 71 "ATTEST",
        AcknowledgeAnomaly = 72 "ACKNOWLEDGE_ANOMALY",
        ClaimCredit = 73 "CLAIM_CREDIT",
    }
);

impl Substance {
    /// Scandium, yttrium and the lanthanides.
    pub const fn is_rare_earth(self) -> bool {
        matches!(self as u8, 21 | 39 | 57..=71)
    }
}

impl TransferScope {
    /// Whether possession moves.
    pub const fn moves_custody(self) -> bool {
        matches!(self, Self::Custody | Self::CustodyAndOwnership)
    }

    /// Whether property moves.
    pub const fn moves_ownership(self) -> bool {
        matches!(self, Self::Ownership | Self::CustodyAndOwnership)
    }
}

/// A set of origin kinds: what is in a lot that was made from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct OriginKinds(u16);

impl OriginKinds {
    /// A set of one.
    pub const fn of(kind: OriginKind) -> Self {
        Self(1 << kind.number())
    }

    /// Bits as stored before.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Bits to store: bit `n` for the kind of number `n`.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a kind is among them.
    pub const fn contains(self, kind: OriginKind) -> bool {
        self.0 & (1 << kind.number()) != 0
    }

    /// Whether there are some, and every one of them is of the other set.
    pub const fn are_all_of(self, other: Self) -> bool {
        self.0 != 0 && self.0 & !other.0 == 0
    }

    /// The kinds, ascending.
    pub fn iter(self) -> impl Iterator<Item = OriginKind> {
        OriginKind::ALL.iter().copied().filter(move |kind| self.contains(*kind))
    }
}
