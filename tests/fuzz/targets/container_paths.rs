//! Any path in a container whose links lead everywhere: what is found, packed or unpacked there is the container's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::{fs, os::unix::fs::symlink, path::Path, sync::LazyLock};
use wharf_fuzz::{CANARY, Sandbox};
use wharf_layers::{
    apply::UnpackOptions,
    archive::{Found, find, find_behind, unpack},
    view::View,
};

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
    let sandbox = Sandbox::new();
    fill(sandbox.root(), &sandbox.outside());
    sandbox
});

/// Links to the directory outside in every way.
fn fill(root: &Path, outside: &Path) {
    let made = fs::create_dir_all(root.join("d/e")).and_then(|()| fs::write(root.join("d/f"), "of the container"));
    made.expect("files");
    let outside = outside.to_str().expect("a path");
    let up = format!("../../../../../../../..{outside}");
    for (name, to) in [
        ("abs", outside),
        ("up", "../outside"),
        ("far", &up),
        ("dd", "d"),
        ("de", "/d/e/.."),
        ("loop", "loop"),
        ("to", "from"),
        ("from", "to/x"),
        ("root", "/"),
        ("proc", "/proc/self/root"),
        ("cwd", "/proc/self/cwd"),
    ] {
        symlink(to, root.join(name)).expect("a link");
    }
    symlink(format!("{outside}/canary"), root.join("d/canary")).expect("a link");
}

/// A tar with one empty file.
static PLANTED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut block = [0; 512];
    block[..7].copy_from_slice(b"planted");
    block[156] = b'0';
    wharf_fuzz::sum(&mut block);
    [&block[..], &[0; 1024]].concat()
});

fuzz_target!(|path: &str| {
    let view = View::open(SANDBOX.root(), &[], false).expect("the root");
    for find in [find, find_behind] {
        if let Ok(found) = find(&view, path) {
            let stat = found.stat();
            assert!(!stat.name.is_empty() && (stat.name == "/" || !stat.name.contains('/')), "{stat:?}");
            assert!(stat.link_target.is_empty() || stat.link_target.starts_with('/'), "{stat:?}");
            packed(found);
        }
    }
    if let Ok(found) = find_behind(&view, path) {
        let mut tar = Vec::new();
        let _ = found.pack_content(&mut tar);
        sings_not(&tar);
    }
    let _ = unpack(&view, path, &mut PLANTED.as_slice(), UnpackOptions::default());
    if let Ok(clean) = wharf_layers::fuzz::clean(path.as_bytes()) {
        assert!(clean.split(|b| *b == b'/').all(|part| part != b".." && part != b"."), "{clean:?}");
    }
    SANDBOX.check();
});

fn packed(found: Found) {
    let mut tar = Vec::new();
    let _ = found.pack(&mut tar);
    sings_not(&tar);
}

fn sings_not(tar: &[u8]) {
    assert!(!tar.windows(CANARY.len()).any(|w| w == CANARY.as_bytes()), "the file outside was read");
}
