//! `openat2(2)` inside a root that others may be changing.

use rustix::{
    fs::{Mode, OFlags, ResolveFlags, openat2},
    io::{Errno, Result},
    path::Arg,
};
use std::os::fd::{AsFd, OwnedFd};

/// The kernel answers EAGAIN when a rename or mount anywhere on the host kept it from being sure that a `..` stayed inside the root, and
/// wants to be asked again (openat2(2)). Bounded, so that somebody who renames without end cannot hold a caller for ever.
const TRIES: u32 = 10_000;

/// Opens `path` as [`openat2`] does, again where the kernel wants it again.
///
/// # Errors
/// Those of [`openat2`].
pub fn open_in<P: Arg + Copy>(root: impl AsFd, path: P, flags: OFlags, mode: Mode, resolve: ResolveFlags) -> Result<OwnedFd> {
    for _ in 1..TRIES {
        match openat2(root.as_fd(), path, flags, mode, resolve) {
            Err(Errno::AGAIN) => {}
            outcome => return outcome,
        }
    }
    openat2(root, path, flags, mode, resolve)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn renames_elsewhere_do_not_disturb() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tmp.path().join("root/a/b")).unwrap();
        std::fs::create_dir(tmp.path().join("x")).unwrap();
        let root = std::fs::File::open(tmp.path().join("root")).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (x, y) = (tmp.path().join("x"), tmp.path().join("y"));
                while !over.load(Ordering::Relaxed) {
                    std::fs::rename(&x, &y).unwrap();
                    std::fs::rename(&y, &x).unwrap();
                }
            });
            let path = "a/b/../../a/b/../../a/b/../../a/b/../../a/b";
            let opened = (0..20_000).map(|_| open_in(&root, path, OFlags::PATH, Mode::empty(), ResolveFlags::IN_ROOT));
            let failed: Vec<_> = opened.filter_map(Result::err).collect();
            over.store(true, Ordering::Relaxed);
            assert_eq!(failed, []);
        });
    }
}
