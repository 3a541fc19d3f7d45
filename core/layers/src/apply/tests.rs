use super::*;
use crate::tar::tests::Maker;
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::PathBuf,
};

struct Root {
    tmp: tempfile::TempDir,
}

impl Root {
    fn new() -> Self {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir(tmp.path().join("root")).unwrap();
        std::fs::write(tmp.path().join("outside"), b"untouched").unwrap();
        Self { tmp }
    }
    fn path(&self, p: &str) -> PathBuf {
        self.tmp.path().join("root").join(p)
    }
    fn apply(&self, tar: Maker, whiteouts: Whiteouts) -> Result<Applied> {
        apply(&self.path(""), &mut &tar.finish()[..], whiteouts)
    }
    fn read(&self, p: &str) -> String {
        std::fs::read_to_string(self.path(p)).unwrap()
    }
    /// Nothing but `root` and `outside` may be there.
    fn assert_contained(&self) {
        let mut names: Vec<_> = std::fs::read_dir(self.tmp.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["outside", "root"]);
        assert_eq!(std::fs::read(self.tmp.path().join("outside")).unwrap(), b"untouched");
        assert_eq!(self.tmp.path().join("outside").metadata().unwrap().nlink(), 1);
    }
}

#[test]
fn everything_an_entry_can_say() {
    let root = Root::new();
    let capability: &[u8] = b"\x01\0\0\x02\0\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let tar = Maker::default()
        .dir("./", 0o751)
        .dir("d", 0o1777)
        .pax(&[
            ("mtime", b"1500000000.25"),
            ("uid", b"1234"),
            ("SCHILY.xattr.user.k", b"a\nb"),
            ("SCHILY.xattr.security.capability", capability),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ])
        .raw(b'0', "d/suid", "", 0o4755, b"program")
        .symlink("d/link", "/etc/passwd")
        .hardlink("hard", "d/suid")
        .raw(b'6', "fifo", "", 0o640, b"")
        .file("implied/parents/f", b"x");
    let applied = root.apply(tar, Whiteouts::Overlay).unwrap();
    assert_eq!((applied.size, applied.root.unwrap().mode), (8 + "/etc/passwd".len() as u64, 0o751));
    let st = root.path("d/suid").metadata().unwrap();
    assert_eq!((st.mode() & 0o7777, st.uid(), st.mtime(), st.mtime_nsec()), (0o4755, 1234, 1_500_000_000, 250_000_000));
    assert_eq!(st.ino(), root.path("hard").metadata().unwrap().ino());
    let xattr = |key: &str| {
        let mut buf = vec![0; 100];
        fs::getxattr(root.path("d/suid"), key, &mut *buf).map(|n| buf[..n].to_vec())
    };
    assert_eq!(xattr("user.k").unwrap(), b"a\nb");
    assert_eq!(xattr("security.capability").unwrap(), capability);
    assert!(xattr("trusted.overlay.redirect").is_err());
    assert_eq!(std::fs::read_link(root.path("d/link")).unwrap(), Path::new("/etc/passwd"));
    assert!(root.path("fifo").metadata().unwrap().file_type().is_fifo());
    let d = root.path("d").metadata().unwrap();
    assert_eq!((d.mode() & 0o7777, d.mtime()), (0o1777, 1_000_000_000));
    assert_eq!(root.path("implied").metadata().unwrap().permissions().mode() & 0o7777, 0o755);
    root.assert_contained();
}

