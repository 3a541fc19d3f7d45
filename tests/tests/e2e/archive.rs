//! Files of containers: `docker cp` both ways, `diff`, `export` and `commit`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use wharf_tests::http::Reply;
use wharf_tests::image::Layer;
use wharf_tests::{Case, poll, suite};

suite![
    path_stat,
    path_errors,
    copy_out_of_running_and_stopped,
    copy_in,
    copy_through_mounts,
    copy_to_what_is_read_only,
    copy_keeps_kinds_and_owners,
    copy_links_stay_inside,
    copy_of_old,
    copy_large,
    diff,
    export,
    commit,
    commit_overrides,
    commit_errors,
    commit_killed,
];

const TAR: &[(&str, &str)] = &[("Content-Type", "application/x-tar")];

/// A percent-encoded path.
fn at(path: &str) -> String {
    path.bytes().map(|b| format!("%{b:02X}")).collect()
}

fn get(case: &Case, name: &str, path: &str) -> Reply {
    case.http().get(&format!("/containers/{name}/archive?path={}", at(path)))
}

fn put(case: &Case, name: &str, query: &str, tar: &[u8]) -> Reply {
    case.http().request("PUT", &format!("/containers/{name}/archive?{query}"), TAR, tar)
}

fn names(tar: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(|e| String::from_utf8(e.unwrap().path_bytes().into_owned()).unwrap());
    entries.collect()
}

fn content(tar: &[u8], path: &str) -> Vec<u8> {
    let mut archive = tar::Archive::new(tar);
    let mut entry = archive.entries().unwrap().map(Result::unwrap).find(|e| &*e.path_bytes() == path.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).unwrap();
    bytes
}

/// The decoded header.
fn stat(reply: &Reply) -> Value {
    let text = reply.header("X-Docker-Container-Path-Stat").unwrap_or_else(|| panic!("no header: {}", reply.head.raw));
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = text.bytes().filter(|b| *b != b'=').map(|b| alphabet.iter().position(|a| *a == b).unwrap());
    let mut bytes = Vec::new();
    let (mut sum, mut have) = (0u32, 0);
    for six in bits {
        (sum, have) = (sum << 6 | six as u32, have + 6);
        if have >= 8 {
            have -= 8;
            bytes.push((sum >> have) as u8);
        }
    }
    serde_json::from_slice(&bytes).unwrap()
}

/// What happened to a container.
fn events(case: &Case, name: &str) -> String {
    let filters = at(&json!({ "container": [name] }).to_string());
    case.http().get(&format!("/events?{}&filters={filters}", poll::until_now())).expect(200).text()
}

/// A container with some files: `/d/{e/,f,g = f,l -> f}`, `/ld -> /d`, `/dead -> /nope/x`.
fn files(case: &Case, options: &[&str]) -> String {
    let script = "mkdir -p /d/e; echo data > /d/f; ln /d/f /d/g; ln -s f /d/l; ln -s /d /ld; ln -s /nope/x /dead; touch /ready; sleep 1000";
    let name = case.spawn("files", &[&["--network", "none"], options].concat(), script);
    poll::until("the files", || (case.http().get(&format!("/containers/{name}/archive?path=/ready")).status() == 200).then_some(()));
    name
}

fn path_stat(case: &Case) {
    let name = files(case, &[]);
    for (path, shown, mode, target) in [
        ("/", "/", 1u32 << 31 | 0o755, ""),
        ("/d", "d", 1 << 31 | 0o755, ""),
        ("d/", "d", 1 << 31 | 0o755, ""),
        ("/d/.", ".", 1 << 31 | 0o755, ""),
        ("/d/../d/f", "f", 0o644, ""),
        ("/d/l", "l", 1 << 27 | 0o777, "/d/f"),
        ("/ld", "ld", 1 << 27 | 0o777, "/d"),
        ("/ld/", "ld", 1 << 31 | 0o755, ""),
        ("/dead", "dead", 1 << 27 | 0o777, "/nope/x"),
        ("/tmp", "tmp", 1 << 31 | 1 << 20 | 0o777, ""),
    ] {
        let reply = case.http().request("HEAD", &format!("/containers/{name}/archive?path={}", at(path)), &[], b"").expect(200);
        let told = stat(&reply);
        assert_eq!((told["name"].as_str(), told["linkTarget"].as_str()), (Some(shown), Some(target)), "{path}: {told}");
        assert_eq!(told["mode"], mode, "{path}: {told}");
        assert!(told["mtime"].as_str().is_some_and(|t| t.starts_with("20")) && told["size"].is_u64(), "{told}");
        assert_eq!(stat(&get(case, &name, path).expect(200)), told);
    }
}

