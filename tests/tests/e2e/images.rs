//! Images from archives: every packaging, rules of names and removal, and what the layers become inside a container.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};
use wharf_tests::http::Http;
use wharf_tests::image::{self, Compression, Image, Layer};
use wharf_tests::{Case, Footprint, poll, suite};

suite![
    load_compressed,
    load_oci_layout,
    load_several,
    load_moves_a_tag,
    load_garbage,
    load_hostile,
    load_killed,
    import,
    tag,
    remove_by_reference,
    remove_by_id,
    remove_in_use,
    prune_dangling,
    list_filters,
    inspect,
    history,
    layers_and_special_files,
    sparse_members,
    shared_layers_stay,
];

/// An image that no other test has: busybox with a label.
fn unique(name: &str) -> Image {
    image::labelled(name, &format!("{name}:latest"))
}

fn short(id: &str) -> &str {
    &id["sha256:".len()..][..12]
}

fn load_compressed(case: &Case) {
    for kind in [Compression::None, Compression::Gzip, Compression::Zstd, Compression::Xz, Compression::Bzip2] {
        if case.engine().is_dockerd() && kind == Compression::Zstd {
            // 20.10 is older than its zstd support.
            continue;
        }
        let image = unique(&format!("load-{kind:?}").to_lowercase());
        let said = case.daemon().load(&kind.apply(&Image::docker_archive(std::slice::from_ref(&image))));
        assert!(said.contains(&format!("Loaded image: {}", image.tags[0])), "{kind:?}: {said}");
        assert_eq!(case.docker(&["inspect", "-f", "{{.Id}}", &image.tags[0]]).ok(), image.id());
        assert_eq!(case.run(&["--rm", "--network", "none", &image.tags[0], "echo", "runs"]).ok(), "runs", "{kind:?}");
    }
}

fn load_oci_layout(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("20.10 loads only archives with a manifest.json");
    }
    for kind in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let image = unique(&format!("oci-{kind:?}").to_lowercase());
        let said = case.daemon().load(&image.oci_layout(kind));
        assert!(said.contains(&format!("Loaded image: {}", image.tags[0])), "{kind:?}: {said}");
        assert_eq!(case.run(&["--rm", "--network", "none", &image.tags[0], "echo", "runs"]).ok(), "runs", "{kind:?}");
    }
}

fn load_several(case: &Case) {
    let mut two_names = unique("load-several");
    two_names.tags.push("load-several:second".into());
    let nameless = Image { tags: vec![], ..unique("load-nameless") };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("images.tar");
    fs::write(&file, Image::docker_archive(&[two_names.clone(), nameless.clone()])).unwrap();
    let said = case.docker(&["load", "-i", file.to_str().unwrap()]).ok();
    let id = format!("Loaded image ID: {}", nameless.id());
    for line in ["Loaded image: load-several:latest", "Loaded image: load-several:second", &id] {
        assert!(said.lines().any(|l| l == line), "{said}");
    }
    assert_eq!(case.run(&["--rm", "--network", "none", short(&nameless.id()), "echo", "by id"]).ok(), "by id");
    let listed = case.docker(&["images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]).ok();
    for tag in ["latest", "second"] {
        assert!(listed.contains(&format!("load-several:{tag} {}", two_names.id())), "{listed}");
    }
}

fn load_moves_a_tag(case: &Case) {
    let (old, mut new) = (unique("moving"), unique("moved-here"));
    new.tags = old.tags.clone();
    case.daemon().load(&Image::docker_archive(std::slice::from_ref(&old)));
    let said = case.daemon().load(&Image::docker_archive(std::slice::from_ref(&new)));
    assert!(said.contains("The image moving:latest already exists, renaming the old one with ID"), "{said}");
    assert_eq!(case.docker(&["inspect", "-f", "{{.Id}}", "moving"]).ok(), new.id());
    assert_eq!(case.docker(&["inspect", "-f", "{{json .RepoTags}}", &old.id()]).ok(), "[]");
}

fn load_garbage(case: &Case) {
    let http = case.http();
    let before = http.get("/images/json?all=1").json().as_array().unwrap().len();
    let good = Image::docker_archive(&[unique("truncated")]);
    let mut bad_digest = unique("bad-digest");
    bad_digest.layers[0] = Layer::new().file("f", 0o644, b"x").finish();
    let swapped = Image::docker_archive(&[unique("bad-digest")]).to_vec();
    let no_manifest = Layer::new().file("README", 0o644, b"nothing here").finish();
    for (what, archive) in
        [("truncated", &good[..good.len() / 2]), ("empty", b""), ("text", b"this is no archive"), ("no manifest", &no_manifest)]
    {
        let reply = http.request("POST", "/images/load?quiet=1", &[("Content-Type", "application/x-tar")], archive);
        // The status is 200 when the stream had begun; then the error is in it.
        assert!(
            reply.status() >= 400 || reply.text().contains("errorDetail") || what == "empty",
            "{what}: {} {}",
            reply.status(),
            reply.text()
        );
        assert!(!reply.text().contains("Loaded"), "{what}: {}", reply.text());
    }
    // A layer that is not what the config promises.
    let position = swapped.windows(14).rposition(|w| w == b"not a program\n").unwrap();
    let mut forged = swapped;
    forged[position] = b'N';
    let reply = http.request("POST", "/images/load?quiet=1", &[("Content-Type", "application/x-tar")], &forged);
    // dockerd trusts a layer whose promised ID it has already; Wharf looks.
    if !case.engine().is_dockerd() {
        assert!(reply.status() >= 400 || reply.text().contains("errorDetail"), "{}", reply.text());
    }
    let after = http.get("/images/json?all=1").json().as_array().unwrap().len();
    assert!(after >= before);
    http.get("/images/truncated/json").expect(404);
}

fn load_hostile(case: &Case) {
    let outside = tempfile::tempdir_in("/tmp").unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "safe").unwrap();
    for (name, image) in image::hostile(victim.to_str().unwrap()) {
        let http = case.http();
        let reply = http.request(
            "POST",
            "/images/load?quiet=1",
            &[("Content-Type", "application/x-tar")],
            &Image::docker_archive(std::slice::from_ref(&image)),
        );
        assert_eq!(fs::read_to_string(&victim).unwrap(), "safe", "{name}: {}", reply.text());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1, "{name}");
        // Refused, or taken and harmless: then it also runs, and goes.
        if reply.text().contains("Loaded image") {
            case.run(&["--rm", "--network", "none", &image.tags[0], "true"]);
            assert_eq!(fs::read_to_string(&victim).unwrap(), "safe", "{name}");
            case.docker(&["rmi", &image.tags[0]]).ok();
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "safe", "{name}");
    }
}