#[test]
fn devices_and_holes() {
    let root = Root::new();
    let mut header = ::tar::Header::new_gnu();
    header.set_entry_type(::tar::EntryType::Char);
    header.set_path("null").unwrap();
    header.set_mode(0o666);
    header.set_size(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_device_major(1).unwrap();
    header.set_device_minor(3).unwrap();
    header.set_cksum();
    let mut tar = header.as_bytes().to_vec();
    tar.extend(Maker::default().pax(&[("GNU.sparse.map", b"1048576,3"), ("GNU.sparse.size", b"8388608")]).file("sparse", b"abc").finish());
    apply(&root.path(""), &mut &tar[..], Whiteouts::Overlay).unwrap();
    let st = root.path("null").metadata().unwrap();
    assert!(st.file_type().is_char_device() && st.rdev() == fs::makedev(1, 3));
    let st = root.path("sparse").metadata().unwrap();
    assert!(st.len() == 8 << 20 && st.blocks() * 512 < 1 << 20);
    assert_eq!(&std::fs::read(root.path("sparse")).unwrap()[(1 << 20) - 1..(1 << 20) + 4], b"\0abc\0");
}

#[test]
fn later_entries_win() {
    let root = Root::new();
    let tar = Maker::default()
        .file("a", b"1")
        .file("a", b"2")
        .file("dir/x", b"x")
        .file("dir", b"now a file")
        .file("b", b"file")
        .dir("b", 0o755)
        .file("b/in", b"in")
        .symlink("c", "a")
        .file("c", b"not through the link")
        .dir("kept", 0o700)
        .file("kept/f", b"f")
        .dir("kept", 0o711)
        .hardlink("a", "a");
    root.apply(tar, Whiteouts::Overlay).unwrap();
    assert_eq!((root.read("a"), root.read("dir"), root.read("b/in")), ("2".into(), "now a file".into(), "in".into()));
    assert_eq!((root.read("c"), root.read("kept/f")), ("not through the link".into(), "f".into()));
    assert_eq!(root.path("kept").metadata().unwrap().mode() & 0o7777, 0o711);
}

#[test]
fn hostile_tars_stay_inside() {
    type Case = fn(Maker) -> Maker;
    let cases: &[Case] = &[
        |m| m.file("../outside", b"x"),
        |m| m.file("a/../../outside", b"x"),
        |m| m.file("/../outside", b"x"),
        |m| m.symlink("up", "..").file("up/outside", b"x"),
        |m| m.symlink("up", "../..").file("up/a/b/c", b"x"),
        |m| m.symlink("abs", "/").file("abs/tmp-escape", b"x"),
        |m| m.symlink("outside", "../outside").file("outside", b"x"),
        |m| m.hardlink("h", "../outside").file("h", b"x"),
        |m| m.symlink("l", "../outside").hardlink("h", "l").file("h", b"x"),
        |m| m.symlink("up", "..").hardlink("h", "up/outside"),
        |m| m.symlink("p", "/proc/self/root").file("p/outside", b"x"),
        |m| m.symlink("up", "..").file("up/.wh.outside", b""),
        |m| m.symlink("up", "..").file("up/.wh..wh..opq", b""),
        |m| m.file(".wh...", b""),
        |m| m.file(".wh..", b""),
        |m| m.file(".wh.", b""),
        |m| m.dir("d", 0o755).symlink("d", "..").dir("d/x", 0o700),
        |m| m.dir("d", 0o700).raw(b'5', "d", "", 0o755, b"").symlink("d", "../..").file("d/outside", b""),
        |m| m.file(&"a/".repeat(49), b""),
        |m| m.pax(&[("path", "a/".repeat(5000).as_bytes())]).file("x", b""),
        |m| m.pax(&[("path", b"a\0b")]).file("x", b""),
        |m| m.pax(&[("size", b"9223372036854775807")]).file("x", b""),
        |m| m.symlink(".", "/").file("x", b""),
        |m| m.hardlink("h", "/"),
    ];
    for (n, case) in cases.iter().enumerate() {
        for whiteouts in [Whiteouts::Overlay, Whiteouts::Delete] {
            let root = Root::new();
            let _ = root.apply(case(Maker::default()), whiteouts);
            root.assert_contained();
            assert!(!Path::new("/tmp-escape").exists(), "case {n}");
        }
    }
    for refused in [cases[0], cases[1], cases[13], cases[15], cases[21], cases[22], cases[23]] {
        let e = Root::new().apply(refused(Maker::default()), Whiteouts::Overlay).unwrap_err();
        assert_eq!(e.kind(), wharf_types::ErrorKind::InvalidParameter, "{e}");
    }
}

#[test]
fn whiteouts_become_overlay_marks() {
    let root = Root::new();
    let tar = Maker::default()
        .file("d/.wh.gone", b"")
        .dir("opaque", 0o755)
        .file("opaque/.wh..wh..opq", b"")
        .file(".wh..wh.plnk/1.2", b"")
        .file(".wh.again", b"")
        .dir("again", 0o755)
        .file("again/new", b"")
        .file("both", b"mine")
        .file(".wh.both", b"");
    root.apply(tar, Whiteouts::Overlay).unwrap();
    let gone = root.path("d/gone").symlink_metadata().unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    for dir in ["opaque", "again"] {
        let mut buf = [0; 8];
        let n = fs::getxattr(root.path(dir), "trusted.overlay.opaque", &mut buf).unwrap();
        assert_eq!(&buf[..n], b"y", "{dir}");
    }
    assert!(!root.path(".wh..wh.plnk").exists());
    assert_eq!(root.read("both"), "mine");
}

#[test]
fn whiteouts_delete_only_what_was_below() {
    let root = Root::new();
    let below = Maker::default().file("gone", b"").file("d/old", b"").file("d/sub/old", b"").file("both", b"old").file("x/old", b"");
    root.apply(below, Whiteouts::Delete).unwrap();
    let tar = Maker::default()
        .file(".wh.gone", b"")
        .file("d/sub/new", b"")
        .file("d/.wh..wh..opq", b"")
        .file("both", b"new")
        .file(".wh.both", b"")
        .file("x/new", b"")
        .file(".wh.x", b"")
        .file(".wh.never", b"");
    root.apply(tar, Whiteouts::Delete).unwrap();
    assert!(!root.path("gone").exists() && !root.path("d/old").exists() && !root.path("d/sub/old").exists());
    assert!(root.path("d/sub/new").exists() && !root.path("x/old").exists() && root.path("x/new").exists());
    assert_eq!(root.read("both"), "new");
}

/// On the small stack of a thread: an overflow would end the process.
#[test]
fn depth_costs_no_stack() {
    let path = "d/".repeat(2000);
    for whiteouts in [Whiteouts::Overlay, Whiteouts::Delete, Whiteouts::Keep] {
        let root = Root::new();
        let tar = || Maker::default().pax(&[("path", format!("{path}f").as_bytes())]).file("f", b"deep").file("d/.wh..wh..opq", b"");
        std::thread::scope(|s| {
            let run = || root.apply(tar(), whiteouts).map(drop);
            std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(s, run).unwrap().join().unwrap().unwrap();
        });
        let tree = std::fs::File::open(root.path("")).unwrap();
        wharf_store::open_in(&tree, path.as_str(), DIR_FLAGS, Mode::empty(), IN_ROOT).unwrap();
        wharf_store::remove_tree_at(&tree, "d").unwrap();
    }
}

#[test]
fn the_stream_is_read_to_its_end() {
    let mut tar = Maker::default().file("a", b"1").finish();
    tar.extend_from_slice(b"trailing bytes");
    let mut stream = &tar[..];
    apply(&Root::new().path(""), &mut stream, Whiteouts::Overlay).unwrap();
    assert!(stream.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Any tree of files and directories comes back as it went in.
    #[test]
    fn trees_round_trip(files in proptest::collection::btree_map(
        "[a-d]{1,2}(/[a-d]{1,2}){0,3}/f[0-9]", (proptest::collection::vec(any::<u8>(), 0..2000), 0o400u32..0o1000), 0..20)
    ) {
        let root = Root::new();
        let tar = files.iter().fold(Maker::default(), |m, (path, (data, mode))| m.raw(b'0', path, "", *mode, data));
        let applied = root.apply(tar, Whiteouts::Overlay).unwrap();
        prop_assert_eq!(applied.size, files.values().map(|(d, _)| d.len() as u64).sum::<u64>());
        let mut found = BTreeMap::new();
        let mut todo = vec![root.path("")];
        while let Some(dir) = todo.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    todo.push(path);
                } else {
                    let name = path.strip_prefix(root.path("")).unwrap().to_str().unwrap().to_owned();
                    found.insert(name, (std::fs::read(&path).unwrap(), path.metadata().unwrap().mode() & 0o7777));
                }
            }
        }
        prop_assert_eq!(found, files);
    }
}
