#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| effnet_fuzz::png(bytes));
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    effnet_fuzz::mutators::png(data, size, max_size, seed)
});