fn load_killed(case: &Case) {
    let daemon = case.own_daemon(None);
    let mut big = unique("big");
    big.layers.push((0..24).fold(Layer::new(), |l, i| l.file(&format!("f{i}"), 0o644, &noise(i, 1 << 20))).finish());
    let archive = Compression::Gzip.apply(&Image::docker_archive(std::slice::from_ref(&big)));
    let images = |http: &Http| http.get("/images/json?all=1").expect(200).json().as_array().unwrap().len();
    let before = images(&daemon.http());
    daemon.crash();
    let fresh = Footprint::of(&daemon);
    for percent in [10, 50, 90, 100] {
        let mut socket = UnixStream::connect(daemon.socket()).unwrap();
        socket.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(
            socket,
            "POST /images/load?quiet=1 HTTP/1.1\r\nHost: docker\r\nContent-Type: application/x-tar\r\nContent-Length: {}\r\n\r\n",
            archive.len()
        )
        .unwrap();
        socket.write_all(&archive[..archive.len() * percent / 100]).ok();
        if percent == 100 {
            // All was sent: strike while the layers are being unpacked.
            std::thread::sleep(Duration::from_millis(150));
        }
        daemon.crash();
        let http = daemon.http();
        if http.get("/images/big/json").status() == 200 {
            assert_eq!(percent, 100, "an image without all of its bytes");
            http.delete("/images/big?force=1").expect(200);
        }
        assert_eq!(images(&http), before);
        // dockerd keeps half-written layers and never looks again.
        if !daemon.engine.is_dockerd() {
            let left = poll::within(Duration::from_secs(5), || Footprint::of(&daemon).beyond(&fresh).is_empty().then_some(()));
            assert!(left.is_some(), "after {percent} %: {:?}", Footprint::of(&daemon).beyond(&fresh));
        }
    }
    // And the daemon still loads it.
    assert!(daemon.load(&archive).contains("Loaded image: big:latest"));
    assert_eq!(daemon.docker(&["run", "--rm", "big", "sh", "-c", "ls / | grep -c ^f"]).ok(), "24");
}

/// Bytes that do not compress, the same every time.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..size).map(|_| next()).collect()
}

