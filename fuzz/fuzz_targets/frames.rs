//! One frame of a charger. The checks are in `chargeline::fuzz`; here is only the door for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chargeline::fuzz::frames(bytes));
