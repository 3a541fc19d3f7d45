//! Hostile layers and archives are unpacked: nothing outside of the root is touched, however names and links are put together.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::{fs::File, sync::LazyLock};
use wharf_fuzz::{Member, Sandbox, archive};
use wharf_layers::apply::{UnpackOptions, Whiteouts, apply, unpack_into};

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(Sandbox::new);

fuzz_target!(|input: (u8, Vec<Vec<Member>>)| {
    let (how, layers) = input;
    let root = SANDBOX.root();
    SANDBOX.empty();
    let outside = SANDBOX.outside();
    // Several, because what one leaves is what the next one meets.
    for members in layers.iter().take(3) {
        let tar = archive(members, &outside.to_string_lossy());
        let _ = match how % 4 {
            0 => apply(root, &mut &*tar, Whiteouts::Overlay).map(drop),
            1 => apply(root, &mut &*tar, Whiteouts::Delete).map(drop),
            2 => unpack_into(File::open(root).expect("the root").into(), b"a/b", &mut &*tar, UnpackOptions::default()),
            _ => {
                let options = UnpackOptions { owner: Some((1000, 1000)), keep_kinds: true };
                unpack_into(File::open(root).expect("the root").into(), b"", &mut &*tar, options)
            }
        };
        SANDBOX.check();
    }
});
