//! What hostile containers, images and archives try: to read or write outside of their root, to replace the engine's own binaries,
//! to use what it left open, and to make it stumble. Hostile layers in `docker load` are in the suite `images`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags, RenameFlags, mkdirat, openat, renameat_with, symlinkat};
use serde_json::json;
use tar::{EntryType, Header};
use wharf_tests::http::Reply;
use wharf_tests::image::{self, Compression, Image, Layer};
use wharf_tests::{Case, Daemon, Footprint, poll, suite};

suite![
    copy_races_with_links,
    overwriting_the_runtime,
    script_for_the_runtime,
    working_directory_in_open_files,
    no_files_are_left_open,
    archives_that_leave,
    archives_that_lie,
    archives_that_nest,
    listings_that_explode,
    deep_trees,
    mounts_through_links,
    mounts_on_proc,
    proc_is_a_link,
    managed_files_are_links,
    users_behind_links,
];

const TAR: &[(&str, &str)] = &[("Content-Type", "application/x-tar")];
const SECRET: &str = "of the host and nobody else's";

/// A directory of the host with a file in it, both of which no container may see.
struct Canary(tempfile::TempDir);

impl Canary {
    fn new() -> Canary {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        fs::write(dir.path().join("secret"), SECRET).unwrap();
        Canary(dir)
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    /// The way up to it from anywhere.
    fn up(&self) -> String {
        format!("{}{}", "../".repeat(16), self.path().trim_start_matches('/'))
    }

    #[track_caller]
    fn check(&self, after: &str) {
        let names: Vec<_> = fs::read_dir(self.0.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["secret"], "{after}");
        let file = self.0.path().join("secret");
        assert_eq!((fs::read_to_string(&file).unwrap().as_str(), fs::metadata(&file).unwrap().nlink()), (SECRET, 1), "{after}");
    }
}

#[track_caller]
fn says_nothing(text: &str) {
    assert!(!text.contains(SECRET), "{text}");
}

fn put(http: &wharf_tests::http::Http, name: &str, path: &str, tar: &[u8]) -> Reply {
    http.request("PUT", &format!("/containers/{name}/archive?path={path}"), TAR, tar)
}

/// Directory and link change places all the time, as a process of the container could do it, while files are copied both ways.
fn copy_races_with_links(case: &Case) {
    let canary = Canary::new();
    let name = case.spawn("racer", &[], "mkdir /d && echo inside > /d/secret; exec sleep 1000");
    poll::until("the directory", || (case.docker(&["exec", &name, "cat", "/d/secret"]).stdout == "inside\n").then_some(()));
    // In the container's own mount namespace: a fork for each step would be too slow to hit anything.
    let root = fs::File::open(format!("/proc/{}/root", case.inspect(&name, "{{.State.Pid}}"))).unwrap();
    symlinkat(canary.path(), &root, "absolute").unwrap();
    symlinkat(canary.up().as_str(), &root, "upwards").unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let swapping = scope.spawn(|| {
            let mut swaps = 0u64;
            while !over.load(Ordering::Relaxed) {
                for link in ["absolute", "upwards"] {
                    for _ in 0..2 {
                        renameat_with(&root, "d", &root, link, RenameFlags::EXCHANGE).unwrap();
                        swaps += 1;
                    }
                }
            }
            swaps
        });
        let http = case.http();
        let (through, inside) = (Layer::new().file("d/planted", 0o644, b"x").finish(), Layer::new().file("planted", 0o644, b"x").finish());
        let mut seen = 0;
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..60 {
                for path in ["/d", "/d/", "/d/.", "/d/secret"] {
                    let mut stream = http.open("GET", &format!("/containers/{name}/archive?path={path}"), &[], b"").unwrap();
                    // The directory may vanish in the middle of a copy, which then breaks off.
                    let mut body = Vec::new();
                    std::io::Read::read_to_end(&mut stream, &mut body).ok();
                    let text = String::from_utf8_lossy(&body);
                    says_nothing(&text);
                    seen += u32::from(text.contains("inside\n"));
                }
                for (path, tar) in [("/", &through), ("/d", &inside), ("/d/", &inside)] {
                    put(&http, &name, path, tar);
                }
                canary.check(&format!("round {round}"));
            }
        }));
        over.store(true, Ordering::Relaxed);
        assert!(swapping.join().unwrap() > 1000);
        outcome.unwrap_or_else(|e| std::panic::resume_unwind(e));
        assert!(seen > 0, "the directory itself was never seen: nothing was tried");
    });
    canary.check("the race");
    assert_eq!(case.docker(&["exec", &name, "echo", "lives"]).ok(), "lives");
}

