use super::*;
use crate::load::tests::{Archive, FakeLayers, image};
use std::fs;

pub(crate) struct Fixture {
    pub(crate) tmp: tempfile::TempDir,
    pub(crate) store: ImageStore,
    pub(crate) layers: FakeLayers,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let tmp = tempfile::tempdir().unwrap();
        Self { store: ImageStore::open(tmp.path()).unwrap(), tmp, layers: FakeLayers::default() }
    }
    pub(crate) fn reopen(&mut self) {
        self.store = ImageStore::open(self.tmp.path()).unwrap();
    }
    /// Loads an image of the given layers; `seed` makes its config its own.
    pub(crate) fn add(&self, seed: &str, layers: &[&str], tags: &[&str]) -> Arc<Image> {
        let archive = Archive::default().docker(&[image(seed, layers, tags)]);
        self.store.load(&archive.tar()[..], &self.layers, &mut |_| {}).unwrap().remove(0).image
    }
    pub(crate) fn blobs(&self) -> usize {
        fs::read_dir(self.tmp.path().join("blobs/sha256")).unwrap().count()
    }
    pub(crate) fn set_parent(&mut self, child: &Image, parent: &Image) {
        let doc = ImageDoc { parent: Some(parent.id.clone()), ..image_doc(child) };
        self.store.0.documents.put(child.id.hex(), &doc).unwrap();
        self.reopen();
    }
}

#[test]
fn resolving() {
    let f = Fixture::new();
    let a = f.add("a", &["1"], &["busybox:latest", "example.com/x/y:1"]);
    let b = f.add("b", &["1"], &[]);
    for text in ["busybox", "busybox:latest", "docker.io/library/busybox", "example.com/x/y:1", a.id.as_str(), a.id.hex(), a.id.short()] {
        assert_eq!(f.store.resolve(text).unwrap().id, a.id, "{text}");
    }
    assert_eq!(f.store.resolve(&b.id.as_str()[..20]).unwrap().id, b.id);
    for (text, message) in [
        ("nope", "No such image: nope:latest"),
        ("docker.io/library/nope:1", "No such image: nope:1"),
        ("example.com/x/y", "No such image: example.com/x/y:latest"),
    ] {
        let e = f.store.resolve(text).unwrap_err();
        assert_eq!((e.kind(), e.message()), (wharf_types::ErrorKind::NotFound, message));
    }
    let unknown = Digest::of(b"?");
    for text in [unknown.as_str(), unknown.hex()] {
        assert_eq!(f.store.resolve(text).unwrap_err().message(), format!("No such image: {text}"));
    }
    assert_eq!(f.store.resolve("NOPE").unwrap_err().kind(), wharf_types::ErrorKind::InvalidParameter);
}

#[test]
fn a_name_is_no_id() {
    let f = Fixture::new();
    let a = f.add("a", &["1"], &["busybox:latest"]);
    let named = |text: &str| f.store.named(&text.parse().unwrap()).map(|i| i.id.clone());
    assert_eq!(named("busybox"), Some(a.id.clone()));
    assert_eq!(named("busybox:1"), None);
    assert!(f.store.resolve(a.id.short()).is_ok() && named(a.id.short()).is_none());
}

#[test]
fn a_name_wins_over_an_id_prefix_and_prefixes_must_be_unique() {
    let f = Fixture::new();
    let a = f.add("a", &["1"], &[]);
    let b = f.add("b", &["2"], &[]);
    let name: Reference = a.id.short().parse().unwrap();
    f.store.tag(&b.id, &name).unwrap();
    assert_eq!(f.store.resolve(a.id.short()).unwrap().id, b.id);
    for n in 0..40 {
        f.add(&n.to_string(), &["1"], &[]);
    }
    let digit = f.store.list().iter().map(|i| i.id.hex()[..1].to_owned()).fold(HashMap::new(), |mut m: HashMap<_, u32>, d| {
        *m.entry(d).or_default() += 1;
        m
    });
    let shared = digit.into_iter().find(|(_, n)| *n > 1).unwrap().0;
    assert!(f.store.resolve(&shared).unwrap_err().message().contains("ambiguous"));
}

