//! What users are told of their orders (requirements: "told"). Owns the texts in Chinese and English.

/// One text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// Stable code.
    pub code: &'static str,
    /// 中文.
    pub zh: &'static str,
    /// English.
    pub en: &'static str,
}

/// More could not be set aside.
pub const EXTENSION_REFUSED: Text = Text {
    code: "extension_refused",
    zh: "余额不足，未能追加冻结金额。请充值后重试，否则充电将在金额用完前停止。",
    en: "There is too little in the account to extend. Top up and try again, or charging stops before the amount is used up.",
};

/// It could not be paid.
pub const PAYMENT_REFUSED: Text = Text {
    code: "payment_refused",
    zh: "余额不足，未能支付订单。请充值后重试。",
    en: "There is too little in the account to pay this order. Top up and try again.",
};

/// It is to be paid.
pub const PAYMENT_REMINDER: Text = Text {
    code: "payment_reminder",
    zh: "您有订单尚未付清，付清前无法开始新的充电。",
    en: "An order is not paid in full. New charging cannot start before it is paid.",
};

/// Staying will cost.
pub const OCCUPANCY_SOON: Text = Text {
    code: "occupancy_soon",
    zh: "充电已结束。请尽快驶离车位，否则将按分钟收取占位费。",
    en: "Charging is over. Please free the connector soon, or a fee is charged for each minute.",
};

/// What is set aside is nearly used up.
pub const FUNDS_LOW: Text = Text {
    code: "funds_low",
    zh: "冻结金额即将用完，请追加金额，否则充电将自动停止。",
    en: "The amount set aside is nearly used up. Extend it, or charging stops by itself.",
};

/// Every text.
pub const ALL: [Text; 5] = [EXTENSION_REFUSED, PAYMENT_REFUSED, PAYMENT_REMINDER, OCCUPANCY_SOON, FUNDS_LOW];