/// The engine's own programs, by what is in them.
fn programs(case: &Case) -> BTreeMap<PathBuf, String> {
    let mut paths: Vec<PathBuf> = ["WHARFD", "WHARF_SHIM"].iter().filter_map(std::env::var_os).map(PathBuf::from).collect();
    // What the daemon and the monitors of its containers run.
    let marker = case.daemon().dir().to_string_lossy().into_owned();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let of_daemon = fs::read(entry.path().join("cmdline")).is_ok_and(|l| String::from_utf8_lossy(&l).contains(&marker));
        paths.extend(fs::read_link(entry.path().join("exe")).ok().filter(|p| of_daemon && p.exists()));
    }
    paths.extend(["runc", "dockerd", "docker"].iter().flat_map(|p| [format!("/usr/bin/{p}"), format!("/usr/sbin/{p}")]).map(PathBuf::from));
    paths.retain(|p| p.exists());
    let digest = |path: &Path| wharf_tests::run(Command::new("sha256sum").arg("-b").arg(path)).ok();
    paths.into_iter().map(|p| (p.clone(), format!("{} {:?}", digest(&p), fs::metadata(&p).unwrap().modified().unwrap()))).collect()
}

/// A container writes to the programs of all its processes while the engine starts new ones in it (CVE-2019-5736): the byte that is
/// there already, which does no harm but changes the file's time.
fn overwriting_the_runtime(case: &Case) {
    let script = r#"
        while [ ! -e /stop ]; do
            for exe in /proc/self/exe /proc/[0-9]*/exe; do
                [ "$exe" -ef /bin/busybox ] && continue
                # What is held open for reading may be opened for writing once nobody runs it any more. In a shell of its own, which
                # ends when the process has gone.
                (
                    exec 9<"$exe"
                    echo tried
                    for path in "$exe" /proc/self/fd/9; do
                        [ "$path" -ef /bin/busybox ] && exit
                        dd if=/proc/self/fd/9 of="$path" bs=1 count=1 conv=notrunc && echo "WRITTEN $(readlink "$path")"
                    done
                ) 2>/dev/null
            done
            usleep 500
        done
        echo over
    "#;
    let name = case.name("attacker");
    case.run(&["-d", "--name", &name, "busybox", "sh", "-c", script]).ok();
    let before = programs(case);
    assert!(before.len() >= 2, "{before:?}");
    // A program that somebody holds open for writing does not start: then the container has only harmed itself.
    let through = (0..25).filter(|_| case.docker(&["exec", &name, "echo", "through"]).stdout == "through\n").count();
    assert!(through > 0, "nothing was ever started");
    // The container's end may overtake that of the process that brings it about.
    let running = || case.http().get(&format!("/containers/{name}/json")).expect(200).json()["State"]["Running"] == true;
    let stopped = || (case.docker(&["exec", &name, "touch", "/stop"]).code == 0 || !running()).then_some(());
    assert!(poll::within(poll::PATIENCE, stopped).is_some(), "{:?}", case.docker(&["exec", &name, "touch", "/stop"]));
    case.docker(&["wait", &name]).ok();
    let said = case.docker(&["logs", &name]).ok();
    println!("overwriting_the_runtime: {} times", said.matches("tried").count());
    assert!(said.ends_with("over") && !said.contains("WRITTEN"), "{said}");
    let after = programs(case);
    assert!(before.iter().all(|(path, digest)| after.get(path).is_none_or(|now| now == digest)), "{before:?}\n{after:?}");
}

/// `#!/proc/self/exe` makes whoever starts the script run itself again, inside of the container.
fn script_for_the_runtime(case: &Case) {
    let image = Image {
        tags: vec!["self-exe:latest".into()],
        layers: vec![
            image::busybox().layers[0].clone(),
            Layer::new().file("evil", 0o755, b"#!/proc/self/exe\n").symlink("itself", "/proc/self/exe").finish(),
        ],
        config: json!({"Cmd": ["/evil"], "Env": ["PATH=/bin"]}),
    };
    case.daemon().load(&Image::docker_archive(&[image]));
    let before = programs(case);
    for command in ["/evil", "/itself", "/proc/self/exe"] {
        let ran = case.run(&["--rm", "--network", "none", "self-exe", command]);
        assert_ne!(ran.code, 0, "{ran:?}");
    }
    let name = case.name("host");
    case.run(&["-d", "--name", &name, "self-exe", "sleep", "1000"]).ok();
    for command in ["/evil", "/itself", "/proc/self/exe"] {
        let ran = case.docker(&["exec", &name, command]);
        assert_ne!(ran.code, 0, "{ran:?}");
    }
    let after = programs(case);
    assert!(before.iter().all(|(path, digest)| after.get(path).is_none_or(|now| now == digest)), "{before:?}\n{after:?}");
    assert_eq!(case.docker(&["exec", &name, "echo", "lives"]).ok(), "lives");
}

