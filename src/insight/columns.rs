//! The columns of a balance.

/// How metal came to a place, or left it.
///
/// Stock is in lots or in process. Every column says what one gram under it does to each of the
/// two; over all columns they add up to what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// Stock on the day when the ledger reached the party.
    OpeningInventory,
    /// Scrap that came in.
    Collected,
    /// Taken over from another site or party.
    Received,
    /// Charged to a process.
    Used,
    /// Alloying and primary metal, charged to a process.
    Added,
    /// Came out of a process as a product.
    Produced,
    /// Came out of a process as a residue.
    Residue,
    /// Oxygen, water, reagents: joined in a process.
    Uptake,
    /// Went into a process and did not come out: declared losses of mass; of an element what
    /// nobody found again. Less than zero where more came out than went in, within uncertainty.
    ProcessLoss,
    /// In-process stock that a waiver let in.
    Waived,
    /// In-process stock that the campaign before left to this one.
    CarriedIn,
    /// In-process stock that was left to the next campaign.
    CarriedOut,
    /// Merged: what went into the merge less, what came out of it more.
    Remade,
    /// Given over to another site or party: what arrived there.
    Shipped,
    /// Sent and not arrived.
    TransitLoss,
    /// Lost in handling.
    HandlingLoss,
    /// To a facility that disposes of it.
    Disposed,
    /// Out of the ledger.
    Exited,
    /// Found by a stocktake; less than zero: missed.
    Counted,
    /// Known otherwise since: another analysis, rounding, a correction that came later.
    Adjusted,
    /// From or to the books of a party that somebody succeeded.
    Succeeded,
    /// Became another party's property; its stock may stay where it is.
    Sold,
    /// Became the party's property.
    Bought,
}

impl Column {
    /// Every column, in the order of a balance.
    pub const ALL: &'static [Self] = &[
        Self::OpeningInventory,
        Self::Collected,
        Self::Received,
        Self::Used,
        Self::Added,
        Self::Produced,
        Self::Residue,
        Self::Uptake,
        Self::ProcessLoss,
        Self::Waived,
        Self::CarriedIn,
        Self::CarriedOut,
        Self::Remade,
        Self::Shipped,
        Self::TransitLoss,
        Self::HandlingLoss,
        Self::Disposed,
        Self::Exited,
        Self::Counted,
        Self::Adjusted,
        Self::Succeeded,
        Self::Sold,
        Self::Bought,
    ];

    /// What a gram under it does to the stock in lots.
    pub const fn in_lots(self) -> i8 {
        match self {
            Self::OpeningInventory
            | Self::Collected
            | Self::Received
            | Self::Produced
            | Self::Residue
            | Self::Remade
            | Self::Counted
            | Self::Adjusted
            | Self::Succeeded => 1,
            Self::Used
            | Self::Added
            | Self::Shipped
            | Self::TransitLoss
            | Self::HandlingLoss
            | Self::Disposed
            | Self::Exited => -1,
            Self::Uptake
            | Self::ProcessLoss
            | Self::Waived
            | Self::CarriedIn
            | Self::CarriedOut
            | Self::Sold
            | Self::Bought => 0,
        }
    }

    /// What a gram under it does to what is in process.
    pub const fn in_process(self) -> i8 {
        match self {
            Self::Used | Self::Added | Self::Uptake | Self::Waived | Self::CarriedIn => 1,
            Self::Produced | Self::Residue | Self::ProcessLoss | Self::CarriedOut => -1,
            Self::OpeningInventory
            | Self::Collected
            | Self::Received
            | Self::Remade
            | Self::Counted
            | Self::Adjusted
            | Self::Succeeded
            | Self::Shipped
            | Self::TransitLoss
            | Self::HandlingLoss
            | Self::Disposed
            | Self::Exited
            | Self::Sold
            | Self::Bought => 0,
        }
    }

    /// The word, as in the proto.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpeningInventory => "OPENING_INVENTORY",
            Self::Collected => "COLLECTED",
            Self::Received => "RECEIVED",
            Self::Used => "USED",
            Self::Added => "ADDED",
            Self::Produced => "PRODUCED",
            Self::Residue => "RESIDUE",
            Self::Uptake => "UPTAKE",
            Self::ProcessLoss => "PROCESS_LOSS",
            Self::Waived => "WAIVED",
            Self::CarriedIn => "CARRIED_IN",
            Self::CarriedOut => "CARRIED_OUT",
            Self::Remade => "REMADE",
            Self::Shipped => "SHIPPED",
            Self::TransitLoss => "TRANSIT_LOSS",
            Self::HandlingLoss => "HANDLING_LOSS",
            Self::Disposed => "DISPOSED",
            Self::Exited => "EXITED",
            Self::Counted => "COUNTED",
            Self::Adjusted => "ADJUSTED",
            Self::Succeeded => "SUCCEEDED",
            Self::Sold => "SOLD",
            Self::Bought => "BOUGHT",
        }
    }
}
