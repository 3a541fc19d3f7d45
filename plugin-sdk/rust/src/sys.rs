//! What the getrandom crate asks for when it is built with `--cfg getrandom_backend="custom"`.
#![allow(unsafe_code)]

use crate::host::random;

/// The most that the host gives at once.
const MOST: usize = 64 * 1024;

#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(to: *mut u8, length: usize) -> Result<(), getrandom::Error> {
    let mut filled = 0;
    while filled < length {
        let wanted = MOST.min(length - filled);
        let bytes = random::bytes(u32::try_from(wanted).map_err(|_| getrandom::Error::UNEXPECTED)?);
        if bytes.len() != wanted {
            return Err(getrandom::Error::UNEXPECTED);
        }
        // SAFETY: getrandom hands over `length` writable bytes at `to`, of which `filled + wanted` are not past the end.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.add(filled), wanted) };
        filled += wanted;
    }
    Ok(())
}
