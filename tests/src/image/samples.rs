//! The images that the tests use.

use std::process::Command;
use std::sync::OnceLock;

use serde_json::json;
use tar::EntryType;

use super::{Image, Layer};
use crate::command;

/// Where Debian's `busybox-static` puts it.
const BUSYBOX: &str = "/bin/busybox";

/// A root filesystem around the host's static busybox: `busybox:latest` with `sh` as its command.
pub fn busybox() -> Image {
    static LAYER: OnceLock<Vec<u8>> = OnceLock::new();
    let layer = LAYER.get_or_init(|| {
        let binary = std::fs::read(BUSYBOX).expect("/bin/busybox: install busybox-static");
        let mut layer = Layer::new();
        for dir in ["bin", "dev", "etc", "home", "mnt", "proc", "root", "sys", "usr", "var"] {
            layer = layer.dir(dir, if dir == "root" { 0o700 } else { 0o755 });
        }
        layer = layer
            .dir("tmp", 0o1777)
            .file(
                "etc/passwd",
                0o644,
                b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n",
            )
            .file("etc/group", 0o644, b"root:x:0:\nnobody:x:65534:\nuser:x:1000:\nextra:x:2000:user\n")
            .file("bin/busybox", 0o755, &binary)
            .file("etc/noexec", 0o644, b"not a program\n");
        let applets = command::run(Command::new(BUSYBOX).arg("--list")).ok();
        for applet in applets.lines().filter(|a| *a != "busybox") {
            layer = layer.symlink(&format!("bin/{applet}"), "busybox");
        }
        layer.finish()
    });
    let config = json!({"Cmd": ["sh"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]});
    Image { tags: vec!["busybox:latest".into()], config, layers: vec![layer.clone()] }
}

/// [`busybox`] under another name, with a label `com.example.test` that makes it another image.
pub fn labelled(label: &str, name: &str) -> Image {
    let mut image = busybox();
    image.config["Labels"] = json!({"com.example.test": label});
    image.tags = vec![name.to_owned()];
    image
}

/// What every shared daemon holds: `busybox:latest`, `hello:latest` (an entrypoint) and `defaults:latest` (every default set).
pub fn basic_archive() -> Vec<u8> {
    let busybox = busybox();
    let hello = Image {
        tags: vec!["hello:latest".into()],
        config: json!({"Entrypoint": ["/bin/echo", "hello"], "Cmd": ["world"], "Env": ["PATH=/bin"]}),
        layers: busybox.layers.clone(),
    };
    let defaults = Image {
        tags: vec!["defaults:latest".into()],
        config: json!({
            "Cmd": ["sh", "-c", "echo $GREETING; pwd; id -u; trap 'echo usr1; exit 3' USR1; while :; do sleep 0.1; done"],
            "Env": ["PATH=/bin", "GREETING=from the image"],
            "User": "user",
            "WorkingDir": "/srv/made",
            "Labels": {"com.example.kind": "defaults", "com.example.empty": ""},
            "StopSignal": "SIGUSR1",
            "ExposedPorts": {"80/tcp": {}},
        }),
        layers: busybox.layers.clone(),
    };
    Image::docker_archive(&[busybox, hello, defaults])
}

/// Two layers on busybox: links, devices, owners, modes, attributes, and long names; then deletions of the first.
pub fn special_files() -> Image {
    // File capability cap_net_raw=ep (bit 13), revision 2 of the kernel's format.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let lower = Layer::new()
        .dir("s", 0o755)
        .file("s/one", 0o644, b"content")
        .hardlink("s/two", "s/one")
        .symlink("s/link", "one")
        .symlink("s/dangling", "/nowhere")
        .device("s/null", 0o666, (1, 3))
        .fifo("s/pipe", 0o600)
        .owned("s/theirs", 0o640, (1000, 2000), b"theirs")
        .file("s/setuid", 0o4755, b"setuid")
        .dir("s/sticky", 0o1777)
        .dir("s/cap", 0o755)
        .with_xattr("s/cap/busybox", 0o755, "security.capability", &capability, &std::fs::read(BUSYBOX).unwrap())
        .with_xattr("s/attr", 0o644, "user.color", b"blue", b"attr")
        .file(&format!("s/{}/{}/deep", "a".repeat(150), "b".repeat(150)), 0o644, b"deep")
        .file("s/deleted", 0o644, b"must not be seen")
        .dir("s/gone", 0o755)
        .file("s/gone/file", 0o644, b"must not be seen")
        .dir("s/opaque", 0o755)
        .file("s/opaque/below", 0o644, b"must not be seen")
        .dir("s/replaced", 0o755)
        .file("s/replaced/below", 0o644, b"must not be seen");
    let upper = Layer::new()
        .dir("s", 0o755)
        .whiteout("s/", "deleted")
        .whiteout("s/", "gone")
        .dir("s/opaque", 0o755)
        .opaque("s/opaque")
        .file("s/opaque/above", 0o644, b"above")
        .file("s/replaced", 0o644, b"now a file")
        .whiteout("s/", "never-there");
    let base = busybox();
    let layers = vec![base.layers[0].clone(), lower.finish(), upper.finish()];
    Image { tags: vec!["special:latest".into()], config: base.config, layers }
}

/// Archives that try to write outside: name, and an image whose second layer attacks. `victim` is an absolute path that none may touch.
pub fn hostile(victim: &str) -> Vec<(&'static str, Image)> {
    let (dir, file) = victim.rsplit_once('/').unwrap();
    let up = format!("{}{}", "../".repeat(20), victim.trim_start_matches('/'));
    let attacks = [
        ("dotdot", Layer::new().raw(&up, EntryType::Regular, "", b"evil")),
        ("absolute-symlink-parent", Layer::new().symlink("esc", dir).raw(&format!("esc/{file}"), EntryType::Regular, "", b"evil")),
        (
            "dotdot-symlink-parent",
            Layer::new().symlink("esc", &"../".repeat(20)).raw(&format!("esc{victim}"), EntryType::Regular, "", b"evil"),
        ),
        ("hardlink-outside", Layer::new().raw("esc", EntryType::Link, &up, b"").file("esc", 0o666, b"evil")),
        (
            "hardlink-through-symlink",
            Layer::new().symlink("esc", dir).raw("got", EntryType::Link, &format!("esc/{file}"), b"").raw(
                "got",
                EntryType::Regular,
                "",
                b"evil",
            ),
        ),
        ("whiteout-outside", Layer::new().symlink("esc", dir).raw(&format!("esc/.wh.{file}"), EntryType::Regular, "", b"")),
        ("whiteout-dotdot", Layer::new().raw(".wh...", EntryType::Regular, "", b"")),
        ("opaque-outside", Layer::new().symlink("esc", dir).raw("esc/.wh..wh..opq", EntryType::Regular, "", b"")),
    ];
    let base = busybox();
    let image = |(name, layer): (&'static str, Layer)| {
        let layers = vec![base.layers[0].clone(), layer.finish()];
        (name, Image { tags: vec![format!("hostile-{name}:latest")], config: base.config.clone(), layers })
    };
    attacks.into_iter().map(image).collect()
}
