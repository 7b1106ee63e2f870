#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| imgkit_fuzz::registry_route(bytes));