#[test]
fn tags_move_and_survive() {
    let mut f = Fixture::new();
    let (a, b) = (f.add("a", &["1"], &["x:1"]), f.add("b", &["1"], &[]));
    let x: Reference = "x:1".parse().unwrap();
    assert_eq!(f.store.tag(&b.id, &x).unwrap(), Some(a.id.clone()));
    assert_eq!(f.store.tag(&b.id, &x).unwrap(), None);
    f.reopen();
    let b = f.store.resolve("x:1").unwrap();
    assert_eq!(b.tags, std::slice::from_ref(&x));
    assert!(b.last_tagged.is_some() && f.store.get(&a.id).unwrap().tags.is_empty());
    assert_eq!(f.store.untag(&x).unwrap(), b.id);
    assert_eq!(f.store.untag(&x).unwrap_err().message(), "No such image: x:1");
    assert!(f.store.tag(&b.id, "sha256:abc".parse::<Reference>().unwrap()).is_err());
    assert!(f.store.tag(&Digest::of(b"?"), &x).is_err());
}

#[test]
fn a_name_is_taken_only_from_the_image_that_may_lose_it() {
    let f = Fixture::new();
    let (a, b, c) = (f.add("a", &["1"], &["x:1"]), f.add("b", &["1"], &[]), f.add("c", &["1"], &[]));
    let take = |id: &Digest, name: &str, holder: &str| {
        let new = NewName { reference: name.parse().unwrap(), holder: Some(holder.to_owned()) };
        f.store.tag(id, new).map_err(|e| (e.kind(), e.message().to_owned()))
    };
    let moved = |name: &str| Err((wharf_types::ErrorKind::Conflict, format!("the name {name} was given to another image meanwhile")));
    assert_eq!(take(&b.id, "x:1", ""), moved("x:1"));
    assert_eq!(take(&b.id, "x:1", c.id.as_str()), moved("x:1"));
    assert_eq!(f.store.resolve("x:1").unwrap().id, a.id);
    assert_eq!(take(&b.id, "x:1", a.id.as_str()), Ok(Some(a.id.clone())));
    // Nobody loses it: the image has it already, or it was taken away from the other one.
    assert_eq!(take(&b.id, "x:1", c.id.as_str()), Ok(None));
    assert_eq!(take(&b.id, "y", c.id.as_str()), Ok(None));
    assert_eq!(take(&c.id, "y", ""), moved("y:latest"));
}

#[test]
fn documents_that_are_unusable_do_not_stop_the_boot() {
    let mut f = Fixture::new();
    let (a, b, c) = (f.add("a", &["1"], &["a:1"]), f.add("b", &["2"], &["b:1"]), f.add("c", &["3"], &["c:1"]));
    let images = f.tmp.path().join("images");
    fs::write(images.join(format!("{}.json", a.id.hex())), b"{").unwrap();
    fs::remove_file(f.store.0.blobs.path(&b.layers[0].blob)).unwrap();
    let blobs = f.blobs();
    f.reopen();
    assert_eq!(f.store.list().iter().map(|i| i.id.clone()).collect::<Vec<_>>(), std::slice::from_ref(&c.id));
    assert!(f.store.resolve("a:1").is_err() && f.store.resolve("c:1").is_ok());
    assert_eq!(f.blobs(), blobs, "blobs of an image that can be repaired are kept");
    assert_eq!(
        fs::read_dir(&images).unwrap().filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains(".corrupt-")).count(),
        2
    );
    fs::write(f.tmp.path().join("references.json"), b"?").unwrap();
    f.reopen();
    assert_eq!(f.store.count(), 1);
    assert!(f.tmp.path().join("references.json.corrupt-1").exists());
}

#[test]
fn orphan_blobs_are_deleted_at_open() {
    let mut f = Fixture::new();
    f.add("a", &["1"], &[]);
    let before = f.blobs();
    let staged = f.store.0.blobs.stage(b"orphan").unwrap();
    f.store.0.blobs.publish([staged]).unwrap();
    assert_eq!(f.blobs(), before + 1);
    f.reopen();
    assert_eq!(f.blobs(), before);
}

#[test]
fn release_layers_spares_what_is_needed() {
    let f = Fixture::new();
    let a = f.add("a", &["1", "2"], &[]);
    let orphan = Digest::of(b"orphan");
    let mut all = a.chain_ids();
    all.push(orphan.clone());
    let mut removed = Vec::new();
    f.store
        .release_layers(&all, &mut |c| {
            removed.push(c.clone());
            Ok(())
        })
        .unwrap();
    assert_eq!(removed, [orphan]);
}
