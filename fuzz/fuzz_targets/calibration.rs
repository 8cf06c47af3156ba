#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| effnet_fuzz::calibration(bytes));