fn path_errors(case: &Case) {
    let name = files(case, &[]);
    let reply = get(case, &name, "/nope").expect(404);
    assert_eq!(reply.message(), format!("Could not find the file /nope in container {name}"));
    let reply = get(case, &name, "").expect(400);
    assert!(reply.message().starts_with("bad parameter: path") && reply.message().ends_with("cannot be empty"), "{}", reply.message());
    assert_eq!(get(case, "no-such-container", "/").expect(404).message(), "No such container: no-such-container");
    let tar = Layer::new().file("x", 0o644, b"").finish();
    let reply = put(case, &name, "path=/nope", &tar).expect(404);
    assert_eq!(reply.message(), format!("Could not find the file /nope in container {name}"));
    let reply = put(case, &name, "path=/d/f", &tar);
    assert_eq!((reply.status() >= 400, reply.message().as_str()), (true, "extraction point is not a directory"));
    let reply = put(case, &name, "path=/d", b"this is no archive");
    assert!(reply.status() >= 400, "{}", reply.text());
    put(case, &name, "path=/d", b"").expect(200);
}

fn copy_out_of_running_and_stopped(case: &Case) {
    let name = files(case, &[]);
    for running in [true, false] {
        if !running {
            case.docker(&["kill", &name]).ok();
        }
        for (path, expected) in [
            ("/d", vec!["d/", "d/e/", "d/f", "d/g", "d/l"]),
            ("/ld/", vec!["ld/", "ld/e/", "ld/f", "ld/g", "ld/l"]),
            ("/d/.", vec!["./", "./e/", "./f", "./g", "./l"]),
            ("/ld", vec!["ld"]),
            ("/d/f", vec!["f"]),
        ] {
            let reply = get(case, &name, path).expect(200);
            assert_eq!(reply.header("content-type"), Some("application/x-tar"));
            assert_eq!(names(&reply.body), expected, "{path}");
        }
        assert_eq!(content(&get(case, &name, "/d").body, "d/f"), b"data\n");
        let dir = tempfile::tempdir().unwrap();
        let to = |file: &str| dir.path().join(file).to_str().unwrap().to_owned();
        case.docker(&["cp", &format!("{name}:/d"), &to("copy")]).ok();
        assert_eq!(fs::read_to_string(to("copy/l")).unwrap(), "data\n");
        case.docker(&["cp", "-L", &format!("{name}:/d/l"), &to("followed")]).ok();
        assert_eq!(fs::read_to_string(to("followed")).unwrap(), "data\n");
    }
    let events = events(case, &name);
    assert!(events.contains("archive-path"), "{events}");
}

fn copy_in(case: &Case) {
    let running = files(case, &[]);
    let created = case.name("created");
    case.docker(&["create", "--label", &case.label(), "--name", &created, "--network", "none", "busybox", "cat", "/new/sub/file"]).ok();
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("new/sub")).unwrap();
    fs::write(dir.path().join("new/sub/file"), "from outside").unwrap();
    symlink("file", dir.path().join("new/sub/link")).unwrap();
    for name in [&running, &created] {
        case.docker(&["cp", dir.path().join("new").to_str().unwrap(), &format!("{name}:/")]).ok();
    }
    assert_eq!(case.docker(&["exec", &running, "cat", "/new/sub/link"]).ok(), "from outside");
    assert_eq!(case.docker(&["start", "-a", &created]).ok(), "from outside");
    // An archive on standard input, packed; ownership and modes come from it.
    let tar = Layer::new().owned("theirs", 0o4750, (1234, 4321), b"x").file("one", 0o644, b"").hardlink("two", "one").finish();
    let packed = wharf_tests::image::Compression::Gzip.apply(&tar);
    put(case, &running, "path=/ld", &packed).expect(200);
    assert_eq!(case.docker(&["exec", &running, "stat", "-c", "%a %u %g %h", "/d/theirs", "/d/two"]).ok(), "4750 1234 4321 1\n644 0 0 2");
    let events = events(case, &running);
    assert!(events.contains("extract-to-dir"), "{events}");
}

