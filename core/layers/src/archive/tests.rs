use super::*;
use crate::tar::{TarReader, tests::Maker};
use std::{
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};
use wharf_types::ErrorKind;

struct Root(tempfile::TempDir);

impl Root {
    /// `d/{e/,f,g = f,l -> f}`, `ld -> /d`, `dead -> /nope/x`, `loop -> loop`, `up -> ../../outside`.
    fn new() -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(root.path("d/e")).unwrap();
        std::fs::write(root.path("d/f"), "data").unwrap();
        std::fs::hard_link(root.path("d/f"), root.path("d/g")).unwrap();
        for (to, link) in [("f", "d/l"), ("/d", "ld"), ("/nope/x", "dead"), ("loop", "loop"), ("../../outside", "up")] {
            symlink(to, root.path(link)).unwrap();
        }
        root
    }
    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }
    fn view(&self) -> View {
        View::open(self.0.path(), &[], false).unwrap()
    }
    fn names(&self, path: &str) -> Vec<String> {
        let mut tar = Vec::new();
        find(&self.view(), path).unwrap().pack(&mut tar).unwrap();
        names(&tar)
    }
    fn put(&self, path: &str, tar: Maker, options: UnpackOptions) -> Result<()> {
        unpack(&self.view(), path, &mut &tar.finish()[..], options)
    }
}

fn names(tar: &[u8]) -> Vec<String> {
    let mut reader = TarReader::new(tar);
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        names.push([entry.path.as_slice(), b">", &entry.link].concat());
    }
    names.into_iter().map(|n| String::from_utf8(n).unwrap().trim_end_matches('>').to_owned()).collect()
}

#[test]
fn the_end_of_a_path_decides_what_it_means() {
    let root = Root::new();
    let view = root.view();
    let stat = |path: &str| find(&view, path).unwrap().stat();
    for (path, name, is_dir, target) in [
        ("/", "/", true, ""),
        ("d", "d", true, ""),
        ("/d/", "d", true, ""),
        ("/d/.", ".", true, ""),
        ("/x/../d/f", "f", false, ""),
        ("/d/l", "l", false, "/d/f"),
        ("/ld", "ld", false, "/d"),
        ("/ld/", "ld", true, ""),
        ("/ld/.", ".", true, ""),
        ("/ld/l", "l", false, "/d/f"),
        ("/dead", "dead", false, "/nope/x"),
        ("/up", "up", false, "/outside"),
    ] {
        let s = stat(path);
        assert_eq!((s.name.as_str(), s.mode & 0o170_000 == 0o040_000, s.link_target.as_str()), (name, is_dir, target), "{path}");
    }
    assert_eq!((stat("/d/f").size, stat("/d/f").mode & 0o7777), (4, 0o644));
    for missing in ["/nope", "/d/f/", "/d/f/x", "/dead/", "/up/", "/loop"] {
        assert_eq!(find(&view, missing).unwrap_err().kind(), ErrorKind::NotFound, "{missing}");
    }
}

#[test]
fn archives_begin_with_the_name_that_was_asked_for() {
    let root = Root::new();
    assert_eq!(root.names("/d"), ["d/", "d/e/", "d/f", "d/g>d/f", "d/l>f"]);
    assert_eq!(root.names("/ld/"), ["ld/", "ld/e/", "ld/f", "ld/g>ld/f", "ld/l>f"]);
    assert_eq!(root.names("/d/."), ["./", "./e/", "./f", "./g>./f", "./l>f"]);
    assert_eq!(root.names("/")[..3], ["/", "/d/", "/d/e/"]);
    assert_eq!(root.names("/ld"), ["ld>/d"]);
    let mut content = Vec::new();
    find_behind(&root.view(), "/ld").unwrap().pack_content(&mut content).unwrap();
    assert_eq!(names(&content), ["e/", "f", "g>f", "l>f"]);
    content.clear();
    find_behind(&root.view(), "/d/l").unwrap().pack_content(&mut content).unwrap();
    assert_eq!(names(&content), ["f"]);
}

#[test]
fn unpacking_follows_links_inside_the_root_only() {
    let root = Root::new();
    let archive = || Maker::default().dir("./", 0o700).file("f", b"new").file("e/deep", b"x").symlink("out", "../../..").hardlink("h", "f");
    root.put("/ld", archive(), UnpackOptions::default()).unwrap();
    assert_eq!(std::fs::read_to_string(root.path("d/f")).unwrap(), "new");
    assert_eq!(std::fs::read_to_string(root.path("d/e/deep")).unwrap(), "x");
    assert_eq!(root.path("d/h").metadata().unwrap().nlink(), 2);
    assert_eq!(root.path("d").metadata().unwrap().permissions().mode() & 0o7777, 0o755, "the directory itself is left alone");
    root.put("/d", Maker::default().file("out/escaped", b"x").file(".wh.f", b"kept"), UnpackOptions::default()).unwrap();
    assert!(root.path("escaped").exists() && root.path("d/.wh.f").exists() && root.path("d/f").exists());
    assert!(root.put("/d", Maker::default().file("../x", b""), UnpackOptions::default()).is_err());
    assert_eq!(root.put("/d/f", archive(), UnpackOptions::default()).unwrap_err().message(), "extraction point is not a directory");
    assert_eq!(root.put("/nope", archive(), UnpackOptions::default()).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn kinds_and_owners() {
    let root = Root::new();
    let strict = UnpackOptions { keep_kinds: true, owner: Some((7, 8)) };
    let message = |tar| root.put("/d", tar, strict).unwrap_err().message().to_owned();
    assert!(message(Maker::default().file("e", b"")).contains("cannot overwrite directory \"/d/e\" with non-directory"));
    assert!(message(Maker::default().dir("f", 0o755)).contains("cannot overwrite non-directory \"/d/f\" with directory"));
    root.put("/d", Maker::default().file("f", b"mine"), strict).unwrap();
    let owner = root.path("d/f").metadata().unwrap();
    assert_eq!((owner.uid(), owner.gid()), (7, 8));
    root.put("/d", Maker::default().file("e", b""), UnpackOptions::default()).unwrap();
    assert!(root.path("d/e").is_file());
}

/// A container that swaps a directory for a link out of its root all the time.
#[test]
fn races_cannot_escape() {
    let root = Root::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    std::fs::create_dir(root.path("swap")).unwrap();
    symlink(outside.path(), root.path("away")).unwrap();
    let (stop, at, to) = (AtomicBool::new(false), root.path("swap"), root.path("away"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                fs::renameat_with(fs::CWD, &at, fs::CWD, &to, fs::RenameFlags::EXCHANGE).unwrap();
            }
        });
        let view = root.view();
        for n in 0..500 {
            assert!(find(&view, "/swap/secret").is_err());
            let tar = Maker::default().file(&format!("f{n}"), b"").finish();
            let _ = unpack(&view, "/swap", &mut &tar[..], UnpackOptions::default());
            let mut packed = Vec::new();
            if let Ok(found) = find(&view, "/") {
                let _ = found.pack(&mut packed);
                assert!(!packed.windows(6).any(|w| w == b"secret"));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}