/// A working directory that is a file descriptor of the runtime, left open on a directory of the host (CVE-2024-21626).
fn working_directory_in_open_files(case: &Case) {
    let canary = Canary::new();
    let file = format!("{}/secret", canary.path().trim_start_matches('/'));
    let script =
        format!("up=.; for i in 1 2 3 4 5 6 7 8 9 10; do cat $up/{file} 2>/dev/null; cat $up/secret 2>/dev/null; up=../$up; done; pwd -P");
    let name = case.spawn("running", &[], "sleep 1000");
    let mut started = 0;
    for n in 3..=20 {
        for dir in [format!("/proc/self/fd/{n}"), format!("/proc/1/fd/{n}"), format!("/proc/self/fd/{n}/../../..")] {
            let exec = case.docker(&["exec", "-w", &dir, &name, "sh", "-c", &script]);
            says_nothing(&exec.stdout);
            started += u32::from(exec.code == 0);
        }
        let dir = format!("/proc/self/fd/{n}");
        let ran = case.run(&["--rm", "--network", "none", "-w", &dir, "busybox", "sh", "-c", &script]);
        says_nothing(&ran.stdout);
        started += u32::from(ran.code == 0);
    }
    println!("working_directory_in_open_files: {started} were started, all of them inside");
    canary.check("all");
    // Neither was anything made in the host's /proc nor did the daemon suffer.
    assert_eq!(case.docker(&["exec", &name, "pwd"]).ok(), "/");
}

/// A container's processes have the three standard files and nothing of the engine's.
fn no_files_are_left_open(case: &Case) {
    // `ls` itself holds the directory that it reads.
    let list = ["ls", "-l", "/proc/self/fd"];
    let descriptors = |listing: &str| -> Vec<String> {
        let entries = listing.lines().filter(|l| !l.starts_with("total"));
        entries.filter_map(|l| l.split(" -> ").next()?.split_whitespace().last().map(str::to_owned)).collect()
    };
    let check = |listing: String| {
        assert_eq!(descriptors(&listing), ["0", "1", "2", "3"], "{listing}");
        assert!(listing.lines().filter(|l| l.contains(" 3 -> ")).all(|l| l.contains("/proc/")), "{listing}");
    };
    for options in [&["--rm"][..], &["--rm", "-i"], &["--rm", "--init"], &["--rm", "-u", "1000"]] {
        check(case.run(&[options, &["busybox"], &list[..]].concat()).ok());
    }
    let mut pty = case.pty_run(&[&["--rm", "busybox"], &list[..]].concat());
    assert_eq!(pty.wait(), 0);
    let name = case.spawn("running", &[], "sleep 1000");
    for options in [&["exec"][..], &["exec", "-i"], &["exec", "-u", "1000"]] {
        check(case.docker(&[options, &[&name], &list[..]].concat()).ok());
    }
    // Those of the first process are seen from the host.
    let pid = case.inspect(&name, "{{.State.Pid}}");
    let open: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|e| fs::read_link(e.unwrap().path()).unwrap()).collect();
    assert_eq!(open.len(), 3, "{open:?}");
}

/// An archive that a server takes is harmless; one that it refuses is refused as the client's fault.
#[track_caller]
fn refused_or_harmless(case: &Case, what: &str, reply: &Reply) {
    let text = reply.text();
    if reply.status() == 200 && !text.contains("errorDetail") {
        return;
    }
    // dockerd calls most of what is wrong with an archive its own fault.
    let fault_of_client = (400..500).contains(&reply.status()) || reply.status() == 200;
    assert!(fault_of_client || case.engine().is_dockerd(), "{what}: {} {text}", reply.status());
}

/// The archive by every way into the engine: into a container, as a root file system, and as a layer of an image.
fn by_every_way(case: &Case, daemon: &Daemon, what: &str, tar: &[u8], canary: &Canary) -> [bool; 3] {
    let http = daemon.http();
    let taken = |way: &str, reply: Reply| {
        let what = format!("{what}, {way}");
        refused_or_harmless(case, &what, &reply);
        canary.check(&what);
        says_nothing(&reply.text());
        reply.status() < 300 && !reply.text().contains("errorDetail")
    };
    let copied = taken("copied", put(&http, "target", "/box", tar));
    let imported = taken("imported", http.request("POST", "/images/create?fromSrc=-&repo=hostile", TAR, tar));
    let image =
        Image { tags: vec!["hostile:loaded".into()], layers: vec![image::busybox().layers[0].clone(), tar.to_vec()], ..image::busybox() };
    let loaded = taken("loaded", http.request("POST", "/images/load?quiet=1", TAR, &Image::docker_archive(&[image])));
    http.get("/_ping").expect(200);
    [copied, imported, loaded]
}

/// A daemon with a container that archives are put into, and what there is of both.
fn target(case: &Case) -> (Daemon, Footprint) {
    let daemon = case.own_daemon(None);
    // Directories that come with the first container count as there.
    daemon.docker(&["run", "--rm", "busybox", "true"]).ok();
    renew(&daemon);
    let fresh = Footprint::of(&daemon);
    (daemon, fresh)
}

/// An empty container again.
fn renew(daemon: &Daemon) {
    daemon.docker(&["rm", "-f", "target"]).ok();
    daemon.docker(&["create", "--name", "target", "busybox", "true"]).ok();
    put(&daemon.http(), "target", "/", &Layer::new().dir("box", 0o755).finish()).expect(200);
}