fn copy_through_mounts(case: &Case) {
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("f"), "of the host").unwrap();
    let name = files(case, &["-v", &format!("{}:/mnt/data", host.path().display())]);
    for running in [true, false] {
        if !running {
            case.docker(&["kill", &name]).ok();
        }
        assert_eq!(content(&get(case, &name, "/mnt/data").expect(200).body, "data/f"), b"of the host");
        let file = Layer::new().file("new", 0o644, b"written").finish();
        put(case, &name, "path=/mnt/data", &file).expect(200);
        assert_eq!(fs::read_to_string(host.path().join("new")).unwrap(), "written");
        fs::remove_file(host.path().join("new")).unwrap();
        let hostname = content(&get(case, &name, "/etc/hostname").expect(200).body, "hostname");
        assert_eq!(hostname.trim_ascii().len(), 12, "the managed file, not the image's: {hostname:?}");
    }
}

fn copy_to_what_is_read_only(case: &Case) {
    let host = tempfile::tempdir().unwrap();
    let dir = host.path().display();
    let name =
        case.spawn("ro", &["--network", "none", "--read-only", "-v", &format!("{dir}:/ro:ro"), "-v", &format!("{dir}:/rw")], "sleep 1000");
    let tar = Layer::new().file("x", 0o644, b"x").finish();
    for running in [true, false] {
        if !running {
            case.docker(&["kill", &name]).ok();
        }
        let reply = put(case, &name, "path=/tmp", &tar);
        assert!(reply.status() >= 400 && reply.message() == "container rootfs is marked read-only", "{}", reply.text());
        let reply = put(case, &name, "path=/ro", &tar);
        assert!(reply.status() >= 400 && reply.message() == "mounted volume is marked read-only", "{}", reply.text());
        put(case, &name, "path=/rw", &tar).expect(200);
        assert_eq!(fs::read(host.path().join("x")).unwrap(), b"x");
        get(case, &name, "/ro").expect(200);
    }
}

fn copy_keeps_kinds_and_owners(case: &Case) {
    let name = files(case, &["-u", "root"]);
    let strict = "path=/d&noOverwriteDirNonDir=1";
    let reply = put(case, &name, strict, &Layer::new().dir("f", 0o755).finish());
    assert!(reply.status() >= 400 && reply.message().contains("cannot overwrite non-directory"), "{}", reply.text());
    let reply = put(case, &name, strict, &Layer::new().file("e", 0o644, b"").finish());
    assert!(reply.status() >= 400 && reply.message().contains("cannot overwrite directory"), "{}", reply.text());
    put(case, &name, "path=/d&copyUIDGID=1", &Layer::new().owned("owned", 0o644, (7, 8), b"").finish()).expect(200);
    assert_eq!(case.docker(&["exec", &name, "stat", "-c", "%u:%g", "/d/owned"]).ok(), "0:0");
    put(case, &name, "path=/d", &Layer::new().file("e", 0o644, b"").finish()).expect(200);
    assert_eq!(case.docker(&["exec", &name, "stat", "-c", "%F", "/d/e"]).ok(), "regular empty file");
}

fn copy_links_stay_inside(case: &Case) {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "of the host").unwrap();
    let name = files(case, &[]);
    case.docker(&["exec", &name, "sh", "-c", &format!("ln -s {} /out; ln -s ../../../..{0} /up", outside.path().display())]).ok();
    let tar = Layer::new().file("planted", 0o644, b"x").finish();
    for link in ["/out", "/up"] {
        get(case, &name, &format!("{link}/secret")).expect(404);
        get(case, &name, &format!("{link}/")).expect(404);
        put(case, &name, &format!("path={link}"), &tar).expect(404);
    }
    case.docker(&["exec", &name, "mkdir", "-p", outside.path().to_str().unwrap()]).ok();
    put(case, &name, "path=/out", &tar).expect(200);
    assert!(!outside.path().join("planted").exists());
    assert_eq!(case.docker(&["exec", &name, "cat", "/out/planted"]).ok(), "x");
}

/// `POST /copy`, until 1.23.
fn copy_of_old(case: &Case) {
    let name = files(case, &[]);
    let copy = |version: &str, resource: &str| {
        case.http().post_json(&format!("/{version}/containers/{name}/copy"), &json!({ "Resource": resource }))
    };
    for (resource, expected) in [("/d", vec!["e/", "f", "g", "l"]), ("/ld", vec!["e/", "f", "g", "l"]), ("/d/l", vec!["f"])] {
        let reply = copy("v1.23", resource).expect(200);
        assert_eq!(reply.header("content-type"), Some("application/x-tar"));
        assert_eq!(names(&reply.body), expected, "{resource}");
    }
    assert_eq!(copy("v1.23", "").expect(400).text().trim(), "Path cannot be empty");
    assert_eq!(copy("v1.23", "/nope").expect(404).text().trim(), format!("Could not find the file /nope in container {name}"));
    copy("v1.24", "/d").expect(404);
}

