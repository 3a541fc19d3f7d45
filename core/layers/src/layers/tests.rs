//! These mount for real, so they need root.

use super::*;
use crate::{mounts::OverlayMount, tar::tests::Maker};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use std::{
    os::unix::fs::{FileTypeExt, MetadataExt},
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
};

struct Fixture {
    layers: Arc<Layers>,
    tmp: tempfile::TempDir,
}

impl Fixture {
    fn new(driver: &str) -> Self {
        let tmp = tempfile::tempdir().unwrap();
        Self { layers: Arc::new(Layers::open(tmp.path(), driver).unwrap()), tmp }
    }
    fn reopen(&mut self) {
        let driver = self.layers.driver().to_owned();
        self.layers = Arc::new(Layers::open(self.tmp.path(), &driver).unwrap());
    }
    fn stack(&self, tars: Vec<Maker>) -> Digest {
        let mut top: Option<Digest> = None;
        for tar in tars {
            let tar = tar.finish();
            let diff_id = Digest::of(&tar);
            let chain = top.as_ref().map_or(diff_id.clone(), |p| Digest::of(format!("{p} {diff_id}").as_bytes()));
            self.layers.apply(top.as_ref(), &chain, &diff_id, &mut &tar[..]).unwrap();
            top = Some(chain);
        }
        top.unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        for id in self.layers.rw_ids() {
            let _ = self.layers.unmount(&id);
        }
    }
}

fn id() -> ContainerId {
    ContainerId::random().unwrap()
}

fn stack_of_everything() -> Vec<Maker> {
    vec![
        Maker::default()
            .dir("./", 0o750)
            .file("etc/a", b"a1")
            .file("etc/b", b"b1")
            .dir("opaque", 0o700)
            .file("opaque/old", b"")
            .file("dir/x", b"")
            .symlink("link", "etc/a")
            .file("first", b"1")
            .hardlink("second", "first")
            .raw(b'6', "fifo", "", 0o600, b""),
        Maker::default()
            .file("etc/a", b"a2")
            .file("etc/.wh.b", b"")
            .dir("opaque", 0o711)
            .file("opaque/.wh..wh..opq", b"")
            .file("opaque/new", b"n"),
        Maker::default().file(".wh.dir", b"").dir("dir", 0o755).file("dir/y", b"y").file("top", b"t"),
    ]
}

/// Every path with what a program could see of it.
fn view(root: &Path) -> Vec<String> {
    let mut seen = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let st = path.symlink_metadata().unwrap();
            let content = match st.file_type() {
                t if t.is_dir() => {
                    todo.push(path.clone());
                    String::new()
                }
                t if t.is_symlink() => std::fs::read_link(&path).unwrap().display().to_string(),
                t if t.is_fifo() => "fifo".to_owned(),
                _ => std::fs::read_to_string(&path).unwrap(),
            };
            seen.push(format!("{} {:o} {content}", path.strip_prefix(root).unwrap().display(), st.mode()));
        }
    }
    seen.sort();
    seen
}

#[test]
fn both_drivers_show_the_same_tree() {
    let views: Vec<_> = ["overlay2", "vfs"]
        .map(|driver| {
            let f = Fixture::new(driver);
            let top = f.stack(stack_of_everything());
            let id = id();
            f.layers.create_rw(&id, Some(&top)).unwrap();
            let root = f.layers.mount(&id).unwrap();
            assert_eq!(root.metadata().unwrap().mode() & 0o7777, 0o750, "{driver}");
            let seen = view(&root);
            f.layers.remove_rw(&id).unwrap();
            seen
        })
        .into();
    assert_eq!(views[0], views[1]);
    let text = views[0].join("\n");
    assert!(text.contains("etc/a 100644 a2") && text.contains("opaque/new") && text.contains("dir/y"), "{text}");
    assert!(!text.contains("etc/b") && !text.contains("opaque/old") && !text.contains("dir/x"), "{text}");
}