/// Nothing is left of what was refused, and what was taken goes without a trace.
fn leaves_nothing(daemon: &Daemon, fresh: &Footprint) {
    for image in ["hostile:latest", "hostile:loaded"] {
        daemon.docker(&["rmi", "-f", image]);
    }
    daemon.docker(&["image", "prune", "-f"]).ok();
    renew(daemon);
    if daemon.engine.is_dockerd() {
        // It keeps the layers of failed loads.
        return;
    }
    // The container is another one each time, so only the number of its directories is the same.
    let count = |f: &Footprint| f.beyond(&Footprint::default()).len();
    let left = poll::within(std::time::Duration::from_secs(10), || (count(&Footprint::of(daemon)) <= count(fresh)).then_some(()));
    assert!(left.is_some(), "{:#?}\nat start {fresh:#?}", Footprint::of(daemon));
    let staged = daemon.dir().join("data/blobs/tmp");
    assert_eq!(fs::read_dir(&staged).map_or(0, Iterator::count), 0, "{}", staged.display());
}

fn archives_that_leave(case: &Case) {
    let canary = Canary::new();
    let (dir, up) = (canary.path().to_owned(), canary.up());
    let (daemon, fresh) = target(case);
    let (secret, planted) = (format!("{up}/secret"), format!("{up}/planted"));
    let attacks = [
        ("upwards", Layer::new().raw(&planted, EntryType::Regular, "", b"x")),
        ("upwards, a directory", Layer::new().raw(&format!("{up}/made/"), EntryType::Directory, "", b"")),
        ("absolute", Layer::new().raw(&format!("{dir}/planted"), EntryType::Regular, "", b"x")),
        ("through a link", Layer::new().symlink("out", &dir).raw("out/planted", EntryType::Regular, "", b"x")),
        ("through a link upwards", Layer::new().symlink("out", &up).raw("out/planted", EntryType::Regular, "", b"x")),
        (
            "through two links",
            Layer::new().symlink("one", "..").symlink("two", "one/one/one/one/one").raw(
                &format!("two{dir}/planted"),
                EntryType::Regular,
                "",
                b"x",
            ),
        ),
        (
            "a link in a link's place",
            Layer::new().dir("sub", 0o755).raw("sub", EntryType::Symlink, &dir, b"").raw("sub/planted", EntryType::Regular, "", b"x"),
        ),
        ("a directory made of a link", Layer::new().symlink("out", &dir).raw("out", EntryType::Directory, "", b"")),
        ("hard link upwards", Layer::new().raw("got", EntryType::Link, &secret, b"").raw("got", EntryType::Regular, "", b"x")),
        ("hard link to an absolute path", Layer::new().raw("got", EntryType::Link, &format!("{dir}/secret"), b"")),
        ("hard link through a link", Layer::new().symlink("out", &dir).raw("got", EntryType::Link, "out/secret", b"")),
        (
            "hard link to a link",
            Layer::new().symlink("out", &secret).raw("got", EntryType::Link, "out", b"").raw("got", EntryType::Regular, "", b"x"),
        ),
        ("hard link to /proc", Layer::new().raw("got", EntryType::Link, "/proc/self/environ", b"")),
        ("whiteout upwards", Layer::new().raw(&format!("{up}/.wh.secret"), EntryType::Regular, "", b"")),
        ("whiteout through a link", Layer::new().symlink("out", &dir).raw("out/.wh.secret", EntryType::Regular, "", b"")),
        ("opaque through a link", Layer::new().symlink("out", &dir).raw("out/.wh..wh..opq", EntryType::Regular, "", b"")),
        ("whiteout of nothing", Layer::new().raw(".wh.", EntryType::Regular, "", b"").raw(".wh..", EntryType::Regular, "", b"")),
        ("whiteout of the parent", Layer::new().raw("a/.wh...", EntryType::Regular, "", b"")),
        (
            "attributes of overlay",
            Layer::new().dir("redirected", 0o755).with_xattr("redirected/x", 0o644, "trusted.overlay.redirect", dir.as_bytes(), b""),
        ),
    ];
    for (what, layer) in attacks {
        by_every_way(case, &daemon, what, &layer.finish(), &canary);
    }
    // What came of it holds nothing of the host either.
    let ran = daemon.docker(&[
        "run",
        "--rm",
        "--network",
        "none",
        "hostile:loaded",
        "sh",
        "-c",
        "cat /got /out/secret /redirected/* 2>/dev/null",
    ]);
    says_nothing(&ran.stdout);
    let http = daemon.http();
    says_nothing(&http.get("/containers/target/archive?path=/box").text());
    canary.check("all");
    leaves_nothing(&daemon, &fresh);
}

