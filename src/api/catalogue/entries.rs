//! The entries of the catalogue, one a code. Owns the texts.

use super::Fault::{Device, Partner, Platform};
use super::Retry::{Later, No, Same};
use super::{Entry, Fault, Retry};

macro_rules! catalogue {
    ($($name:ident: $code:literal, $status:literal, $fault:ident, $retry:ident, $message:literal, $en:literal, $zh:literal;)*) => {
        /// A code of the catalogue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $message] $name,)*
        }

        impl Code {
            /// Every code, in the order of the reference.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// What the world is told.
            pub const fn entry(self) -> Entry {
                const fn entry(code: &'static str, status: u16, by: (Fault, Retry), texts: [&'static str; 3]) -> Entry {
                    let [message, en, zh] = texts;
                    Entry { code, status, fault: by.0, retry: by.1, message, en, zh }
                }
                match self {
                    $(Code::$name => entry($code, $status, ($fault, $retry), [$message, $en, $zh]),)*
                }
            }
        }
    };
}

catalogue! {
    BadJson: "bad_json", 400, Partner, No, "the body is no JSON object in UTF-8",
        "The request could not be understood.", "请求无法识别。";
    InvalidField: "invalid_field", 400, Partner, No, "a member or parameter is missing or not allowed; see details",
        "Something in the request is not valid.", "请求参数有误。";
    UnknownField: "unknown_field", 400, Partner, No, "the request has a member or parameter that this call does not know",
        "Something in the request is not valid.", "请求参数有误。";
    BodyTooLarge: "body_too_large", 413, Partner, No, "the body is larger than allowed (256 KiB unless configured)",
        "The request is too large.", "请求内容过大。";
    MissingSignature: "missing_signature", 401, Partner, No, "a signature header is missing or not well formed",
        "The service could not be reached. Please contact support.", "服务验证失败，请联系客服。";
    BadSignature: "bad_signature", 401, Partner, No, "no such key, or the signature does not fit key and request",
        "The service could not be reached. Please contact support.", "服务验证失败，请联系客服。";
    ClockSkew: "clock_skew", 401, Partner, Same,
        "the timestamp is too far from our time; sign anew with the right time",
        "Please try again.", "请重试。";
    ReplayedNonce: "replayed_nonce", 401, Partner, Same, "this nonce was used before with this key; sign anew with another",
        "Please try again.", "请重试。";
    Banned: "banned", 403, Partner, Later, "too many failures in a row with this key from this address; see Retry-After",
        "The service is not available at the moment. Please try later.", "服务暂不可用，请稍后再试。";
    AddressRefused: "address_refused", 403, Partner, No, "this key may not be used at this address; see its networks",
        "The service could not be reached. Please contact support.", "服务验证失败，请联系客服。";
    RevokedKey: "revoked_key", 401, Partner, No, "this key was revoked or replaced; use a newer one",
        "The service could not be reached. Please contact support.", "服务验证失败，请联系客服。";
    Scope: "scope", 403, Partner, No, "this key may not make this call",
        "This is not permitted.", "无权进行此操作。";
    KeysFull: "keys_full", 409, Partner, No, "the partner has as many keys as it can have",
        "This is not possible.", "无法进行此操作。";
    Unauthorized: "unauthorized", 401, Partner, No, "the operator's bearer token is missing or wrong",
        "Please sign in.", "请先登录。";
    RateLimited: "rate_limited", 429, Partner, Later, "more calls of this class than agreed; see Retry-After",
        "Too many requests. Please try again in a moment.", "请求过于频繁，请稍后再试。";
    RequestIdConflict: "request_id_conflict", 409, Partner, No, "this request_id was used with another body or call",
        "Please try again.", "请重试。";
    NotFound: "not_found", 404, Partner, No, "there is no such thing, or it is not yours",
        "Nothing was found.", "未找到相关内容。";
    MethodNotAllowed: "method_not_allowed", 405, Partner, No, "this path does not know that method",
        "This is not possible.", "不支持此操作。";
    SiteUnknown: "site_unknown", 404, Partner, No, "there is no such site",
        "This site is not known.", "未找到该充电站。";
    PartnerUnknown: "partner_unknown", 404, Partner, No, "there is no such partner",
        "This partner is not known.", "未找到该合作方。";
    PartnerSuspended: "partner_suspended", 403, Partner, No,
        "this partner is suspended and begins nothing new; what runs can be stopped, followed and settled",
        "Charging cannot be started here at the moment. Please contact support.", "暂时无法发起充电，请联系客服。";
    ApplicationUnknown: "application_unknown", 404, Partner, No, "there is no such application, or this token does not open it",
        "This application is not known.", "未找到该申请。";
    ApplicationExists: "application_exists", 409, Partner, No, "this token has an application already; amend it, or choose another token",
        "There is an application already.", "申请已存在。";
    ApplicationOpen: "application_open", 409, Partner, Later, "the application is not decided yet",
        "The application has not been decided yet.", "申请尚未审核完成。";
    ApplicationDecided: "application_decided", 409, Partner, No, "the application is decided, withdrawn, or was amended too often",
        "The application has already been decided.", "申请已处理完毕。";
    ApplicationsFull: "applications_full", 503, Platform, Later, "more applications wait for a person than are taken",
        "No more applications are taken at the moment. Please try later.", "当前申请较多，请稍后再试。";
    CredentialsGone: "credentials_gone", 409, Partner, No, "the credentials were taken, or their time is over; ask the operator",
        "The credentials have already been taken.", "凭证已被领取或已过期。";
    ChargerUnknown: "charger_unknown", 404, Partner, No, "there is no such charger, or it is not open to you",
        "This charger is not known.", "未找到该充电桩。";
    ChargerOffline: "charger_offline", 409, Device, Later, "the charger is not connected",
        "The charger is offline. Please choose another one.", "充电桩已离线，请更换其他充电桩。";
    ChargerNotAccepted: "charger_not_accepted", 409, Platform, Later, "the charger has not been accepted for service yet",
        "The charger is not in service yet. Please choose another one.", "充电桩尚未投入使用，请更换其他充电桩。";
    CommandRefused: "command_refused", 409, Device, No,
        "the charger cannot do what the command wants, or not now; see details",
        "The charger cannot do this.", "充电桩不支持此操作。";
    ConnectorUnknown: "connector_unknown", 404, Partner, No, "this charger has no such connector",
        "This connector is not known.", "未找到该充电枪。";
    ConnectorOccupied: "connector_occupied", 409, Partner, Later, "another session is on this connector",
        "This connector is in use. Please choose another one.", "充电枪正在使用中，请更换其他充电枪。";
    ConnectorFaulted: "connector_faulted", 409, Device, Later, "the connector reports a fault",
        "This connector is out of order. Please choose another one.", "充电枪故障，请更换其他充电枪。";
    ConnectorUnavailable: "connector_unavailable", 409, Device, Later, "the connector is out of service",
        "This connector is out of service. Please choose another one.", "充电枪暂停服务，请更换其他充电枪。";
    ConnectorReserved: "connector_reserved", 409, Partner, Later, "the connector is reserved for somebody else",
        "This connector is reserved. Please choose another one.", "充电枪已被预约，请更换其他充电枪。";
    ConnectorStatusUnknown: "connector_status_unknown", 409, Device, Later, "the charger has not told this connector's status",
        "The state of this connector is not known. Please try again in a moment.", "充电枪状态未知，请稍后再试。";
    CodeUnknown: "code_unknown", 404, Partner, No, "this QR text or number is of no connector that is open to you",
        "This code is not known. Please check the number.", "无法识别该编码，请核对编号。";
    LockUnknown: "lock_unknown", 404, Partner, No, "the charger has told of no parking lock or barrier there",
        "There is no parking lock here.", "此处没有地锁或道闸。";
    ChargerInMaintenance: "charger_in_maintenance", 409, Platform, Later, "the charger is being serviced",
        "The charger is being serviced. Please choose another one.", "充电桩维护中，请更换其他充电桩。";
    RotationUnderWay: "rotation_under_way", 409, Platform, Later,
        "the charger's password is being changed already, or was changed meanwhile; registering a password ends it",
        "The password is being changed already.", "密码正在更换中，请稍后再试。";
    SecurityProfileFalls: "security_profile_falls", 409, Platform, No,
        "a security profile below the registered one would lock the charger out",
        "The security profile cannot be lowered.", "安全等级不能降低。";
    StartInProgress: "start_in_progress", 409, Partner, Later, "another start on this connector is under way",
        "Somebody is just starting to charge here. Please choose another connector.", "该充电枪正在启动中，请更换其他充电枪。";
    StartTimeout: "start_timeout", 409, Device, Later, "the charger did not begin in time (event and operation only)",
        "Charging did not start. You have not been charged. Please try again.", "充电启动超时，未产生费用，请重试。";
    StartRefused: "start_refused", 409, Device, Later, "the charger refused to start (event and operation only)",
        "The charger refused to start. Please try another one.", "充电桩拒绝启动，请更换其他充电桩。";
    NotPluggedIn: "not_plugged_in", 409, Partner, Later, "no vehicle is plugged in (event and operation only)",
        "Please check that the plug is firmly in the vehicle.", "请检查充电枪是否已插好。";
    SessionUnknown: "session_unknown", 404, Partner, No, "there is no such session, or it is not yours",
        "This charging session is not known.", "未找到该充电订单。";
    SessionEnded: "session_ended", 409, Partner, No, "the session is over already",
        "Charging has already ended.", "充电已结束。";
    TariffMissing: "tariff_missing", 409, Platform, Later, "no tariff is in force at this site, so nobody can be told the price",
        "Charging is not offered here at the moment. Please try another charger.", "该站点暂未定价，请选择其他充电桩。";
    OrderUnknown: "order_unknown", 404, Partner, No, "there is no such order, or it is not yours",
        "This order does not exist.", "订单不存在。";
    OrderNotUnderReview: "order_not_under_review", 409, Partner, No, "the order does not wait for a person",
        "This order cannot be changed.", "该订单无法修改。";
    OrderAmount: "order_amount", 409, Partner, No, "the order does not allow this amount; see its total, taken and refunded",
        "This amount is not possible.", "金额不符合要求。";
    OrderNotPaid: "order_not_paid", 409, Partner, No, "nothing was taken that could be given back, or something is on its way",
        "This order has nothing to refund.", "该订单无可退款项。";
    OrderNotOwed: "order_not_owed", 409, Partner, No, "nothing is owed for this order",
        "This order needs no payment.", "该订单无需支付。";
    OrderNotOpen: "order_not_open", 409, Partner, No, "the order is not charging, or its user has no account here",
        "This order cannot be extended.", "该订单无法追加金额。";
    OrderBusy: "order_busy", 409, Platform, Later, "the account has not answered an earlier request of this order yet",
        "Please try again in a moment.", "请稍后再试。";
    OrderNotBilled: "order_not_billed", 409, Partner, Later, "the order has no bill yet",
        "This order has no bill yet.", "该订单尚未出账。";
    RefundUnknown: "refund_unknown", 404, Partner, No, "no refund of this order waits for a second person",
        "No refund of this order is waiting.", "该订单没有待审批的退款。";
    StartFunds: "start_funds", 409, Partner, No,
        "no money could be set aside for the start; `failure` of the session says why",
        "Charging could not start: please check your balance and unpaid orders.", "无法开始充电：请检查余额与未支付订单。";
    ReservationUnknown: "reservation_unknown", 404, Partner, No, "there is no such reservation, or it is not yours",
        "This reservation is not known.", "未找到该预约。";
    ReservationEnded: "reservation_ended", 409, Partner, No, "the reservation is over already; start without it",
        "The reservation is already over.", "预约已结束。";
    ReservationExists: "reservation_exists", 409, Partner, Later, "this user has a live reservation already: one at a time",
        "You have a reservation already. Please use it or give it up first.", "您已有一个有效预约，请先使用或取消。";
    ReservationUnpaid: "reservation_unpaid", 409, Partner, Later, "the reservation's deposit is not there yet",
        "The deposit has not been paid yet.", "预约押金尚未支付。";
    ReservationEarly: "reservation_early", 409, Partner, Later, "the reservation's time has not come; see `from`",
        "You are early. Your reservation has not begun yet.", "预约时间未到，请稍后再来。";
    ReservationArriving: "reservation_arriving", 409, Partner, Later, "the reservation's vehicle is being started just now",
        "Charging is just being started.", "正在启动充电，请稍候。";
    ReservationOfAnother: "reservation_of_another", 409, Partner, No, "the reservation is of another of your users",
        "This reservation is not yours.", "这不是您的预约。";
    NotReservedConnector: "not_reserved_connector", 409, Partner, No,
        "the user has reserved another connector; the reservation stands",
        "This is not your reserved connector. Please use the one that you reserved.", "这不是您预约的充电枪，请使用预约的充电枪。";
    StopRefused: "stop_refused", 409, Device, Later, "the charger refused to stop (event and operation only)",
        "The charger refused to stop. Please use its stop button.", "充电桩拒绝停止，请按充电桩上的停止按钮。";
    StopChargerOffline: "stop_charger_offline", 409, Device, Later,
        "the charger is not connected; it is told to stop as soon as it is back",
        "The charger is offline. Please use its stop button.", "充电桩已离线，请按充电桩上的停止按钮。";
    AccountsOff: "accounts_off", 403, Partner, No, "the users of this partner have no accounts here",
        "This is not permitted.", "无权进行此操作。";
    AccountUnknown: "account_unknown", 404, Partner, No, "there is no such account",
        "This account is not known.", "未找到该账户。";
    AccountBlocked: "account_blocked", 409, Partner, No, "the user is blocked; see details, a person can lift it",
        "Your account is blocked. Please contact support.", "您的账户已被停用，请联系客服。";
    AccountLimit: "account_limit", 409, Partner, Later, "the account has as many of these as it can have; see details",
        "There are too many open requests. Please finish one first.", "未完成的请求过多，请先完成后再试。";
    InsufficientFunds: "insufficient_funds", 409, Partner, Later, "the user has too little; see details",
        "Your balance is too low. Please top up.", "余额不足，请先充值。";
    UnpaidOrder: "unpaid_order", 409, Partner, Later, "an order of the user is unpaid; see details",
        "Please pay your unpaid orders first.", "请先支付未付订单。";
    NoDebt: "no_debt", 409, Partner, No, "nothing is owed for this order",
        "This order is paid already.", "该订单无欠款。";
    TopUpUnknown: "top_up_unknown", 404, Partner, No, "there is no such top-up, or it is not this user's",
        "This top-up is not known.", "未找到该充值单。";
    AdjustmentUnknown: "adjustment_unknown", 404, Partner, No, "there is no such adjustment, or it is decided",
        "This adjustment is not known.", "未找到该调账单。";
    OperatorName: "operator_name", 403, Partner, No,
        "X-Chargeline-Operator names another operator than the one whose token this is: leave it out",
        "This is not permitted.", "无权进行此操作。";
    OperatorRole: "operator_role", 403, Partner, No, "this operator has none of the roles that may make this call; see details",
        "This is not permitted.", "无权进行此操作。";
    OperatorAccount: "operator_account", 403, Partner, No,
        "the installation's token is nobody for certain: a second person agrees with an operator's own token",
        "This is not permitted.", "无权进行此操作。";
    OperatorUnknown: "operator_unknown", 404, Partner, No, "there is no such operator",
        "This was not found.", "未找到。";
    OwnAccount: "own_account", 409, Partner, No, "nobody changes the roles or the suspension of their own account",
        "Another person must do this.", "需由另一人操作。";
    TicketUnknown: "ticket_unknown", 404, Partner, No, "there is no such ticket",
        "This was not found.", "未找到。";
    TicketClosed: "ticket_closed", 409, Partner, No, "the ticket is closed, and its case has not come again since",
        "This is closed already.", "该工单已关闭。";
    ApprovalUnknown: "approval_unknown", 404, Partner, No, "nothing of this name waits for a second person, or it is decided",
        "This was not found.", "未找到。";
    SecondPerson: "second_person", 409, Partner, No, "whoever has proposed an adjustment or a refund cannot approve it",
        "Another person must approve this.", "需由另一人审批。";
    OperatorNameless: "operator_nameless", 400, Partner, No,
        "this needs two people: name yourself in X-Chargeline-Operator",
        "Please give your name.", "请提供操作员姓名。";
    StatementUnknown: "statement_unknown", 404, Partner, No, "there is no such statement (yet)",
        "This statement is not known.", "未找到该对账单。";
    StatementSettled: "statement_settled", 409, Partner, No, "the statement is settled and does not change any more",
        "This statement is settled.", "该对账单已结清。";
    StatementDisputed: "statement_disputed", 409, Partner, Later, "orders of the statement are disputed and not decided",
        "Orders of this statement are disputed.", "该对账单中有订单存在争议。";
    StatementEmpty: "statement_empty", 409, Partner, Later, "the open period has only just begun",
        "There is nothing to state yet.", "暂无可对账内容。";
    StatementLimit: "statement_limit", 409, Partner, No, "the statement or rule has as many of these as it can have; see details",
        "There are too many of these.", "数量已达上限。";
    DisputeExists: "dispute_exists", 409, Partner, No, "this order of the statement was disputed before; see its dispute",
        "This order is disputed already.", "该订单已提出争议。";
    DisputeUnknown: "dispute_unknown", 409, Partner, No, "this order of the statement has no open dispute",
        "This order is not disputed.", "该订单没有待处理的争议。";
    OrderNotStated: "order_not_stated", 404, Partner, No, "the statement has no line of this order",
        "This order is not part of the statement.", "对账单中没有该订单。";
    WebhookMissing: "webhook_missing", 409, Partner, No, "no webhook endpoint is set for this partner",
        "Notifications are not set up.", "未设置通知地址。";
    WebhookDisabled: "webhook_disabled", 409, Partner, No, "the webhook endpoint is disabled; enable it first",
        "Notifications are switched off.", "通知已停用。";
    EndpointExists: "endpoint_exists", 409, Partner, No, "there is a webhook endpoint of this name already; change it, or take another name",
        "This address is set already.", "通知地址已存在。";
    EndpointLimit: "endpoint_limit", 409, Partner, No, "the partner has as many webhook endpoints as it can have; remove one first",
        "There are too many addresses.", "通知地址数量已达上限。";
    EndpointRefused: "endpoint_refused", 400, Partner, No, "the webhook URL is not allowed: https, public address, no credentials",
        "This address is not allowed.", "通知地址不被允许。";
    ConfigInvalid: "config_invalid", 400, Partner, No, "the configuration is not good; see details",
        "The configuration is not valid.", "配置无效。";
    ConfigConflict: "config_conflict", 409, Partner, Same, "the configuration changed meanwhile; read it again",
        "The configuration changed meanwhile.", "配置已被更改，请重新读取。";
    TariffUnknown: "tariff_unknown", 404, Partner, No, "there is no such tariff or version, or none is in force there",
        "There is no such tariff.", "资费不存在。";
    TariffInvalid: "tariff_invalid", 400, Partner, No, "the tariff is not good; see details",
        "The tariff is not valid.", "资费无效。";
    TariffConflict: "tariff_conflict", 409, Partner, No, "another version was published meanwhile; look at it, then send without `version`, or the next",
        "The tariff changed meanwhile.", "资费已被更改，请重新读取。";
    QueueFull: "queue_full", 503, Platform, Later, "a bounded queue is full; nothing was done",
        "The service is busy. Please try again in a moment.", "系统繁忙，请稍后再试。";
    Quarantined: "quarantined", 503, Platform, Later, "this entity failed too often and waits for a person; nothing was done",
        "The service is not available here at the moment. Please choose another charger.", "该充电桩暂不可用，请更换其他充电桩。";
    Busy: "busy", 503, Platform, Later, "too much at once; nothing was done",
        "The service is busy. Please try again in a moment.", "系统繁忙，请稍后再试。";
    JournalFull: "journal_full", 503, Platform, Later, "the store has no room for new work; nothing was done",
        "The service is not available at the moment. Please try later.", "系统暂不可用，请稍后再试。";
    Unavailable: "unavailable", 503, Platform, Later, "the service is starting, stopping or disturbed; nothing was done",
        "The service is not available at the moment. Please try later.", "系统暂不可用，请稍后再试。";
    OutcomeUnknown: "outcome_unknown", 504, Platform, Same,
        "no answer in time: repeat the same request, it is not done twice, or ask for the operation",
        "This takes longer than usual. Please wait a moment.", "处理时间较长，请稍候。";
    Internal: "internal", 500, Platform, Same, "a fault of ours; tell us the trace_id",
        "Something went wrong. Please try again.", "系统异常，请重试。";
}