#[test]
fn the_life_of_a_rw_layer() {
    for driver in ["overlay2", "vfs"] {
        let mut f = Fixture::new(driver);
        let top = f.stack(stack_of_everything());
        let id = id();
        f.layers.create_rw(&id, Some(&top)).unwrap();
        assert_eq!(f.layers.create_rw(&id, Some(&top)).unwrap_err().kind(), wharf_types::ErrorKind::Conflict);
        assert_eq!(f.layers.rw_usage(&id).unwrap(), 0);
        let root = f.layers.mount(&id).unwrap();
        assert_eq!(f.layers.mount(&id).unwrap(), root);
        std::fs::write(root.join("mine"), [7; 1000]).unwrap();
        assert_eq!(f.layers.rw_usage(&id).unwrap(), 1000);
        f.reopen();
        assert_eq!(f.layers.rw_ids(), std::slice::from_ref(&id));
        assert_eq!(f.layers.is_mounted(&id), driver == "overlay2");
        for _ in 0..2 {
            f.layers.unmount(&id).unwrap();
            assert!(!f.layers.is_mounted(&id));
        }
        let root = f.layers.mount(&id).unwrap();
        assert_eq!(std::fs::read(root.join("mine")).unwrap().len(), 1000);
        assert_eq!(f.layers.remove(&top).unwrap_err().kind(), wharf_types::ErrorKind::Conflict);
        f.layers.remove_rw(&id).unwrap();
        f.layers.remove_rw(&id).unwrap();
        assert!(f.layers.rw_ids().is_empty() && !root.join("mine").exists());
        for chain in f.layers.list().iter().rev() {
            f.layers.remove(chain).unwrap();
        }
        f.reopen();
        assert!(f.layers.list().is_empty());
        assert_eq!(std::fs::read_dir(f.tmp.path().join(driver).join("trash")).unwrap().count(), 0);
    }
}

#[test]
fn an_image_without_layers_is_an_empty_root() {
    for driver in ["overlay2", "vfs"] {
        let f = Fixture::new(driver);
        let id = id();
        f.layers.create_rw(&id, None).unwrap();
        let root = f.layers.mount(&id).unwrap();
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
        std::fs::write(root.join("a"), b"").unwrap();
    }
}

#[test]
fn many_layers_by_both_ways_of_mounting() {
    let f = Fixture::new("overlay2");
    let top = f.stack(
        (0..128)
            .map(|n| Maker::default().file(&format!("f{n}"), n.to_string().as_bytes()).file("same", n.to_string().as_bytes()))
            .collect(),
    );
    let id = id();
    f.layers.create_rw(&id, Some(&top)).unwrap();
    let root = f.layers.mount(&id).unwrap();
    let check = |root: &Path| {
        assert_eq!(std::fs::read_to_string(root.join("same")).unwrap(), "127");
        assert_eq!(std::fs::read_dir(root).unwrap().count(), 129);
    };
    check(&root);
    f.layers.unmount(&id).unwrap();
    let stack = f.layers.stack_of(&id).unwrap();
    let (dir, lowers) = (f.layers.rw_dir(&id), f.layers.contents(&stack.layers));
    let target = f.tmp.path().join("other");
    for d in ["u", "w", "other"] {
        std::fs::create_dir(f.tmp.path().join(d)).unwrap();
    }
    let (upper, work) = (f.tmp.path().join("u"), f.tmp.path().join("w"));
    let overlay = OverlayMount { target: &target, upper: &upper, work: &work, lowers: &lowers, options: &[("index", "off")] };
    overlay.mount_by_links().unwrap();
    check(&target);
    unmount(&target, UnmountFlags::empty()).unwrap();
    assert!(!f.tmp.path().join("links").exists() && dir.exists());
    overlay.mount_by_descriptor().unwrap();
    unmount(&target, UnmountFlags::empty()).unwrap();
}

#[test]
fn a_tar_that_fails_at_its_end_leaves_nothing() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "another digest"))
        }
    }
    let f = Fixture::new("overlay2");
    let tar = Maker::default().file("a", b"1").finish();
    let id = Digest::of(&tar);
    let e = f.layers.apply(None, &id, &id, &mut tar.chain(Fails)).unwrap_err();
    assert!(e.kind() == wharf_types::ErrorKind::InvalidParameter && e.message().contains("another digest"), "{e}");
    assert!(!f.layers.has(&id));
    assert_eq!(std::fs::read_dir(f.tmp.path().join("overlay2/tmp")).unwrap().count(), 0);
    f.layers.apply(None, &id, &id, &mut &tar[..]).unwrap();
}

#[test]
fn a_layer_is_unpacked_once() {
    struct Slow<'a>(&'a [u8], &'a AtomicUsize);
    impl Read for Slow<'_> {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            let n = self.0.read(buf)?;
            self.1.fetch_add(n, Ordering::Relaxed);
            Ok(n)
        }
    }
    let f = Fixture::new("overlay2");
    let tar = Maker::default().file("a", &[1; 100_000]).finish();
    let (digest, read) = (Digest::of(&tar), AtomicUsize::new(0));
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| assert_eq!(f.layers.apply(None, &digest, &digest, &mut Slow(&tar, &read)).unwrap(), 100_000));
        }
    });
    assert_eq!(read.into_inner(), tar.len());
}

