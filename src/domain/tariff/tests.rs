//! Tests of tariffs.
