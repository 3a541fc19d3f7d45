//! The tar reader alone, without a file system: any bytes. What it understands, the writer writes so that it is read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wharf_fuzz::sum;

fuzz_target!(|input: &[u8]| {
    let mut tar = input.to_vec();
    // Every block that could be a header gets a right checksum; as data it is as good as any.
    for block in tar.chunks_mut(512) {
        if let Ok(block) = <&mut [u8; 512]>::try_from(block) {
            sum(block);
        }
    }
    let _ = wharf_layers::fuzz::read_tar(&tar);
    let _ = wharf_layers::fuzz::read_tar(input);
});