#[test]
fn what_a_crash_left_is_repaired() {
    let mut f = Fixture::new("overlay2");
    let top = f.stack(stack_of_everything());
    let base = f.tmp.path().join("overlay2");
    std::fs::create_dir_all(base.join("tmp/abc/diff/x")).unwrap();
    std::fs::create_dir_all(base.join("trash/9/x")).unwrap();
    std::fs::create_dir_all(base.join("layers").join(Digest::of(b"half").hex()).join("diff")).unwrap();
    let broken = id();
    std::fs::create_dir_all(base.join("rw").join(broken.as_str()).join("upper")).unwrap();
    f.reopen();
    assert_eq!(f.layers.list().len(), 3);
    assert_eq!(f.layers.list().last(), Some(&top));
    for dir in ["tmp", "trash"] {
        assert_eq!(std::fs::read_dir(base.join(dir)).unwrap().count(), 0);
    }
    assert_eq!(f.layers.rw_ids(), std::slice::from_ref(&broken));
    assert!(f.layers.mount(&broken).is_err());
    f.layers.remove_rw(&broken).unwrap();
    assert!(!base.join("rw").join(broken.as_str()).exists());
}

#[test]
fn a_stack_with_a_hole_is_not_mounted() {
    let mut f = Fixture::new("overlay2");
    let top = f.stack(stack_of_everything());
    let id = id();
    f.layers.create_rw(&id, Some(&top)).unwrap();
    let base = f.layers.list()[0].clone();
    std::fs::remove_dir_all(f.tmp.path().join("overlay2/layers").join(base.hex())).unwrap();
    f.reopen();
    let e = f.layers.mount(&id).unwrap_err();
    assert!(e.message().contains(base.as_str()), "{e}");
    assert!(f.layers.create_rw(&self::id(), Some(&top)).is_err());
}

#[test]
fn unknown_drivers_are_refused() {
    let tmp = tempfile::tempdir().unwrap();
    let e = Layers::open(tmp.path(), "aufs").unwrap_err();
    assert_eq!(e.message(), "error initializing graphdriver: driver not supported: aufs");
    assert_eq!(std::fs::read_dir(tmp.path()).unwrap().count(), 0);
}

#[test]
fn inspect_and_info() {
    let f = Fixture::new("overlay2");
    let top = f.stack(stack_of_everything());
    let id = id();
    f.layers.create_rw(&id, Some(&top)).unwrap();
    let data = f.layers.rw_graph_data(&id);
    assert_eq!(data.keys().collect::<Vec<_>>(), ["LowerDir", "MergedDir", "UpperDir", "WorkDir"]);
    assert_eq!(data["LowerDir"].split(':').count(), 3);
    assert!(data["LowerDir"].split(':').all(|d| Path::new(d).is_dir()));
    assert_eq!(f.layers.graph_data(&top).keys().collect::<Vec<_>>(), ["LowerDir", "UpperDir"]);
    let keys: Vec<_> = f.layers.status().into_iter().map(|(k, _)| k).collect();
    assert_eq!(keys, ["Backing Filesystem", "Supports d_type", "Using metacopy", "Native Overlay Diff", "userxattr"]);
}

#[test]
fn mounts_stay_private_where_the_host_shares_them() {
    let tmp = tempfile::tempdir().unwrap();
    mount("tmpfs", tmp.path(), "tmpfs", MountFlags::empty(), None).unwrap();
    mount_change(tmp.path(), MountPropagationFlags::SHARED).unwrap();
    let peer = tempfile::tempdir().unwrap();
    rustix::mount::mount_bind(tmp.path(), peer.path()).unwrap();
    {
        let open = || Layers::open(tmp.path(), "overlay2").unwrap();
        let layers = open();
        let id = id();
        layers.create_rw(&id, None).unwrap();
        let root = layers.mount(&id).unwrap();
        std::fs::write(root.join("a"), b"").unwrap();
        let seen = peer.path().join(root.strip_prefix(tmp.path()).unwrap());
        assert!(!seen.join("a").exists());
        // A container that outlives the daemon keeps the mount for the next daemon.
        drop(layers);
        let layers = open();
        assert!(layers.is_mounted(&id));
        layers.remove_rw(&id).unwrap();
    }
    unmount(peer.path(), UnmountFlags::DETACH).unwrap();
    unmount(tmp.path(), UnmountFlags::empty()).unwrap();
}