fn import(case: &Case) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("root.tar");
    fs::write(&file, &image::busybox().layers[0]).unwrap();
    let changes = ["-c", r#"CMD ["echo", "imported"]"#, "-c", "ENV A=b", "-c", "WORKDIR /tmp", "-c", "LABEL x=y", "-c", "USER 1000"];
    let id = case.docker(&[&["import", "-m", "made here"][..], &changes, &[file.to_str().unwrap(), "imported:one"]].concat()).ok();
    assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
    assert_eq!(case.run(&["--rm", "--network", "none", "imported:one"]).ok(), "imported");
    assert_eq!(case.run(&["--rm", "--network", "none", "imported:one", "sh", "-c", "echo $A; pwd; id -u"]).ok(), "b\n/tmp\n1000");
    assert_eq!(case.docker(&["inspect", "-f", "{{.Comment}} {{index .Config.Labels \"x\"}}", "imported:one"]).ok(), "made here y");
    // From standard input, compressed, without a name.
    let packed = Compression::Gzip.apply(&image::busybox().layers[0]);
    let id = wharf_tests::run_with_stdin(&mut case.daemon().docker_command(&["import", "-"]), &packed).ok();
    assert_eq!(case.run(&["--rm", "--network", "none", &id, "echo", "nameless"]).ok(), "nameless");
    let bad = case.docker(&["import", "-c", "RUN true", file.to_str().unwrap()]).fails(1).to_lowercase();
    assert!(bad.contains("run is not a valid change command"), "{bad}");
}

fn tag(case: &Case) {
    case.daemon().load(&Image::docker_archive(&[unique("tagged")]));
    for name in ["tag-a:1", "example.org:5000/deep/er/name:v2", "tag-default"] {
        assert_eq!(case.docker(&["tag", "tagged", name]).ok(), "");
    }
    let tags: Value = serde_json::from_str(&case.docker(&["inspect", "-f", "{{json .RepoTags}}", "tagged"]).ok()).unwrap();
    let mut tags: Vec<&str> = tags.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    tags.sort_unstable();
    assert_eq!(tags, ["example.org:5000/deep/er/name:v2", "tag-a:1", "tag-default:latest", "tagged:latest"]);
    assert_eq!(case.run(&["--rm", "--network", "none", "example.org:5000/deep/er/name:v2", "echo", "x"]).ok(), "x");
    let missing = case.docker(&["tag", "no-such-image", "x"]).fails(1);
    assert!(missing.contains("No such image: no-such-image:latest"), "{missing}");
    let http = case.http();
    // 20.10 has no status for a reference that cannot be parsed.
    let malformed = if case.engine().is_dockerd() { 500 } else { 400 };
    http.post("/images/tagged/tag?repo=UPPER&tag=x").expect(malformed);
    http.post("/images/tagged/tag?repo=fine&tag=not%20fine").expect(malformed);
    http.post("/images/tagged/tag?repo=tag-again&tag=2").expect(201);
}

fn remove_by_reference(case: &Case) {
    let image = unique("rm-ref");
    case.daemon().load(&Image::docker_archive(std::slice::from_ref(&image)));
    case.docker(&["tag", "rm-ref", "rm-ref:two"]).ok();
    assert_eq!(case.docker(&["rmi", "rm-ref:two"]).ok(), "Untagged: rm-ref:two");
    let said = case.docker(&["rmi", "rm-ref"]).ok();
    assert!(said.starts_with("Untagged: rm-ref:latest\n") && said.contains(&format!("Deleted: {}", image.id())), "{said}");
    let missing = case.docker(&["rmi", "rm-ref"]).fails(1);
    assert!(missing.contains("No such image: rm-ref:latest"), "{missing}");
}

fn remove_by_id(case: &Case) {
    let image = unique("rm-id");
    case.daemon().load(&Image::docker_archive(std::slice::from_ref(&image)));
    case.docker(&["tag", "rm-id", "rm-id-elsewhere:1"]).ok();
    let (id, hex) = (image.id(), short(&image.id()).to_owned());
    let conflict = case.docker(&["rmi", &id]).fails(1);
    assert!(
        conflict.contains(&format!("conflict: unable to delete {hex} (must be forced) - image is referenced in multiple repositories")),
        "{conflict}"
    );
    let said = case.docker(&["rmi", "-f", &hex]).ok();
    assert!(
        said.contains("Untagged: rm-id:latest") && said.contains("Untagged: rm-id-elsewhere:1") && said.contains(&format!("Deleted: {id}")),
        "{said}"
    );
    case.http().get(&format!("/images/{id}/json")).expect(404);
}

