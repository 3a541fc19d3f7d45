//! What the runner is told when plugins come and go.

use super::*;
use async_trait::async_trait;
use std::{
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};
use wharf_spi::plugin::{Health, HealthWatch, Package, PluginKind, Series, Served};

/// Takes every component for an authorizer with its content as the digest, but `bad`, which is of a kind that nobody declared.
#[derive(Default)]
struct Fake {
    said: Mutex<Vec<String>>,
    /// Nothing that plugins keep can be removed.
    keeps: AtomicBool,
}

struct Idle;

#[async_trait]
impl RunningPlugin for Idle {
    fn authorizer(&self) -> Option<Arc<dyn Authorizer>> {
        None
    }
    fn health(&self) -> Health {
        Health::default()
    }
    fn log(&self) -> Vec<String> {
        Vec::new()
    }
    fn calls(&self) -> Vec<(&'static str, wharf_spi::plugin::Calls)> {
        Vec::new()
    }
    fn watch(&self, _: HealthWatch) {}
    fn memory(&self) -> Option<u64> {
        None
    }
    fn series(&self) -> (Vec<Series>, u64) {
        (Vec::new(), 0)
    }
    async fn reload(&self, _: serde_json::Value) -> Result<()> {
        Ok(())
    }
    async fn stop(&self) {}
}

impl Fake {
    fn say(&self, what: String) {
        self.said.lock().unwrap().push(what);
    }
    fn said(&self) -> Vec<String> {
        std::mem::take(&mut *self.said.lock().unwrap())
    }
}

#[async_trait]
impl PluginRunner for Fake {
    async fn describe(&self, component: PathBuf) -> Result<Description> {
        let digest = std::fs::read_to_string(component)?;
        if digest == "bomb" {
            return Err(Error::invalid("compilation took too long"));
        }
        let kind = if digest == "bad" { PluginKind::Volume } else { PluginKind::Authz };
        Ok(Description { kinds: vec![kind], imports: Vec::new(), digest })
    }
    async fn load(&self, _: Package) -> Result<Arc<dyn RunningPlugin>> {
        Ok(Arc::new(Idle))
    }
    async fn connect(&self, name: &str) -> Result<Arc<dyn RunningPlugin>> {
        Err(Error::not_found(name))
    }
    async fn remove(&self, name: &str) -> Result<()> {
        self.say(format!("remove {name}"));
        if self.keeps.load(Relaxed) { Err(Error::system("read-only file system")) } else { Ok(()) }
    }
    async fn greet(&self, served: Served, _: std::time::Duration) -> Result<Arc<dyn RunningPlugin>> {
        Err(Error::unavailable(served.name))
    }
    async fn retain(&self, digests: &[String]) -> Result<()> {
        let mut digests = digests.to_vec();
        digests.sort();
        self.say(format!("retain {}", digests.join(" ")));
        Ok(())
    }
}

fn plugins(root: &Path, runner: Arc<Fake>) -> Plugins {
    let trash = Trash::open(&root.join("trash")).unwrap();
    let processes = Processes::for_test(root, runner.clone());
    Plugins::open(root, trash, runner, processes, Events::default()).unwrap()
}

fn archive(component: &str) -> Vec<u8> {
    let config = r#"{"Interface": {"Types": ["docker.authz/1.0"], "ProtocolScheme": "wasm.component/1"}}"#;
    let mut tar = Vec::new();
    for (name, kind, content) in [("config.json", b'0', config), ("rootfs/", b'5', ""), ("rootfs/plugin.wasm", b'0', component)] {
        let mut head = [0u8; 512];
        head[..name.len()].copy_from_slice(name.as_bytes());
        head[100..107].copy_from_slice(if kind == b'5' { b"0000755" } else { b"0000644" });
        head[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        head[148..156].copy_from_slice(b"        ");
        head[156] = kind;
        head[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = head.iter().map(|b| u32::from(*b)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend_from_slice(&head);
        tar.extend_from_slice(content.as_bytes());
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

async fn create(plugins: &Plugins, name: &str, component: &'static str) -> Result<()> {
    plugins.create(name, std::io::Cursor::new(archive(component))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_an_upload() {
    let dir = tempfile::tempdir().unwrap();
    let all = plugins(dir.path(), Arc::new(Fake::default()));
    let (mut client, upload) = tokio::io::duplex(1 << 20);
    let (slow, archive) = (all.clone(), archive("one"));
    let (begin, end) = archive.split_at(700);
    tokio::io::AsyncWriteExt::write_all(&mut client, begin).await.unwrap();
    let creating = tokio::spawn(async move { slow.create("a", upload).await });
    let others = async {
        create(&all, "b", "two").await.unwrap();
        create(&all, "a", "two").await.unwrap();
        all.remove("b", false).await.unwrap();
        all.shutdown().await;
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), others).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut client, end).await.unwrap();
    drop(client);
    let e = creating.await.unwrap().unwrap_err();
    assert!(e.message().contains("already exists"), "{e}");
    assert_eq!(std::fs::read_dir(dir.path().join("plugins")).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_of_a_plugin_goes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let runner = Arc::new(Fake::default());
    let all = plugins(dir.path(), runner.clone());
    create(&all, "a", "one").await.unwrap();
    create(&all, "a:next", "two").await.unwrap();
    create(&all, "b", "one").await.unwrap();
    assert!(runner.said().is_empty());

    for (component, words) in [("bad", "does not declare"), ("bomb", "plugin \"c\": compilation took too long")] {
        let e = create(&all, "c", component).await.unwrap_err();
        assert!(e.message().contains(words), "{e}");
        assert_eq!(runner.said(), ["retain one one two"], "{component}");
    }

    all.remove("a:next", false).await.unwrap();
    assert_eq!(runner.said(), ["retain one one"], "the name is another plugin's, too");
    all.enable("a", std::time::Duration::ZERO).await.unwrap();
    assert!(all.remove("a", false).await.is_err() && runner.said().is_empty());
    all.remove("a", true).await.unwrap();
    assert_eq!(runner.said(), ["remove a", "retain one"]);

    create(&all, "next", "two").await.unwrap();
    all.upgrade("b", "next", &[]).await.unwrap();
    assert_eq!(runner.said(), ["retain two two"]);
    drop(all);
    let all = plugins(dir.path(), runner.clone());
    all.boot(Vec::new()).await;
    assert_eq!(runner.said(), ["retain two two"]);
}

/// The same is left when the daemon is killed there.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_half_removed_does_not_start_again() {
    let dir = tempfile::tempdir().unwrap();
    let runner = Arc::new(Fake::default());
    let all = plugins(dir.path(), runner.clone());
    create(&all, "a", "one").await.unwrap();
    all.enable("a", std::time::Duration::ZERO).await.unwrap();
    runner.keeps.store(true, Relaxed);
    assert_eq!(all.remove("a", true).await.unwrap_err().message(), "read-only file system");
    drop(all);
    runner.keeps.store(false, Relaxed);
    let all = plugins(dir.path(), runner.clone());
    all.boot(Vec::new()).await;
    assert!(!all.get("a").unwrap().enabled);
    all.remove("a", false).await.unwrap();
    assert!(all.get("a").is_err());
}