/// What a container does to `stack_of_everything`.
fn live_in(root: &Path) {
    let write = |path: &str, text: &str| std::fs::write(root.join(path), text).unwrap();
    write("etc/a", "changed");
    write("new", "");
    std::fs::create_dir_all(root.join("deep/er")).unwrap();
    write("deep/er/file", "x");
    std::fs::hard_link(root.join("deep/er/file"), root.join("deep/hard")).unwrap();
    std::fs::remove_file(root.join("dir/y")).unwrap();
    std::fs::remove_dir_all(root.join("opaque")).unwrap();
    std::fs::create_dir(root.join("opaque")).unwrap();
    write("opaque/other", "");
    std::fs::remove_file(root.join("link")).unwrap();
    std::fs::create_dir(root.join("link")).unwrap();
    fs::chmod(root.join("top"), Mode::from_raw_mode(0o4711)).unwrap();
    fs::setxattr(root.join("new"), "user.k", b"a\nb", fs::XattrFlags::empty()).unwrap();
    // What a start makes.
    for dir in ["proc", "dev/pts"] {
        std::fs::create_dir_all(root.join(dir)).unwrap();
    }
    write("etc/hosts", "");
}

#[test]
fn changes_are_told_and_become_a_layer() {
    for driver in ["overlay2", "vfs"] {
        let f = Fixture::new(driver);
        let below = f.stack(stack_of_everything());
        let (first, second) = (id(), id());
        f.layers.create_rw(&first, Some(&below)).unwrap();
        assert_eq!(f.layers.changes(&first).unwrap(), [], "{driver}");
        let root = f.layers.mount(&first).unwrap();
        live_in(&root);
        let changes = f.layers.changes(&first).unwrap();
        let told: Vec<_> = changes.iter().map(|c| format!("{:?} {}", c.kind, String::from_utf8_lossy(&c.path))).collect();
        for expected in [
            "Modified etc",
            "Modified etc/a",
            "Modified top",
            "Added new",
            "Added deep/er/file",
            "Deleted dir/y",
            "Modified link",
            "Deleted opaque/new",
        ] {
            assert!(told.iter().any(|t| t == expected), "{driver}: {expected} is not in {told:?}");
        }
        assert!(!told.iter().any(|t| t.contains("proc") || t.contains("hosts") || t.contains("dev")), "{driver}: {told:?}");

        let mut tar = Vec::new();
        f.layers.pack_changes(&first, &mut tar).unwrap();
        let mut again = Vec::new();
        f.layers.pack_changes(&first, &mut again).unwrap();
        assert!(tar == again, "the same tree gives the same bytes");
        let diff_id = Digest::of(&tar);
        let chain = Digest::of(format!("{below} {diff_id}").as_bytes());
        f.layers.apply(Some(&below), &chain, &diff_id, &mut &tar[..]).unwrap();
        f.layers.create_rw(&second, Some(&chain)).unwrap();
        let (one, two) = (view(&root), view(&f.layers.mount(&second).unwrap()));
        let managed = |line: &String| !line.starts_with("proc") && !line.starts_with("etc/hosts") && !line.starts_with("dev");
        assert_eq!(one.into_iter().filter(managed).collect::<Vec<_>>(), two, "{driver}");
        assert_eq!(f.layers.changes(&second).unwrap(), [], "{driver}");
    }
}

#[test]
fn a_borrowed_root_goes_when_nobody_needs_it() {
    let f = Fixture::new("overlay2");
    let below = f.stack(stack_of_everything());
    let id = id();
    f.layers.create_rw(&id, Some(&below)).unwrap();
    let (one, two) = (f.layers.borrow(&id).unwrap(), f.layers.borrow(&id).unwrap());
    drop(one);
    assert!(f.layers.is_mounted(&id) && two.path().join("etc/a").exists());
    drop(two);
    assert!(!f.layers.is_mounted(&id));
    // Started while it was borrowed: it stays.
    let one = f.layers.borrow(&id).unwrap();
    f.layers.mount(&id).unwrap();
    drop(one);
    assert!(f.layers.is_mounted(&id));
    // Stopped while it is borrowed: it goes with the borrower.
    let one = f.layers.borrow(&id).unwrap();
    f.layers.unmount(&id).unwrap();
    assert!(f.layers.is_mounted(&id));
    drop(one);
    assert!(!f.layers.is_mounted(&id));
    // Removed while it is borrowed: it goes at once.
    let one = f.layers.borrow(&id).unwrap();
    f.layers.remove_rw(&id).unwrap();
    assert!(!f.layers.is_mounted(&id) && !one.path().exists());
    drop(one);
}