fn remove_in_use(case: &Case) {
    let image = unique("rm-used");
    case.daemon().load(&Image::docker_archive(std::slice::from_ref(&image)));
    let hex = short(&image.id()).to_owned();
    let container = case.run(&["-d", "rm-used", "sleep", "100"]).ok();
    let by_name = case.docker(&["rmi", "rm-used"]).fails(1);
    let text = format!(
        "conflict: unable to remove repository reference \"rm-used\" (must force) - container {} is using its referenced image {hex}",
        &container[..12]
    );
    assert!(by_name.contains(&text), "{by_name}");
    let running = case.docker(&["rmi", "-f", &image.id()]).fails(1);
    let text =
        format!("conflict: unable to delete {hex} (cannot be forced) - image is being used by running container {}", &container[..12]);
    assert!(running.contains(&text), "{running}");
    case.docker(&["stop", "-t", "0", &container]).ok();
    let stopped = case.docker(&["rmi", &image.id()]).fails(1);
    let text = format!("conflict: unable to delete {hex} (must be forced) - image is being used by stopped container {}", &container[..12]);
    assert!(stopped.contains(&text), "{stopped}");
    // By force the name goes, and the container still starts.
    case.docker(&["rmi", "-f", "rm-used"]).ok();
    case.docker(&["start", &container]).ok();
    assert_eq!(case.inspect(&container, "{{.State.Running}}"), "true");
}

fn prune_dangling(case: &Case) {
    let daemon = case.own_daemon(None);
    let (kept, loose) = (unique("kept"), Image { tags: vec![], ..unique("loose") });
    daemon.load(&Image::docker_archive(&[kept.clone(), loose.clone()]));
    let said = daemon.docker(&["image", "prune", "-f"]).ok();
    assert!(said.contains(&format!("deleted: {}", loose.id())) && said.contains("Total reclaimed space:"), "{said}");
    daemon.http().get(&format!("/images/{}/json", kept.id())).expect(200);
    daemon.docker(&["create", "kept"]).ok();
    let said = daemon.docker(&["image", "prune", "-a", "-f"]).ok();
    assert!(said.contains("untagged: hello:latest") && !said.contains("kept"), "{said}");
    daemon.docker(&["image", "inspect", "kept"]).ok();
}

fn list_filters(case: &Case) {
    let mut image = unique("listed");
    image.tags.push("listed:other".into());
    case.daemon().load(&Image::docker_archive(std::slice::from_ref(&image)));
    let list = |args: &[&str]| case.docker(&[&["images", "--format", "{{.Repository}}:{{.Tag}}"], args].concat()).ok();
    let both = "listed:latest\nlisted:other";
    let sorted = |text: String| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    assert_eq!(sorted(list(&["listed"])), both);
    assert_eq!(list(&["listed:other"]), "listed:other");
    assert_eq!(sorted(list(&["--filter", "reference=list*"])), both);
    assert_eq!(sorted(list(&["--filter", "label=com.example.test=listed"])), both);
    assert_eq!(list(&["--filter", "label=com.example.test=nothing"]), "");
    assert_eq!(list(&["--filter", "dangling=true", "listed"]), "");
    let bad = case.docker(&["images", "--filter", "no-such=1"]).fails(1).to_lowercase();
    assert!(bad.contains("invalid filter 'no-such'"), "{bad}");
    assert_eq!(case.docker(&["images", "-q", "listed:other"]).ok(), short(&image.id()));
    let row = case.http().get("/images/json").json();
    let row = row.as_array().unwrap().iter().find(|i| i["Id"] == image.id().as_str()).unwrap().clone();
    assert!(row["Size"].as_u64().unwrap() > 1_000_000 && row["Created"].is_i64() && row["SharedSize"] == -1, "{row}");
    assert_eq!(row["Labels"], json!({"com.example.test": "listed"}));
}

fn inspect(case: &Case) {
    let inspect = case.http().get("/images/defaults/json").expect(200).json();
    assert_eq!(inspect["Config"]["User"], "user");
    assert_eq!(inspect["Config"]["WorkingDir"], "/srv/made");
    assert_eq!(inspect["Config"]["StopSignal"], "SIGUSR1");
    assert_eq!(inspect["Config"]["Labels"]["com.example.kind"], "defaults");
    assert_eq!((inspect["Os"].as_str(), inspect["RootFS"]["Type"].as_str()), (Some("linux"), Some("layers")));
    assert_eq!(inspect["RootFS"]["Layers"].as_array().unwrap().len(), 1);
    assert_eq!(inspect["Created"], "2026-01-01T00:00:00Z");
    let missing = case.docker(&["image", "inspect", "no-such-image"]).fails(1);
    assert!(missing.contains("No such image: no-such-image"), "{missing}");
}