/// A header that the library would not write; `change` may do anything to it, its checksum is right afterwards.
fn forged(path: &str, kind: EntryType, change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_path(path).unwrap();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header.set_entry_type(kind);
    change(&mut header);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A size in the binary form, any bits.
fn binary_size(header: &mut Header, bits: [u8; 12]) {
    header.as_old_mut().size = bits;
}

fn archives_that_lie(case: &Case) {
    let canary = Canary::new();
    let (daemon, fresh) = target(case);
    let end = [0u8; 1024];
    let with_end = |blocks: Vec<u8>| [blocks.as_slice(), &end].concat();
    let good = Layer::new().file("f", 0o644, &[b'x'; 4000]).finish();
    let pax = |claimed: u64, body: &[u8]| {
        let mut tar = forged("pax", EntryType::XHeader, |h| h.set_size(claimed));
        tar.extend(body);
        tar.resize(tar.len().next_multiple_of(512), 0);
        [tar, good.clone()].concat()
    };
    let record = |key: &str, value: &str| {
        let body = key.len() + value.len() + 3;
        let length = (body + 1..).find(|n| *n == body + n.to_string().len()).unwrap();
        format!("{length} {key}={value}\n").into_bytes()
    };
    let mut negative = [0xff; 12];
    negative[11] = 0xfe;
    let mut huge = [0x7f; 12];
    huge[0] = 0x80;
    let refused = [
        ("a negative size", with_end(forged("f", EntryType::Regular, |h| binary_size(h, negative)))),
        ("a size beyond 64 bits", with_end(forged("f", EntryType::Regular, |h| binary_size(h, huge)))),
        ("eight exbibytes", with_end(forged("f", EntryType::Regular, |h| h.set_size(u64::MAX / 2)))),
        ("a terabyte that is not there", with_end(forged("f", EntryType::Regular, |h| h.set_size(1 << 40)))),
        ("a member cut off", good[..512 + 1000].to_vec()),
        ("a header cut off", good[..100].to_vec()),
        (
            "a checksum that is wrong",
            with_end({
                let mut t = good.clone();
                t[0] ^= 1;
                t
            }),
        ),
        ("a PAX header of a gigabyte", pax(1 << 30, b"")),
        ("a PAX header of 16 MiB", pax(16 << 20, &record("comment", &"x".repeat((16 << 20) - 20)))),
        ("a PAX header that ends in the middle", pax(3, b"999")),
        ("a PAX size that is not there", pax(20, &record("size", "9999999999"))),
        ("a long name of a gigabyte", [forged("././@LongLink", EntryType::GNULongName, |h| h.set_size(1 << 30)), good.clone()].concat()),
    ];
    for (what, tar) in refused {
        let taken = by_every_way(case, &daemon, what, &tar, &canary);
        // dockerd stops reading where it no longer understands, and keeps what it has.
        assert!(taken == [false; 3] || case.engine().is_dockerd(), "{what}: {taken:?}");
    }
    let odd = [
        ("no name", with_end(forged("f", EntryType::Regular, |h| h.as_old_mut().name = [0; 100]))),
        ("a member of an unknown kind", with_end(forged("f", EntryType::new(b'Z'), |_| {}))),
        ("a device", Layer::new().device("null", 0o666, (1, 3)).device("disk", 0o666, (8, 0)).finish()),
        ("the root is a file", with_end(forged("./", EntryType::Regular, |_| {}))),
        ("modes beyond all bits", with_end(forged("f", EntryType::Regular, |h| h.set_mode(0o7_777_777)))),
        ("an owner beyond all", with_end(forged("f", EntryType::Regular, |h| h.set_uid(u64::MAX / 2)))),
        ("only an end", end.to_vec()),
    ];
    for (what, tar) in odd {
        by_every_way(case, &daemon, what, &tar, &canary);
    }
    // A node is a file of its own only where the container may use it, and none by its rules may.
    let ran = daemon.docker(&["start", "-a", "target"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    leaves_nothing(&daemon, &fresh);
}

fn archives_that_nest(case: &Case) {
    let canary = Canary::new();
    let (daemon, fresh) = target(case);
    let nested = |levels: usize| Layer::new().file(&format!("{}f", "d/".repeat(levels)), 0o644, b"deep").finish();
    let [copied, imported, loaded] = by_every_way(case, &daemon, "10,000 levels", &nested(10_000), &canary);
    assert!(!copied && !imported && !loaded, "a path that no system call takes");
    // The deepest that a path reaches, and one more by a link in the middle.
    let taken = by_every_way(case, &daemon, "2,000 levels", &nested(2_000), &canary);
    // dockerd puts its own directory in front of the path of a layer.
    assert!(taken == [true; 3] || case.engine().is_dockerd(), "{taken:?}");
    let twice = Layer::new()
        .dir(&"d/".repeat(1500), 0o755)
        .symlink("link", &"d/".repeat(1500))
        .file(&format!("link/{}f", "d/".repeat(1500)), 0o644, b"deep")
        .finish();
    by_every_way(case, &daemon, "3,000 levels", &twice, &canary);
    let wide = (0..20_000).fold(Layer::new(), |l, i| l.raw(&format!("w/{i}"), EntryType::Regular, "", b"")).finish();
    assert_eq!(by_every_way(case, &daemon, "20,000 files", &wide, &canary), [true; 3]);
    leaves_nothing(&daemon, &fresh);
}

/// Small archives whose documents are huge once they are unpacked.
fn listings_that_explode(case: &Case) {
    let daemon = case.own_daemon(None);
    let fresh = Footprint::of(&daemon);
    let pid = fs::read_to_string(daemon.dir().join("pid")).unwrap();
    let peak = || -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap();
        status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    };
    let bomb = |name: &str| {
        let mut text = vec![b' '; 256 << 20];
        text.extend(b"[]");
        Compression::Gzip.apply(&Layer::new().file(name, 0o644, &text).finish())
    };
    let before = peak();
    for name in ["manifest.json", "index.json"] {
        let archive = bomb(name);
        assert!(archive.len() < 4 << 20);
        let reply = daemon.http().request("POST", "/images/load?quiet=1", TAR, &archive);
        let refused = reply.status() >= 400 || reply.text().contains("errorDetail");
        // dockerd reads it, spaces and all, and loads the empty list that it holds.
        assert!(refused || daemon.engine.is_dockerd(), "{name}: {} {}", reply.status(), reply.text());
        assert!(reply.status() < 500 || daemon.engine.is_dockerd(), "{name}: {} {}", reply.status(), reply.text());
    }
    if !daemon.engine.is_dockerd() {
        assert!(peak() < before + (64 << 10), "from {before} KiB to {} KiB", peak());
        assert_eq!(Footprint::of(&daemon).beyond(&fresh), Vec::<PathBuf>::new());
    }
    // Documents nested without end.
    for open in ["[", "{\"a\":", "[{\"Config\":"] {
        let archive = Layer::new().file("manifest.json", 0o644, open.repeat(100_000).as_bytes()).finish();
        let reply = daemon.http().request("POST", "/images/load?quiet=1", TAR, &archive);
        assert!(reply.status() >= 400 || reply.text().contains("errorDetail"), "{}", reply.text());
    }
    for (path, open) in [("/containers/create", "{\"a\":"), ("/containers/create", "[")] {
        let reply = daemon.http().request("POST", path, &[("Content-Type", "application/json")], open.repeat(5_000).as_bytes());
        // 20.10 answers what it cannot read with 500.
        assert_eq!(reply.status(), if daemon.engine.is_dockerd() { 500 } else { 400 }, "{}", reply.text());
    }
    daemon.http().get("/_ping").expect(200);
}

/// A container digs deeper than any path can tell; the engine copies, compares and removes it all the same, or says that it cannot.
fn deep_trees(case: &Case) {
    let daemon = case.own_daemon(None);
    daemon.docker(&["run", "--rm", "busybox", "true"]).ok();
    let fresh = Footprint::of(&daemon);
    let script = "mkdir /t /t/x /t/y; echo dug > /t/x/f; exec sleep 1000";
    daemon.docker(&["run", "-d", "--name", "digger", "--network", "none", "busybox", "sh", "-c", script]).ok();
    let root = PathBuf::from(format!("/proc/{}/root", daemon.docker(&["inspect", "-f", "{{.State.Pid}}", "digger"]).ok()));
    poll::until("the first step", || root.join("t/x/f").exists().then_some(()));
    // The shell would stop where a path gets too long; a program that opens one directory after another does not.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = fs::File::open(root.join("t/x")).unwrap();
    for _ in 0..10_000 {
        mkdirat(&at, "d", Mode::RWXU).unwrap();
        at = openat(&at, "d", flags, Mode::empty()).unwrap().into();
    }
    drop(at);
    // What is removed level by level may be moved to such names meanwhile: they are taken.
    for name in [".deep-0", ".deep-1", "x.deep-0", "x.deep-1"] {
        fs::create_dir_all(root.join("t").join(name).join("taken")).unwrap();
    }
    daemon.docker(&["ps", "-s"]);
    daemon.docker(&["kill", "digger"]).ok();
    daemon.docker(&["wait", "digger"]).ok();
    let http = daemon.http();
    for path in ["/containers/digger/archive?path=/t", "/containers/digger/export"] {
        // Broken off, most likely: the length of a name in an archive has an end.
        let mut stream = http.open("GET", path, &[], b"").unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
        http.get("/_ping").expect(200);
    }
    http.get("/containers/digger/changes");
    http.post("/commit?container=digger&repo=dug");
    daemon.docker(&["ps", "-as"]);
    daemon.docker(&["system", "df"]);
    http.get("/_ping").expect(200);
    if !daemon.engine.is_dockerd() {
        // A file takes the place of the tree. dockerd gives up on it.
        put(&http, "digger", "/t", &Layer::new().file("x", 0o644, b"").finish()).expect(200);
        assert_eq!(http.get("/containers/digger/archive?path=/t/.deep-1/taken").status(), 200, "a neighbour with an unlucky name is gone");
    }
    daemon.docker(&["rm", "-v", "digger"]).ok();
    daemon.docker(&["rmi", "-f", "dug"]);
    if !daemon.engine.is_dockerd() {
        let left = poll::within(poll::PATIENCE, || Footprint::of(&daemon).beyond(&fresh).is_empty().then_some(()));
        assert!(left.is_some(), "{:?}", Footprint::of(&daemon).beyond(&fresh));
    }
}

/// busybox and links to the directory outside, in every way; `/inside` is a directory.
fn linked_image(case: &Case, canary: &Canary, more: impl FnOnce(Layer) -> Layer) -> String {
    let layer = Layer::new().dir("inside", 0o755).symlink("evil", "/").symlink("out", canary.path()).symlink("up", &canary.up());
    let tag = format!("{}:latest", case.name("links").replace('_', "-"));
    let image =
        Image { tags: vec![tag.clone()], layers: vec![image::busybox().layers[0].clone(), more(layer).finish()], ..image::busybox() };
    case.daemon().load(&Image::docker_archive(&[image]));
    tag
}

fn mounts_through_links(case: &Case) {
    let canary = Canary::new();
    let image = linked_image(case, &canary, |l| l);
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("mounted"), "yes").unwrap();
    let hosts_mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap().lines().filter(|l| l.contains(canary.path())).count();
    let source = data.path().to_str().unwrap();
    for target in ["/evil/inside", "/out/made", "/up/made", "/evil/evil/up/deep/er", "/../../inside", "/inside/../out/x"] {
        for options in [["-v".to_owned(), format!("{source}:{target}")], ["--tmpfs".to_owned(), target.to_owned()]] {
            let [flag, value] = &options;
            let ran = case.run(&[
                "--rm",
                "--network",
                "none",
                flag,
                value,
                &image,
                "sh",
                "-c",
                "grep -c mounted /proc/mounts; grep ' /[^ ]* ' /proc/mounts | tail -3",
            ]);
            canary.check(&format!("{flag} {value}: {ran:?}"));
            assert_eq!(hosts_mounts(), 0, "{flag} {value}");
        }
        let seen =
            case.run(&["--rm", "--network", "none", "-v", &format!("{source}:{target}"), &image, "cat", &format!("{target}/mounted")]);
        assert!(seen.code != 0 || seen.stdout == "yes", "{seen:?}");
    }
    // The file lands where the link leads in the container.
    let place = format!("{}/made/mounted", canary.path());
    assert_eq!(case.run(&["--rm", "--network", "none", "-v", &format!("{source}:/out/made"), &image, "cat", &place]).ok(), "yes");
    // A working directory through a link is made in the container too.
    for dir in ["/out/work", "/up/work", "/evil/work"] {
        case.run(&["--rm", "--network", "none", "-w", dir, &image, "pwd"]).ok();
        canary.check(dir);
    }
    assert!(!Path::new("/work-of-nobody").exists());
}

/// `/proc` tells a process who it is and lets it change itself: nothing else may stand there.
fn mounts_on_proc(case: &Case) {
    let canary = Canary::new();
    let image = linked_image(case, &canary, |l| l.symlink("p", "/proc"));
    let source = tempfile::tempdir().unwrap();
    let source = source.path().to_str().unwrap();
    for target in ["/proc", "/proc/self", "/proc/self/attr", "/p/sys", "/proc/sys", "/inside/../proc"] {
        for options in [["-v".to_owned(), format!("{source}:{target}")], ["--tmpfs".to_owned(), target.to_owned()]] {
            // runc looks at memory only when it would be the whole of /proc.
            let lenient = case.engine().is_dockerd() && options[0] == "--tmpfs";
            let ran = case.run(&["--rm", "--network", "none", &options[0], &options[1], &image, "true"]);
            assert!(ran.code >= 125 || lenient, "{options:?}: {ran:?}");
        }
    }
    // What is masked stays masked, whatever else is mounted.
    let script =
        "cat /proc/kcore 2>/dev/null | wc -c; echo x > /proc/sys/kernel/hostname || echo read-only; ls /proc/acpi 2>/dev/null | wc -l";
    let ran = case.run(&["--rm", "--network", "none", "--tmpfs", "/evil/inside", &image, "sh", "-c", script]);
    assert_eq!(ran.stdout, "0\nread-only\n0\n", "{ran:?}");
}

/// An image whose `/proc` or `/sys` leads elsewhere (CVE-2019-16884, CVE-2023-27561): the container gets its own.
fn proc_is_a_link(case: &Case) {
    let canary = Canary::new();
    let base = image::busybox();
    for (number, (dir, to)) in
        [("proc", "/inside"), ("proc", canary.path()), ("sys", "/inside"), ("dev", canary.path()), ("dev", "/inside")].iter().enumerate()
    {
        let layer = Layer::new().dir("inside", 0o755).whiteout("", dir).finish();
        let tag = format!("linked-{number}:latest");
        let layers = vec![base.layers[0].clone(), layer, Layer::new().symlink(dir, to).finish()];
        case.daemon().load(&Image::docker_archive(&[Image { tags: vec![tag.clone()], layers, ..base.clone() }]));
        let script = "cat /inside/kcore 2>/dev/null | wc -c; echo x > /inside/sys/kernel/hostname; cat /proc/self/attr/current >/dev/null 2>&1; ls /proc /sys /dev";
        let ran = case.run(&["--rm", "--network", "none", &tag, "sh", "-c", script]);
        canary.check(&tag);
        says_nothing(&ran.stdout);
        let own = ran.stdout.contains("\nself\n") && ran.stdout.contains("\nkernel\n") && ran.stdout.contains("\nzero\n");
        assert!(own, "/{dir} -> {to}: {ran:?}");
    }
}

/// The files that the engine writes for a container are links in the image.
fn managed_files_are_links(case: &Case) {
    let canary = Canary::new();
    let (dir, up) = (canary.path().to_owned(), canary.up());
    let image = linked_image(case, &canary, |l| {
        l.symlink("etc/hosts", &format!("{dir}/hosts"))
            .symlink("etc/resolv.conf", &format!("../{up}/secret"))
            .symlink("etc/hostname", "/out/secret")
            .symlink("dev/shm", &dir)
            .symlink("dev/pts", &up)
    });
    let ran = case.run(&[
        "--rm",
        "-h",
        "managed",
        &image,
        "sh",
        "-c",
        "cat /etc/hosts /etc/hostname /etc/resolv.conf; echo x > /etc/hosts; echo y > /dev/shm/planted",
    ]);
    canary.check(&format!("{ran:?}"));
    says_nothing(&ran.stdout);
    assert!(ran.stdout.contains("managed"), "{ran:?}");
    // The same by copying and by committing.
    let name = case.name("stopped");
    case.docker(&["create", "--label", &case.label(), "--name", &name, &image, "true"]).ok();
    case.docker(&["start", "-a", &name]).ok();
    let http = case.http();
    for path in ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/shm/", "/etc"] {
        says_nothing(&http.get(&format!("/containers/{name}/archive?path={path}")).text());
        put(&http, &name, path, &Layer::new().file("planted", 0o644, b"x").finish());
        canary.check(path);
    }
    says_nothing(&http.get(&format!("/containers/{name}/export")).text());
}

