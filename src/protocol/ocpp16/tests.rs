//! Tables of messages, good and bad.