fn history(case: &Case) {
    let history = case.docker(&["history", "--no-trunc", "--format", "{{.CreatedBy}} {{.ID}}", "hello"]).ok();
    assert!(history.starts_with("test image sha256:"), "{history}");
}

fn layers_and_special_files(case: &Case) {
    case.daemon().load(&Image::docker_archive(&[image::special_files()]));
    let name = case.name("s");
    case.run(&["-d", "--name", &name, "special", "sleep", "100"]).ok();
    let inside = |script: &str| case.docker(&["exec", &name, "sh", "-c", script]).ok();
    assert_eq!(
        inside("cd /s; stat -c '%n %f %u:%g %h' one two null pipe theirs setuid sticky replaced | sort"),
        [
            "null 21b6 0:0 1",
            "one 81a4 0:0 2",
            "pipe 1180 0:0 1",
            "replaced 81a4 0:0 1",
            "setuid 89ed 0:0 1",
            "sticky 43ff 0:0 2",
            "theirs 81a0 1000:2000 1",
            "two 81a4 0:0 2",
        ]
        .join("\n")
    );
    assert_eq!(
        inside("stat -c %t:%T /s/null; readlink /s/link; readlink /s/dangling; cat /s/link; stat -c %Y /s/one"),
        "1:3\none\n/nowhere\ncontent1700000000"
    );
    assert_eq!(inside("cd /s; ls opaque; cat replaced; ls deleted gone 2>&1 | grep -c 'No such file'"), "above\nnow a file2");
    assert_eq!(inside("cat /s/a*/b*/deep"), "deep");
    assert_eq!(inside("ls -a / /s /s/opaque | grep -c '\\.wh\\.' || true"), "0");
    // The capability works: a user without any gets it from the file.
    let effective = case.docker(&["exec", "-u", "nobody", &name, "/s/cap/busybox", "grep", "CapEff", "/proc/self/status"]).ok();
    assert_eq!(effective, "CapEff:\t0000000000002000");
    let pid = case.inspect(&name, "{{.State.Pid}}");
    let mut value = [0; 16];
    let size = rustix::fs::getxattr(format!("/proc/{pid}/root/s/attr"), "user.color", &mut value[..]).unwrap_or_default();
    // dockerd applies attributes of the security namespace only.
    if !case.engine().is_dockerd() {
        assert_eq!(&value[..size], b"blue");
    }
    // Writing to a lower file copies it; the image stays as it was.
    assert_eq!(inside("echo more >> /s/one; cat /s/one"), "contentmore");
    assert_eq!(case.run(&["--rm", "special", "cat", "/s/one"]).ok(), "content");
}

/// Docker refuses one of the two ways to store holes. Refusing is fine; a file with wrong bytes is not.
fn sparse_members(case: &Case) {
    let (size, offset, data) = (1 << 20, 512 * 1024, b"middle of nothing");
    let layers = [Layer::new().sparse("holes", size, offset, data), Layer::new().sparse_posix("holes", size, offset, data)];
    for (name, layer) in ["sparse-gnu", "sparse-posix"].iter().zip(layers) {
        let mut image = unique(name);
        image.layers.push(layer.finish());
        let archive = Image::docker_archive(&[image]);
        let said = case.http().request("POST", "/images/load?quiet=1", &[("Content-Type", "application/x-tar")], &archive).text();
        if said.contains("Loaded image") {
            let script = "stat -c %s /holes; tr -d '\\0' < /holes; head -c 524288 /holes | tr -d '\\0' | wc -c";
            assert_eq!(case.run(&["--rm", "--network", "none", name, "sh", "-c", script]).ok(), "1048576\nmiddle of nothing0", "{name}");
        } else {
            assert!(said.contains("errorDetail") || said.contains("message"), "{name}: {said}");
        }
    }
}

fn shared_layers_stay(case: &Case) {
    // Two images on one layer: removing one leaves the other whole.
    let mut second = unique("shared-b");
    second.layers.push(Layer::new().file("own", 0o644, b"b").finish());
    case.daemon().load(&Image::docker_archive(&[unique("shared-a"), second]));
    let said = case.docker(&["rmi", "shared-b"]).ok();
    assert_eq!(said.matches("Deleted: ").count(), 2, "the image and its own layer: {said}");
    assert_eq!(case.run(&["--rm", "--network", "none", "shared-a", "echo", "whole"]).ok(), "whole");
}