/// Users are looked up in the container's files, never in the host's.
fn users_behind_links(case: &Case) {
    let canary = Canary::new();
    let base = image::busybox();
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("passwd"), "hostile:x:4242:4242::/:/bin/sh\n").unwrap();
    fs::write(host.path().join("group"), "hostile:x:4242:\n").unwrap();
    let dir = host.path().to_str().unwrap();
    let layers = |layer: Layer| vec![base.layers[0].clone(), layer.finish()];
    let files =
        Layer::new().symlink("etc/passwd", &format!("{dir}/passwd")).symlink("etc/group", &format!("{}{dir}/group", "../".repeat(16)));
    let endless = Layer::new().symlink("etc/passwd", "/dev/zero").symlink("etc/group", "/dev/zero");
    let pipe = Layer::new().whiteout("etc/", "passwd").whiteout("etc/", "group");
    let pipes = Layer::new().fifo("etc/passwd", 0o644).fifo("etc/group", 0o644).finish();
    let device = Layer::new().device("etc/passwd", 0o644, (1, 5)).device("etc/group", 0o644, (1, 5)).finish();
    let tags = ["links", "endless", "pipe", "device"].map(|t| format!("users-{t}:latest"));
    let [links, no_end, a_pipe, a_device] = tags.clone();
    let mut images = vec![
        Image { tags: vec![links], layers: layers(files), ..base.clone() },
        Image { tags: vec![no_end], layers: layers(endless), ..base.clone() },
    ];
    let mut under = layers(pipe);
    under.push(pipes);
    images.push(Image { tags: vec![a_pipe], layers: under.clone(), ..base.clone() });
    under.pop();
    under.push(device);
    images.push(Image { tags: vec![a_device], layers: under, ..base.clone() });
    case.daemon().load(&Image::docker_archive(&images));
    for tag in &tags {
        if case.engine().is_dockerd() && !tag.contains("links") {
            // It reads a pipe and a device of endless zeros for ever.
            continue;
        }
        let ran = case.run(&["--rm", "--network", "none", "-m", "64m", "-u", "hostile", tag, "grep", "Uid", "/proc/self/status"]);
        assert!(ran.code != 0 && !ran.stdout.contains("4242"), "{tag}: {ran:?}");
        let name = case.name(&tag.replace(':', "-"));
        case.docker(&["create", "--label", &case.label(), "--name", &name, "-u", "hostile", tag, "true"]).ok();
        let reply = case.http().request(
            "PUT",
            &format!("/containers/{name}/archive?path=/&copyUIDGID=1"),
            TAR,
            &Layer::new().file("x", 0o644, b"").finish(),
        );
        assert_ne!(reply.status(), 200, "{tag}");
        // By number nobody needs to be looked up; but what is no file may be refused all the same.
        let ran = case.run(&["--rm", "--network", "none", "-m", "64m", "-u", "7:8", tag, "grep", "Uid", "/proc/self/status"]);
        // runc reads some bytes of it to find that out.
        let refused = ["is not a regular file", "token too long"].iter().any(|why| ran.stderr.contains(why)) && !tag.contains("links");
        assert!(ran.stdout.starts_with("Uid:\t7\t") || refused, "{tag}: {ran:?}");
    }
    canary.check("all");
}
