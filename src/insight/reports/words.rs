//! Names of columns that several reports have.

use super::table::{ColumnHead, ColumnUnit};
use crate::insight::Column;

pub(super) const PARTY: ColumnHead = ColumnHead::new("party", "主体", "party", ColumnUnit::Party);
pub(super) const SITE: ColumnHead = ColumnHead::new("site", "场所", "site", ColumnUnit::Site);
pub(super) const LOT: ColumnHead = ColumnHead::new("lot", "批次", "lot", ColumnUnit::Lot);
pub(super) const MATERIAL: ColumnHead =
    ColumnHead::new("material", "物料", "material", ColumnUnit::Code);
pub(super) const MEASURE: ColumnHead =
    ColumnHead::new("measure", "计量对象", "measure", ColumnUnit::Code);
pub(super) const PROCESS: ColumnHead =
    ColumnHead::new("process", "工序", "process", ColumnUnit::Code);
pub(super) const CAMPAIGN: ColumnHead =
    ColumnHead::new("campaign", "生产周期", "campaign", ColumnUnit::Campaign);
pub(super) const OPENING: ColumnHead =
    ColumnHead::new("opening", "期初", "opening", ColumnUnit::Grams);
pub(super) const CLOSING: ColumnHead =
    ColumnHead::new("closing", "期末", "closing", ColumnUnit::Grams);
pub(super) const ENTRY: ColumnHead = ColumnHead::new("entry", "条目", "entry", ColumnUnit::Entry);
pub(super) const OCCURRED_AT: ColumnHead =
    ColumnHead::new("occurred_at", "发生时间", "occurred at", ColumnUnit::Time);

/// The head of a column of the book.
pub(super) const fn head_of(column: Column) -> ColumnHead {
    let (name, zh, en) = match column {
        Column::OpeningInventory => ("opening_inventory", "期初盘存", "opening inventory"),
        Column::Collected => ("collected", "回收", "collected"),
        Column::Received => ("received", "收入", "received"),
        Column::Used => ("used", "投料", "used"),
        Column::Added => ("added", "添加", "added"),
        Column::Produced => ("produced", "产出", "produced"),
        Column::Residue => ("residue", "残渣", "residue"),
        Column::Uptake => ("uptake", "吸收", "uptake"),
        Column::ProcessLoss => ("process_loss", "工艺损耗", "process loss"),
        Column::Waived => ("waived", "豁免计入", "waived"),
        Column::CarriedIn => ("carried_in", "上期结转", "carried in"),
        Column::CarriedOut => ("carried_out", "结转下期", "carried out"),
        Column::Remade => ("remade", "合并", "remade"),
        Column::Shipped => ("shipped", "发出", "shipped"),
        Column::TransitLoss => ("transit_loss", "途耗", "transit loss"),
        Column::HandlingLoss => ("handling_loss", "搬运损耗", "handling loss"),
        Column::Disposed => ("disposed", "处置", "disposed"),
        Column::Exited => ("exited", "退出账本", "exited"),
        Column::Counted => ("counted", "盘点差异", "counted"),
        Column::Adjusted => ("adjusted", "调整", "adjusted"),
        Column::Succeeded => ("succeeded", "承继", "succeeded"),
        Column::Sold => ("sold", "售出", "sold"),
        Column::Bought => ("bought", "购入", "bought"),
    };
    ColumnHead::new(name, zh, en, ColumnUnit::Grams)
}
