//! What a caller reads in Chinese: one sentence per reason, `{keys}` filled from the metadata.

use super::numbers::Number;
use crate::wire::v1::Reason;

/// The sentence of a reason with its numbers. (A test holds that every reason has one.)
pub fn sentence(reason: Reason, numbers: &[Number]) -> String {
    let template = SENTENCES.iter().find(|(known, _)| *known == reason);
    let template = template.map_or("未知错误", |(_, sentence)| sentence);
    fill(template, numbers)
}

/// Fills in one pass, so that a number that looks like a key is not filled again.
pub fn fill(template: &str, numbers: &[Number]) -> String {
    let mut filled = String::with_capacity(template.len() * 2);
    let mut rest = template;
    // Each round takes at least one byte off `rest`.
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((key, behind)) = after.split_once('}') else { break };
        let number = numbers.iter().find(|(known, _)| *known == key);
        filled.push_str(number.map_or("", |(_, text)| text.as_str()));
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

/// One sentence per reason, ascending by number.
pub const SENTENCES: &[(Reason, &str)] = &[
    (Reason::EventTooLarge, "事件的签名字节过多：{detail}"),
    (Reason::NonCanonicalEvent, "事件字节不是规范编码：{detail}"),
    (Reason::FieldInvalid, "事件字段 {field} 无效：要求 {rule}，实为 {found}（共 {count} 处）"),
    (Reason::EnvelopeMalformed, "信封格式错误：{detail}"),
    (Reason::SignatureInvalid, "密钥 {key} 的签名验证不通过"),
    (Reason::KeyWeak, "公钥不安全：{detail}"),
    (
        Reason::BatchTooLarge,
        "批次过大：{events} 个事件、{bytes} 字节，上限为 {max_events} 个、{max_bytes} 字节",
    ),
    (Reason::BatchEmpty, "批次为空"),
    (Reason::RequestInvalid, "请求字段 {field} 无效：要求 {rule}，实为 {found}（共 {count} 处）"),
    (Reason::PageTokenInvalid, "分页令牌无效：{rule}"),
    (Reason::RequestTooLarge, "请求过大，上限为 {max_bytes} 字节：{detail}"),
    (Reason::RequestMalformed, "请求不是本方法的 protobuf 消息：{detail}"),
    (Reason::BatchRepeats, "同一事件在批次中出现两次"),
    (Reason::OriginMismatch, "事件指向账本 {found}，本账本为 {expected}"),
    (Reason::GenesisMisplaced, "第 0 条且仅第 0 条为创世事件；第 {index} 条不能是 {kind}"),
    (Reason::GenesisMalformed, "创世事件不合规：{rule}"),
    (Reason::EventIdConflict, "事件 {event} 已记录为第 {recorded_at} 条，且内容不同"),
    (Reason::EventAlreadyRecorded, "事件 {event} 已记录为第 {recorded_at} 条"),
    (Reason::CorrectiveExpected, "此处应为更正事件 {expected}（载荷哈希须一致），实为 {found}"),
    (Reason::CorrectivesIncomplete, "声明了 {declared} 个更正事件，批次中其后只有 {following} 个"),
    (Reason::TablesNotPublished, "须先发布创世所定的代码表 {tables}；下一块为第 {next_chunk} 块"),
    (Reason::CorrectiveNested, "事件 {event} 是更正事件，其本身不得再声明错误"),
    (Reason::ActorUnknown, "主体 {actor} 未登记"),
    (Reason::KeyUnknown, "密钥 {key} 未登记"),
    (Reason::SignerUnexpected, "不需要主体 {party} 的密钥 {key} 签名"),
    (Reason::SignerMissing, "缺少主体 {party} 的签名"),
    (
        Reason::KeyNotValid,
        "密钥 {key} 的有效期为 {from} 至 {to} 毫秒（不含），事件发生于 {occurred_at} 毫秒",
    ),
    (Reason::KeyRevoked, "密钥 {key} 已由第 {by} 条吊销，自 {revoked_at} 毫秒起"),
    (
        Reason::OccurredInFuture,
        "事件发生于 {occurred_at} 毫秒，晚于账本时钟 {recorded_at} 毫秒超过 {skew_ms} 毫秒",
    ),
    (Reason::RoleNotHeld, "主体 {party} 在事件发生时没有可执行 {action} 的角色"),
    (Reason::LicenceNotHeld, "主体 {party} 执行 {action} 需持有事件发生时有效的 {needed} 许可"),
    (Reason::SiteUnknown, "场所 {site} 未登记"),
    (Reason::SiteNotOfParty, "场所 {site} 属于主体 {owner}，不属于 {party}"),
    (Reason::PartySucceeded, "自 {since} 毫秒起发生的事项，由主体 {successor} 代主体 {party} 行事"),
    (
        Reason::EventBeforeTarget,
        "事件 {target} 发生于 {last} 毫秒，本事件发生于 {occurred_at} 毫秒，不得早于其撤销对象",
    ),
    (Reason::PartyExists, "主体 {party} 已登记"),
    (Reason::PartyUnknown, "主体 {party} 未登记"),
    (
        Reason::CreditCodeInvalid,
        "统一社会信用代码 {code} 校验不通过（GB 32100）：末位应为 {expected}",
    ),
    (Reason::CreditCodeTaken, "统一社会信用代码 {code} 已属于主体 {by}"),
    (Reason::SiteExists, "场所 {site} 已登记"),
    (Reason::RegionUnknown, "行政区划代码 {code} 在 {at} 毫秒时不在 GB/T 2260 中"),
    (Reason::LicenceExists, "许可 {licence} 已记录"),
    (Reason::LicenceUnknown, "该主体没有许可 {licence}"),
    (Reason::WasteCodeUnknown, "危险废物代码 {code} 不在代码表中"),
    (Reason::AffiliationExists, "隶属关系 {affiliation} 已记录"),
    (Reason::AffiliationUnknown, "该主体没有隶属关系 {affiliation}"),
    (Reason::KeyExists, "密钥 {key} 已登记"),
    (Reason::KeyAlreadyRevoked, "密钥 {key} 已由第 {by} 条吊销"),
    (Reason::RegistryFull, "一个主体的 {what} 至多 {limit} 个"),
    (Reason::TableChunkUnexpected, "代码表应为第 {expected} 块，实为第 {found} 块"),
    (Reason::TablesInvalid, "代码表不合规：{detail}"),
    (Reason::WaiverNotPossible, "规则 {reason_code} 不得豁免"),
    (Reason::ValidityEmpty, "有效期止于 {valid_to} 毫秒，不晚于其起始 {occurred_at} 毫秒"),
    (Reason::SuccessionNotPossible, "主体 {successor} 不能承继主体 {party}：{rule}"),
    (Reason::CheckpointInvalid, "该检查点不是本账本至此为止的检查点：{detail}"),
    (Reason::MaterialUnknown, "物料代码 {code} 在事件发生时不在代码表中"),
    (Reason::FormUnknown, "形态代码 {code} 不在代码表中"),
    (Reason::GradeUnknown, "标准 {scheme} 的等级 {code} 不在代码表中"),
    (Reason::ProcessUnknown, "工艺代码 {code} 在事件发生时不在代码表中"),
    (Reason::ProcessNotAtSite, "场所 {site} 未登记工艺 {code}"),
    (Reason::CampaignExists, "生产周期 {campaign} 已存在，编号不得重复使用"),
    (Reason::CampaignUnknown, "生产周期 {campaign} 未记录"),
    (Reason::CampaignTakesNoMore, "生产周期 {campaign} 不再接受此类事件：{rule}"),
    (Reason::CampaignElsewhere, "生产周期 {campaign} 在场所 {site}，不在 {event_site}"),
    (
        Reason::CampaignRunning,
        "场所 {site} 的工艺 {process} 正以生产周期 {campaign} 运行，尚未关闭",
    ),
    (Reason::LotRepeated, "批次 {lot} 在同一事件中出现两次"),
    (Reason::LotExists, "批次 {lot} 已存在，编号不得重复使用"),
    (Reason::TransferUnknown, "没有由事件 {offer} 提出的转移"),
    (Reason::TransferClosed, "转移 {offer} 已结束"),
    (Reason::NotTheConsignee, "转移 {offer} 的接收方为 {consignee}，不是 {actor}"),
    (Reason::NotTheSender, "转移 {offer} 的发出方为 {sender}，不是 {actor}"),
    (Reason::TransferToSelf, "主体 {party} 不能向自己提出转移"),
    (Reason::ReceivedLotMismatch, "转移 {offer}：{rule}"),
    (Reason::LotUnknown, "批次 {lot} 未记录"),
    (Reason::LotRetracted, "批次 {lot} 的产生已被事件 {by} 声明为错误"),
    (Reason::LotNotHeld, "批次 {lot} 由主体 {possessor} 持有，不由 {actor} 持有"),
    (Reason::LotNotOwned, "批次 {lot} 归主体 {owner} 所有，不归 {actor}"),
    (Reason::LotElsewhere, "批次 {lot} 位于场所 {site}，不在 {event_site}"),
    (Reason::LotOnHold, "批次 {lot} 已被事件 {hold} 冻结"),
    (
        Reason::EventBeforeLot,
        "事件发生于 {occurred_at} 毫秒，早于批次 {lot} 的上一事件 {last} 毫秒",
    ),
    (Reason::HoldUnknown, "批次 {lot} 没有由事件 {hold} 设置的冻结"),
    (Reason::HoldNotYours, "冻结 {hold} 由主体 {placed_by} 设置，只能由其或协调方解除"),
    (Reason::HoldIsDiscrepancy, "冻结 {hold} 因收发差异而设，双方结清后方可解除"),
    (Reason::TooManyHolds, "批次 {lot} 已有 {limit} 个冻结，已达上限"),
    (Reason::TransferStateMismatch, "转移 {offer} 当前为 {status}，须为 {needed}"),
    (
        Reason::OreForbidden,
        "主体 {party} 不得持有或使用矿石、原生稀土及矿产品；批次 {lot} 来源为 {origin_kinds}",
    ),
    (Reason::SellerCertificateMissing, "{material} 属于生产性废旧金属，须填写出售方证明编号"),
    (Reason::ManifestMissing, "{material} 属于危险废物 {waste_code}，须填写转移联单"),
    (Reason::PermitMissing, "主体 {party} 在事件发生时没有涵盖 {waste_code} 的危险废物经营许可"),
    (
        Reason::ApprovalMissing,
        "危险废物批次 {lot} 由省 {from_province} 转往 {to_province}，须先取得 {asked} 克的批准，\
         现有未用批准 {unused} 克",
    ),
    (Reason::MergeOwnersDiffer, "批次 {lot} 归主体 {owner} 所有，其余归 {other}，不能合并"),
    (Reason::MergeClassesDiffer, "批次 {lot} 属于合并组 {group}，其余属于 {other}，不能合并"),
    (
        Reason::InsufficientMass,
        "批次 {lot} 需用 {asked} 克，剩余 {remaining} 克中可用 {available} 克",
    ),
    (Reason::WeighingMismatch, "净重 {net} 克不等于毛重 {gross} 克减皮重 {tare} 克"),
    (Reason::MassNotConserved, "投入 {into} 克、产出 {out} 克；每一克都须申报，包括损耗"),
    (
        Reason::CompositionInconsistent,
        "批次 {lot} 的成分自相矛盾：{rule}（{sum_e8} 对 {limit_e8}，单位 1e-8）",
    ),
    (Reason::AssayMissing, "批次 {lot} 缺少该工艺须平衡的 {substance} 的检测"),
    (
        Reason::ElementGained,
        "元素 {substance}：产出 {out} 克，投入 {into} 克，不确定度合计 {uncertainty} 克",
    ),
    (
        Reason::OpeningStockMismatch,
        "生产周期 {campaign} 期初在制 {substance} 申报 {stated} 克，上一周期期末为 {expected} 克",
    ),
    (Reason::CampaignNotAnalysed, "生产周期 {campaign}：{detail}"),
    (
        Reason::EventBeforeCampaign,
        "事件发生于 {occurred_at} 毫秒，早于生产周期 {campaign} 的最后事件 {last} 毫秒",
    ),
    (Reason::TransferMassExceeded, "转移 {offer} 提出 {offered} 克，不是 {grams} 克：{rule}"),
    (
        Reason::StocktakeBeyondTolerance,
        "批次 {lot} 盘点 {counted} 克，账面 {booked} 克；未经批准，盘盈、盘亏累计各不得超过 {limit} 克",
    ),
    (
        Reason::HazardousExit,
        "批次 {lot} 属于危险废物 {waste_code}，须凭联单转移或处置，不得以销售退出账本",
    ),
    (Reason::InvoiceClassMismatch, "批次 {lot} 购入票种为 {bought}，销售票种为 {sold}，两者不匹配"),
    (Reason::TargetUnknown, "事件 {target} 未记录"),
    (Reason::TargetNotYours, "事件 {target} 属于主体 {actor}"),
    (Reason::TargetNotCorrectable, "{kind} 类事件 {target} 不能撤销，请改用变更记录"),
    (Reason::TargetCorrected, "事件 {target} 已被事件 {by} 声明为错误"),
    (
        Reason::CorrectionBlocked,
        "事件 {target} 对批次或生产周期 {lot} 的影响已被使用，须先撤销：{blocking}（另有 {more} 个）",
    ),
    (Reason::LotRecordsFull, "批次 {lot} 现有 {limit} 个有效的 {what}，已达上限"),
    (
        Reason::CreditInsufficient,
        "场所 {site} 申领 {substance} {asked} 克，所述月份已获得而未申领者为 {available} 克",
    ),
    (
        Reason::CreditClaimed,
        "若无事件 {target}，场所 {site} 在 {month} 获得 {substance} {left} 克，而已申领 {claimed} 克",
    ),
    (Reason::Busy, "服务繁忙，未记录任何内容；请稍后原样重发"),
    (Reason::Poisoned, "此前一次写入失败，服务在重启前不再记录；本请求未产生任何影响"),
    (Reason::Indeterminate, "本请求的写入结果不确定；服务恢复后请原样重发以确认，不会重复记录"),
    (Reason::ShuttingDown, "服务正在停止，未记录任何内容；请稍后原样重发"),
    (Reason::NotFound, "未找到 {kind} {name}"),
    (Reason::DeadlineExceeded, "已超过调用方期限；写入可能仍会完成，请原样重发以确认"),
    (Reason::Internal, "服务内部错误，请求编号 {request}"),
    (Reason::StateUnreadable, "服务无法读取自身存储，未记录任何内容；请求编号 {request}"),
    (Reason::PermissionDenied, "无权调用：{rule}"),
    (Reason::MethodUnknown, "没有此方法：{method}"),
    (Reason::IdentityMissing, "此方法须表明身份：请使用客户端证书，或以 Bearer 令牌调用"),
    (Reason::TokenMalformed, "authorization 头不是本服务的 Bearer 令牌，或出现多次"),
    (Reason::TokenUnknown, "本服务未签发此令牌"),
    (Reason::TokenExpired, "令牌已于 {expired_at} 毫秒到期"),
    (Reason::TokenRevoked, "令牌已吊销"),
    (Reason::IdentitiesDiffer, "客户端证书与令牌不属于同一主体"),
    (Reason::ScopeMissing, "令牌的范围不含 {scope}"),
    (Reason::RateLimited, "调用过于频繁，请于 {wait_ms} 毫秒后重试"),
    (Reason::CertificateNameless, "客户端证书未写明主体，或写明多个主体"),
    (Reason::HttpPathUnknown, "路径 {path} 不存在；全部路径见 /openapi.json"),
    (Reason::HttpMethodNotAllowed, "该路径不接受 {verb}，可用：{allowed}"),
    (Reason::HttpContentType, "正文须为未压缩的 UTF-8 application/json：{found}"),
    (Reason::HttpJsonMalformed, "正文不是合法的 JSON：{detail}"),
    (Reason::HttpHostNotLocal, "本机服务只以地址或 localhost 访问，不接受主机名 {host}"),
    (Reason::WatchLimit, "同时打开的订阅过多，上限为 {limit} 个（{of}）"),
    (Reason::WatchTooSlow, "读取过慢，订阅已中断；请从第 {resume_from} 条继续"),
    (Reason::WatchEnded, "订阅已结束（{why}）；请从第 {resume_from} 条继续"),
    (Reason::DraftNotNeeded, "该事件不再需要其他签名，请直接记录"),
    (Reason::DraftConflict, "事件 {event} 已有内容不同的待签草稿"),
    (Reason::DraftsFull, "待签草稿已达上限：{limit}（{what}）"),
    (Reason::OpeningMismatch, "事件 {event} 没有哈希为 {found} 的承诺，盐值或内容不符"),
];