fn copy_large(case: &Case) {
    let name = case.spawn("large", &["--network", "none"], "dd if=/dev/urandom of=/big bs=1M count=64; sha256sum /big; sleep 1000");
    let sum = poll::until("the file", || Some(case.docker(&["logs", &name]).stdout).filter(|l| l.contains("/big")));
    let tar = get(case, &name, "/big").expect(200).body;
    put(case, &name, "path=/tmp", &tar).expect(200);
    let again = case.docker(&["exec", &name, "sha256sum", "/tmp/big"]).ok();
    assert_eq!(again.split(' ').next(), sum.lines().last().and_then(|l| l.split(' ').next()));
}

const CHANGES: &str = "mkdir -p /deep/er; echo x > /deep/er/file; ln /deep/er/file /deep/hard; echo more >> /etc/passwd; \
                       rm /etc/group; chmod 700 /home; rm -rf /var; mkdir /var; echo v > /var/own; touch /done";

fn diff(case: &Case) {
    let quiet = case.spawn("quiet", &["--network", "none"], "sleep 1000");
    assert_eq!(case.http().get(&format!("/containers/{quiet}/changes")).expect(200).text().trim(), "null");
    let name = case.spawn("busy", &["--network", "none"], &format!("mkdir -p /home /var/x; {CHANGES}; sleep 1000"));
    poll::until("the changes", || (get(case, &name, "/done").status() == 200).then_some(()));
    let told = case.http().get(&format!("/containers/{name}/changes")).expect(200).json();
    let told: BTreeMap<String, u64> =
        told.as_array().unwrap().iter().map(|c| (c["Path"].as_str().unwrap().to_owned(), c["Kind"].as_u64().unwrap())).collect();
    for (path, kind) in
        [("/deep", 1), ("/deep/er", 1), ("/deep/er/file", 1), ("/deep/hard", 1), ("/etc", 0), ("/etc/passwd", 0), ("/etc/group", 2)]
    {
        assert_eq!(told.get(path), Some(&kind), "{path}: {told:?}");
    }
    for path in ["/", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev", "/dev/console", "/proc", "/sys", "/.dockerenv"] {
        assert_eq!(told.get(path), None, "{path}: {told:?}");
    }
    assert!(case.docker(&["diff", &name]).ok().lines().any(|l| l == "D /etc/group"));
}

fn export(case: &Case) {
    let name = files(case, &[]);
    let reply = case.http().get(&format!("/containers/{name}/export")).expect(200);
    let all = names(&reply.body);
    for path in ["d/", "d/f", "d/g", "d/l", "ld", "bin/busybox"] {
        assert!(all.iter().any(|n| n == path), "{path} is not in {all:?}");
    }
    assert!(all.iter().all(|n| !n.starts_with('/')), "{all:?}");
    let tag = case.name("flat");
    let query = format!("/images/create?fromSrc=-&repo={tag}&changes={}", at("CMD [\"cat\",\"/d/g\"]"));
    case.http().request("POST", &query, TAR, &reply.body).expect(200);
    assert_eq!(case.run(&["--rm", "--network", "none", &tag]).ok(), "data");
    case.docker(&["kill", &name]).ok();
    let stopped = case.http().get(&format!("/containers/{name}/export")).expect(200);
    assert!(names(&stopped.body).iter().any(|n| n == "d/f"));
    case.docker(&["rmi", &tag]).ok();
}

fn commit(case: &Case) {
    let name = case.spawn("c", &["--network", "none", "-e", "A=1"], &format!("{CHANGES}; sleep 1000"));
    poll::until("the changes", || (get(case, &name, "/done").status() == 200).then_some(()));
    let tag = case.name("made");
    let id = case.docker(&["commit", "-m", "why", "-a", "me", "-c", "CMD [\"cat\",\"/deep/hard\"]", &name, &tag]).ok();
    let image = case.http().get(&format!("/images/{tag}/json")).expect(200).json();
    assert_eq!((image["Id"].as_str(), image["Comment"].as_str(), image["Author"].as_str()), (Some(&*id), Some("why"), Some("me")));
    assert!(image["Config"]["Env"].as_array().unwrap().contains(&json!("A=1")));
    let base = case.http().get("/images/busybox/json").json();
    assert_eq!(image["Parent"], base["Id"]);
    assert_eq!(image["RootFS"]["Layers"].as_array().unwrap().len(), base["RootFS"]["Layers"].as_array().unwrap().len() + 1);
    assert_eq!(case.run(&["--rm", "--network", "none", &tag]).ok(), "x");
    let look = "cat /var/own; ls /etc/group 2>&1 | grep -c 'No such'; stat -c '%a %h' /home /deep/hard; tail -n 1 /etc/passwd";
    assert_eq!(case.run(&["--rm", "--network", "none", &tag, "sh", "-c", look]).ok().lines().last(), Some("more"));
    let history = case.docker(&["history", "--no-trunc", "--format", "{{.ID}}|{{.Comment}}|{{.CreatedBy}}", &tag]).ok();
    assert!(history.starts_with(&format!("{id}|why|sh -c ")), "{history}");
    assert_eq!(history.lines().nth(1).and_then(|l| l.split('|').next()), base["Id"].as_str());
    assert_eq!(case.inspect(&name, "{{.State.Status}}"), "running");
    let events = events(case, &name);
    for word in ["\"pause\"", "\"unpause\"", "\"commit\"", &format!("\"imageID\":\"{id}\""), &format!("\"imageRef\":\"{tag}:latest\"")] {
        assert!(events.contains(word), "{word}: {events}");
    }
    case.docker(&["rmi", &tag]).ok();
}

