//! The one place that runs a library's code.

#![allow(unsafe_code)]

use crate::legacy::MAX_ANSWER;
use libloading::Library;
use std::{ffi::c_int, mem::ManuallyDrop, path::Path, ptr};

type Call = unsafe extern "C" fn(*const u8, usize, *const u8, usize, *mut *mut u8, *mut usize) -> c_int;
type Free = unsafe extern "C" fn(*mut u8, usize);

/// The functions of a library, which is never unloaded.
#[derive(Clone, Copy)]
pub struct Entry {
    call: Call,
    free: Free,
}

/// Loads a library and finds its functions. Runs the library's constructors.
///
/// # Errors
/// When it is no library or lacks a function.
pub fn load(path: &Path) -> Result<Entry, libloading::Error> {
    // SAFETY: constructors run and may do anything; who allowed native plugins trusts this file, which only root can have written.
    let library = ManuallyDrop::new(unsafe { Library::new(path) }?);
    // SAFETY: the header `wharf_plugin.h`, by which plugins are compiled, declares the functions so.
    let (call, free) = unsafe { (library.get::<Call>(c"wharf_plugin_call")?, library.get::<Free>(c"wharf_plugin_free")?) };
    Ok(Entry { call: *call, free: *free })
}

impl Entry {
    /// One call, as long as it takes: the plugin's code (0 for success) and its answer; none when that is too large.
    pub fn call(self, method: &str, body: &[u8]) -> Option<(i32, Vec<u8>)> {
        let (mut out, mut len) = (ptr::null_mut(), 0);
        // SAFETY: the header's terms: both inputs are valid for their lengths during the call, both outputs are ours to be written.
        let code = unsafe { (self.call)(method.as_ptr(), method.len(), body.as_ptr(), body.len(), &mut out, &mut len) };
        if out.is_null() {
            return Some((code, Vec::new()));
        }
        // SAFETY: by the header, `out` points to `len` bytes that nobody changes until they are freed. A length within the limit is
        // within `isize`.
        let answer = (len <= MAX_ANSWER).then(|| unsafe { std::slice::from_raw_parts(out, len) }.to_vec());
        // SAFETY: `out` came from this library, is freed once and not used any more.
        unsafe { (self.free)(out, len) };
        answer.map(|answer| (code, answer))
    }
}
