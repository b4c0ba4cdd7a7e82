//! Requests that make no sense, and cursors. What replays do is tested with the driver.

use super::*;

#[test]
fn a_cursor_of_the_log_reads_back_and_rubbish_is_refused() {
    assert_eq!(read_log_cursor("ff-2"), Ok((255, 2)));
    for text in ["", "-", "1", "1-", "x-1", "1-2-3", "ffffffffffffffffff-1"] {
        assert_eq!(read_log_cursor(text), Err(CursorError::Rubbish), "{text}");
    }
}