fn commit_overrides(case: &Case) {
    let name = case.spawn("c", &["--network", "none", "--entrypoint", "sh"], "sleep 1000");
    let body = json!({"Labels": {"l": "1"}, "WorkingDir": "/tmp", "Cmd": ["-c", "pwd"]});
    let query = format!("/commit?container={name}&repo={}&tag=x&pause=0&changes={}", case.name("made"), at("ENV B=2"));
    let reply = case.http().post_json(&query, &body).expect(201).json();
    let config = case.http().get(&format!("/images/{}/json", reply["Id"].as_str().unwrap())).json()["Config"].clone();
    assert_eq!((&config["Labels"]["l"], &config["WorkingDir"], &config["Entrypoint"]), (&json!("1"), &json!("/tmp"), &json!(["sh"])));
    assert!(config["Env"].as_array().unwrap().contains(&json!("B=2")), "{config}");
    let tag = format!("{}:x", case.name("made"));
    assert_eq!(case.run(&["--rm", "--network", "none", &tag]).ok(), "/tmp");
    // Nothing changed, no name, no body.
    let reply = case.http().post(&format!("/commit?container={name}")).expect(201).json();
    case.http().delete(&format!("/images/{}", reply["Id"].as_str().unwrap())).expect(200);
    case.docker(&["rmi", &tag]).ok();
}

fn commit_errors(case: &Case) {
    let name = case.spawn("c", &["--network", "none"], "sleep 1000");
    assert_eq!(case.http().post("/commit?container=no-such-container").expect(404).message(), "No such container: no-such-container");
    assert!(case.http().post(&format!("/commit?container={name}&repo=BAD")).status() >= 400);
    let reply = case.http().post(&format!("/commit?container={name}&changes={}", at("RUN x"))).expect(400);
    assert!(reply.message().ends_with("is not a valid change command"), "{}", reply.message());
    case.http().post("/commit").expect(400);
    assert_eq!(case.inspect(&name, "{{.State.Status}}"), "running");
}

/// The daemon dies while a container is frozen for a commit.
fn commit_killed(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("dockerd leaves the container paused");
    }
    let daemon = case.own_daemon(None);
    let script = "dd if=/dev/urandom of=/big bs=1M count=256 2>/dev/null; touch /ready; sleep 1000";
    daemon.docker(&["run", "-d", "--name", "big", "--network", "none", "busybox", "sh", "-c", script]).ok();
    poll::until("the file", || (daemon.http().get("/containers/big/archive?path=/ready").status() == 200).then_some(()));
    let mut child = daemon.docker_command(&["commit", "big", "made"]).spawn().unwrap();
    let paused = || daemon.docker(&["inspect", "-f", "{{.State.Paused}}", "big"]).ok();
    poll::until("the pause", || (paused() == "true").then_some(()));
    daemon.kill9();
    child.wait().unwrap();
    daemon.boot();
    poll::until("the end of the pause", || (paused() == "false").then_some(()));
    daemon.http().get("/images/made/json").expect(404);
    daemon.docker(&["commit", "big", "made"]).ok();
    assert_eq!(daemon.docker(&["run", "--rm", "--network", "none", "made", "stat", "-c", "%s", "/big"]).ok(), (256 << 20).to_string());
    let blobs = fs::read_dir(daemon.dir().join("data/images/blobs/tmp")).map(Iterator::count).unwrap_or(0);
    assert_eq!(blobs, 0, "half a layer is left");
}
