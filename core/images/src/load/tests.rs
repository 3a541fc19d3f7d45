use super::*;
use crate::{
    compress::{
        Compression,
        tests::{ALL, pack},
    },
    image::chain_ids,
    store::tests::Fixture,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use wharf_types::ErrorKind;

/// Keeps layers in memory; checks what the real one checks.
#[derive(Default)]
pub(crate) struct FakeLayers {
    pub(crate) made: Mutex<HashMap<Digest, u64>>,
    pub(crate) parents_first: AtomicBool,
}

impl LayerApplier for FakeLayers {
    fn has(&self, chain: &Digest) -> bool {
        self.made.lock().unwrap().contains_key(chain)
    }
    fn apply(&self, parent: Option<&Digest>, chain: &Digest, _: &Digest, tar: &mut dyn Read) -> Result<u64> {
        if let Some(size) = self.made.lock().unwrap().get(chain) {
            return Ok(*size);
        }
        if self.parents_first() {
            assert!(parent.is_none_or(|p| self.has(p)));
        }
        let mut data = Vec::new();
        tar.read_to_end(&mut data).map_err(|e| Error::invalid(e.to_string()))?;
        self.made.lock().unwrap().insert(chain.clone(), data.len() as u64);
        Ok(data.len() as u64)
    }
    fn parents_first(&self) -> bool {
        self.parents_first.load(Ordering::Relaxed)
    }
}

pub(crate) struct TestImage {
    config: Vec<u8>,
    layers: Vec<Vec<u8>>,
    tags: Vec<String>,
}

pub(crate) fn image(seed: &str, layers: &[&str], tags: &[&str]) -> TestImage {
    let layers: Vec<Vec<u8>> = layers.iter().map(|l| l.repeat(100).into_bytes()).collect();
    let diff_ids: Vec<_> = layers.iter().map(|l| Digest::of(l)).collect();
    let config = json!({"architecture": "amd64", "os": "linux", "author": seed, "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": [{"comment": seed}]});
    TestImage { config: config.to_string().into_bytes(), layers, tags: tags.iter().map(|t| (*t).to_owned()).collect() }
}

/// An archive as a map, so that tests can damage it.
#[derive(Default, Clone)]
pub(crate) struct Archive {
    files: BTreeMap<String, Vec<u8>>,
    links: Vec<(String, String)>,
}

impl Archive {
    fn put(&mut self, name: impl Into<String>, data: impl Into<Vec<u8>>) {
        self.files.insert(name.into(), data.into());
    }
    fn blob(&mut self, data: &[u8]) -> (String, Value) {
        let digest = Digest::of(data);
        let name = format!("blobs/sha256/{}", digest.hex());
        self.put(name.clone(), data);
        (name, json!({"digest": digest, "size": data.len()}))
    }
    /// The layout of old `docker save`.
    pub(crate) fn docker(mut self, images: &[TestImage]) -> Self {
        let mut listing = Vec::new();
        for image in images {
            let id = Digest::of(&image.config);
            let config = format!("{}.json", id.hex());
            self.put(config.clone(), image.config.clone());
            let mut names = Vec::new();
            for (n, layer) in image.layers.iter().enumerate() {
                let dir = format!("{}{n}", id.short());
                self.put(format!("{dir}/VERSION"), "1.0");
                self.put(format!("{dir}/layer.tar"), layer.clone());
                names.push(format!("{dir}/layer.tar"));
            }
            listing.push(json!({"Config": config, "RepoTags": image.tags, "Layers": names}));
        }
        self.put("manifest.json", Value::from(listing).to_string());
        self
    }
    /// An OCI layout; returns the descriptors for an index.
    fn oci(&mut self, image: &TestImage, kind: Compression) -> Value {
        let (_, mut config) = self.blob(&image.config);
        config["mediaType"] = "application/vnd.oci.image.config.v1+json".into();
        let layers: Vec<_> = image
            .layers
            .iter()
            .map(|l| {
                let (_, mut d) = self.blob(&pack(kind, l));
                d["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip".into();
                d
            })
            .collect();
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let (_, mut d) = self.blob(manifest.to_string().as_bytes());
        d["mediaType"] = crate::manifest::OCI_MANIFEST.into();
        d
    }
    fn index(mut self, entries: &[Value]) -> Self {
        self.put("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
        self.put("index.json", json!({"schemaVersion": 2, "manifests": entries}).to_string());
        self
    }
    pub(crate) fn tar(&self) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let header = |kind: tar::EntryType, size: usize| {
            let mut h = tar::Header::new_gnu();
            h.set_entry_type(kind);
            h.set_mode(0o644);
            h.set_size(size as u64);
            h
        };
        for (name, data) in &self.files {
            builder.append_data(&mut header(tar::EntryType::Regular, data.len()), name, &data[..]).unwrap();
        }
        for (name, to) in &self.links {
            builder.append_link(&mut header(tar::EntryType::Symlink, 0), name, to).unwrap();
        }
        builder.into_inner().unwrap()
    }
}

fn load(f: &Fixture, archive: &Archive) -> Result<Vec<Loaded>> {
    f.store.load(&archive.tar()[..], &f.layers, &mut |_| {})
}

fn assert_nothing_left(f: &Fixture) {
    assert_eq!((f.store.count(), f.blobs()), (0, 0));
    assert_eq!(std::fs::read_dir(f.tmp.path().join("blobs/tmp")).unwrap().count(), 0);
    assert!(f.store.0.change().is_empty());
}

#[test]
fn docker_archives_in_every_packing() {
    for outer in ALL {
        for inner in ALL {
            let f = Fixture::new();
            f.layers.parents_first.store(inner == Compression::Gzip, Ordering::Relaxed);
            let image = image("x", &["one", "two", "three"], &["x:1", "x:2"]);
            let mut archive = Archive::default().docker(std::slice::from_ref(&image));
            for (name, data) in &mut archive.files {
                if name.ends_with("layer.tar") {
                    *data = pack(inner, data);
                }
            }
            let packed = pack(outer, &archive.tar());
            let mut progress = Vec::new();
            let loaded = f.store.load(&packed[..], &f.layers, &mut |p| progress.push(p)).unwrap();
            assert_eq!(loaded.iter().map(|l| l.tag.as_ref().unwrap().to_string()).collect::<Vec<_>>(), ["x:1", "x:2"]);
            let got = &loaded[0].image;
            assert_eq!((got.id.clone(), &got.raw_config[..]), (Digest::of(&image.config), &image.config[..]));
            assert_eq!(got.size, 300 + 300 + 500);
            assert_eq!((got.comment(), got.config.author.as_str()), ("x", "x"));
            assert_eq!(got.chain_id(), chain_ids(&got.config.rootfs.diff_ids).pop());
            let done = progress.iter().filter(|p| matches!(p, LoadProgress::Layer { current, total, .. } if current >= total)).count();
            assert_eq!(done, 3, "{progress:?}");
            assert_eq!(f.blobs(), 5);
            let expected = inner.layer_media_type().unwrap_or("application/vnd.docker.image.rootfs.diff.tar");
            assert!(got.layers.iter().all(|l| l.media_type == expected && f.store.0.blobs.has(&l.blob)));
        }
    }
}

#[test]
fn loading_again_changes_nothing_and_survives_a_restart() {
    let mut f = Fixture::new();
    let archive = Archive::default().docker(&[image("x", &["one"], &["x:1"]), image("y", &["one", "two"], &[])]);
    let first = load(&f, &archive).unwrap();
    assert_eq!((first.len(), first[1].tag.clone()), (2, None));
    let blobs = f.blobs();
    f.reopen();
    let again = load(&f, &archive).unwrap();
    assert_eq!((again[0].image.id.clone(), f.blobs(), f.store.count()), (first[0].image.id.clone(), blobs, 2));
    assert_eq!(f.layers.made.lock().unwrap().len(), 2);
}

#[test]
fn a_tag_that_moves_is_told() {
    let f = Fixture::new();
    let old = load(&f, &Archive::default().docker(&[image("x", &["one"], &["x:1"])])).unwrap()[0].image.id.clone();
    let mut moved = Vec::new();
    let archive = Archive::default().docker(&[image("y", &["one"], &["x:1"])]).tar();
    f.store.load(&archive[..], &f.layers, &mut |p| moved.push(p)).unwrap();
    assert_eq!(moved.pop(), Some(LoadProgress::Renamed { reference: "x:1".parse().unwrap(), old }));
}

#[test]
fn linked_layers_of_old_archives() {
    let f = Fixture::new();
    let mut archive = Archive::default().docker(&[image("x", &["one", "one"], &["x:1"])]);
    let dir = Digest::of(&image("x", &["one", "one"], &[]).config).short().to_owned();
    archive.files.remove(&format!("{dir}1/layer.tar"));
    archive.links.push((format!("{dir}1/layer.tar"), format!("../{dir}0/layer.tar")));
    assert_eq!(load(&f, &archive).unwrap()[0].image.layers.len(), 2);
    archive.links[0].1 = "../../etc/passwd".into();
    assert_eq!(load(&Fixture::new(), &archive).unwrap_err().kind(), ErrorKind::InvalidParameter);
    archive.links[0].1 = "layer.tar".into();
    assert!(load(&Fixture::new(), &archive).unwrap_err().message().contains("is missing"));
}

#[test]
fn oci_layouts() {
    for kind in ALL {
        let f = Fixture::new();
        let mut archive = Archive::default();
        let mut a = archive.oci(&image("a", &["one", "two"], &[]), kind);
        a["annotations"] = json!({"io.containerd.image.name": "docker.io/library/a:1", "org.opencontainers.image.ref.name": "1"});
        let mut b = archive.oci(&image("b", &["one"], &[]), kind);
        b["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
        let manifest: Digest = serde_json::from_value(a["digest"].clone()).unwrap();
        let loaded = load(&f, &archive.index(&[a, b])).unwrap();
        assert_eq!(loaded[0].tag.as_ref().unwrap().to_string(), "a:1");
        assert_eq!((loaded[0].image.manifest.clone(), loaded[1].tag.clone()), (manifest, None));
    }
}

#[test]
fn nested_indexes_choose_the_host() {
    let f = Fixture::new();
    let mut archive = Archive::default();
    let mut entries = Vec::new();
    let ours = image("ours", &["one"], &[]);
    for (test, os, arch) in [
        (image("other", &["two"], &[]), "linux", "s390x"),
        (ours, "linux", crate::platform::host_architecture()),
        (image("att", &["3"], &[]), "unknown", "unknown"),
    ] {
        let mut d = archive.oci(&test, Compression::Gzip);
        d["platform"] = json!({"os": os, "architecture": arch});
        entries.push(d);
    }
    let (_, mut index) = archive.blob(json!({"manifests": entries}).to_string().as_bytes());
    index["mediaType"] = crate::manifest::OCI_INDEX.into();
    index["annotations"] = json!({"io.containerd.image.name": "docker.io/library/m:1"});
    let loaded = load(&f, &archive.clone().index(std::slice::from_ref(&index))).unwrap();
    assert_eq!((loaded.len(), loaded[0].image.config.author.as_str()), (1, "ours"));
    let (_, mut index) = archive.blob(json!({"manifests": [entries[0]]}).to_string().as_bytes());
    index["mediaType"] = crate::manifest::OCI_INDEX.into();
    assert!(load(&Fixture::new(), &archive.index(&[index])).unwrap_err().message().starts_with("no matching manifest for linux/"));
}

#[test]
fn a_platform_can_be_asked_for() {
    let platforms = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<crate::Platform>>();
    let mut archive = Archive::default();
    let mut entries = Vec::new();
    for arch in ["s390x", "riscv64"] {
        let mut test = image(arch, &[arch], &[]);
        let mut config: Value = serde_json::from_slice(&test.config).unwrap();
        config["architecture"] = arch.into();
        test.config = config.to_string().into_bytes();
        let mut entry = archive.oci(&test, Compression::None);
        entry["platform"] = json!({"os": "linux", "architecture": arch});
        entries.push(entry);
    }
    let (_, mut nested) = archive.blob(json!({"manifests": entries}).to_string().as_bytes());
    nested["mediaType"] = crate::manifest::OCI_INDEX.into();
    for archive in [archive.clone().index(&[nested]), archive.index(&entries)] {
        let load = |wanted: &[&str]| {
            let f = Fixture::new();
            let loaded = f.store.load_for(&platforms(wanted), &archive.tar()[..], &f.layers, &mut |_| Ok(()), &mut |_| {});
            loaded.map(|all| all.iter().map(|l| l.image.platform().to_string()).collect::<Vec<_>>()).map_err(|e| e.kind())
        };
        assert_eq!(load(&["linux/riscv64"]).unwrap(), ["linux/riscv64"]);
        assert_eq!(load(&["linux/ppc64le", "linux/s390x"]).unwrap(), ["linux/s390x"]);
        assert_eq!(load(&["linux/ppc64le"]).unwrap_err(), ErrorKind::NotFound);
    }
}

#[test]
fn archives_that_are_both_keep_their_manifest() {
    let f = Fixture::new();
    let test = image("x", &["one"], &[]);
    let mut archive = Archive::default();
    let entry = archive.oci(&test, Compression::Gzip);
    let config = format!("blobs/sha256/{}", Digest::of(&test.config).hex());
    let layer = format!("blobs/sha256/{}", Digest::of(&pack(Compression::Gzip, &test.layers[0])).hex());
    archive.put("manifest.json", json!([{"Config": config, "RepoTags": ["x:1"], "Layers": [layer]}]).to_string());
    let loaded = load(&f, &archive.index(std::slice::from_ref(&entry))).unwrap();
    assert_eq!(loaded[0].image.manifest.as_str(), entry["digest"]);
    assert_eq!(loaded[0].tag.as_ref().unwrap().to_string(), "x:1");
}

#[test]
fn bad_archives_leave_nothing() {
    let good = Archive::default().docker(&[image("x", &["one", "two"], &["x:1"])]);
    let layer = good.files.keys().find(|n| n.ends_with("1/layer.tar")).unwrap().clone();
    let config = good.files.keys().find(|n| n.ends_with(".json") && *n != "manifest.json").unwrap().clone();
    type Damage<'a> = (&'a str, Box<dyn Fn(&mut Archive)>);
    let cases: Vec<Damage<'_>> = vec![
        (
            "does not contain a manifest.json",
            Box::new(|a| {
                a.files.remove("manifest.json");
            }),
        ),
        ("manifest.json", Box::new(|a| a.put("manifest.json", "{"))),
        ("is longer than", Box::new(|a| a.put("manifest.json", vec![b' '; (spool::MAX_LISTING + 1) as usize]))),
        ("is longer than", Box::new(|a| a.put("index.json", vec![b' '; (spool::MAX_LISTING + 1) as usize]))),
        (
            "is missing",
            Box::new({
                let l = layer.clone();
                move |a| {
                    a.files.remove(&l);
                }
            }),
        ),
        (
            "is missing",
            Box::new({
                let c = config.clone();
                move |a| {
                    a.files.remove(&c);
                }
            }),
        ),
        (
            "invalid diffID",
            Box::new({
                let l = layer.clone();
                move |a| a.put(l.clone(), "other")
            }),
        ),
        (
            "invalid image config",
            Box::new({
                let c = config.clone();
                move |a| a.put(c.clone(), "[]")
            }),
        ),
        (
            "cannot load windows image on linux",
            Box::new({
                let c = config.clone();
                move |a| a.put(c.clone(), r#"{"os":"windows","rootfs":{}}"#)
            }),
        ),
        (
            "layers length mismatch",
            Box::new({
                let c = config.clone();
                move |a| a.put(c.clone(), r#"{"os":"linux","rootfs":{}}"#)
            }),
        ),
        (
            "invalid tag",
            Box::new(|a| {
                let t = String::from_utf8(a.files["manifest.json"].clone()).unwrap().replace("x:1", "X:1");
                a.put("manifest.json", t);
            }),
        ),
        (
            "invalid tag",
            Box::new(|a| {
                let t = String::from_utf8(a.files["manifest.json"].clone()).unwrap().replace("x:1", "x");
                a.put("manifest.json", t);
            }),
        ),
        ("the digest of", Box::new(|a| a.put(format!("blobs/sha256/{}", Digest::of(b"a").hex()), "b"))),
    ];
    for (text, damage) in cases {
        let f = Fixture::new();
        let mut archive = good.clone();
        damage(&mut archive);
        let e = load(&f, &archive).unwrap_err();
        assert!(e.message().contains(text) && e.kind() == ErrorKind::InvalidParameter, "{text}: {e}");
        assert_nothing_left(&f);
    }
    let f = Fixture::new();
    let tar = good.tar();
    for cut in [tar.len() / 3, tar.len() / 2] {
        assert!(f.store.load(&tar[..cut], &f.layers, &mut |_| {}).is_err());
        assert_nothing_left(&f);
    }
    assert!(f.store.load(&b"not a tar at all"[..], &f.layers, &mut |_| {}).is_err());
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in ["../../escape", "/etc/escape", "a/../../escape"] {
        let f = Fixture::new();
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(0);
        header.set_cksum();
        let mut tar = header.as_bytes().to_vec();
        tar.extend(Archive::default().docker(&[image("x", &["one"], &[])]).tar());
        let e = f.store.load(&tar[..], &f.layers, &mut |_| {}).unwrap_err();
        assert!(e.message().contains("leads out"), "{e}");
        assert_nothing_left(&f);
    }
}

#[test]
fn a_known_layer_does_not_vouch_for_another_blob() {
    let f = Fixture::new();
    load(&f, &Archive::default().docker(&[image("x", &["one"], &[])])).unwrap();
    let test = image("y", &["one"], &[]);
    let mut archive = Archive::default();
    let wrong = TestImage { layers: vec![b"forged".to_vec()], ..image("y", &["one"], &[]) };
    let entry = archive.oci(&wrong, Compression::Gzip);
    let e = load(&f, &archive.index(&[entry])).unwrap_err();
    assert!(e.message().contains("invalid diffID"), "{e}");
    let mut archive = Archive::default();
    let entry = archive.oci(&test, Compression::Gzip);
    assert_eq!(load(&f, &archive.index(&[entry])).unwrap().len(), 1);
}

#[test]
fn names_are_asked_for_before_anything_is_known() {
    let f = Fixture::new();
    let victim = f.add("victim", &["old"], &["victim:latest"]);
    let blobs = f.blobs();
    let archive = Archive::default().docker(&[image("x", &["one"], &["victim:latest", "new:1"])]).tar();
    let load = |may: MayName<'_>| f.store.load_for(&[], &archive[..], &f.layers, may, &mut |_| {});

    let mut asked = Vec::new();
    let refused = load(&mut |names| {
        asked.extend(names.iter().map(|n| (n.reference.to_string(), n.holder_id().cloned())));
        Err(Error::forbidden("no"))
    });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(asked, [("victim:latest".to_owned(), Some(victim.id.clone())), ("new:1".to_owned(), None)]);
    assert_eq!((f.store.count(), f.blobs()), (1, blobs));
    assert_eq!(f.store.resolve("victim").unwrap().id, victim.id);

    // A name that changes hands after the answer is asked for again.
    let other = f.add("other", &["old"], &[]);
    let mut holders = Vec::new();
    let loaded = load(&mut |names| {
        holders.push(names[0].holder_id().cloned());
        f.store.tag(&other.id, &names[0].reference).map(|_| ())
    });
    assert_eq!(holders, [Some(victim.id.clone()), Some(other.id.clone())]);
    assert_eq!(f.store.resolve("victim").unwrap().id, loaded.unwrap()[0].image.id);
}

#[test]
fn a_load_in_progress_keeps_what_it_found() {
    let f = Fixture::new();
    let lease = Lease::new(Arc::clone(&f.store.0));
    let image = load(&f, &Archive::default().docker(&[image("x", &["one"], &["x:1"])])).unwrap().remove(0).image;
    let blob = image.layers[0].blob.clone();
    lease.pin(&blob);
    let done = f.store.delete("x:1", false, false, &|_| crate::Usage::None).unwrap();
    assert!(f.store.0.blobs.has(&blob) && f.blobs() == 1);
    f.store.release_layers(&done.chains, &mut |c| panic!("{c} is pinned")).unwrap();
    drop(lease);
    assert_eq!(f.blobs(), 0);
}
