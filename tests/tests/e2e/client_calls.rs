//! Every call of the client libraries that the engine serves, in several API versions: what they do not understand, they refuse.

use std::process::Command;

use bollard::exec::{CreateExecOptions, StartExecOptions};
use bollard::models::{ContainerConfig, ContainerCreateBody, ContainerUpdateBody};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CommitContainerOptionsBuilder, ContainerArchiveInfoOptionsBuilder, CreateContainerOptionsBuilder,
    CreateImageOptionsBuilder, DataUsageOptionsBuilder, DownloadFromContainerOptionsBuilder, EventsOptionsBuilder, ImportImageOptions,
    InspectContainerOptionsBuilder, ListContainersOptionsBuilder, ListImagesOptionsBuilder, LogsOptionsBuilder,
    PruneContainersOptionsBuilder, PruneImagesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptions,
    RenameContainerOptionsBuilder, ResizeContainerTTYOptionsBuilder, ResizeExecOptionsBuilder, RestartContainerOptionsBuilder,
    StatsOptionsBuilder, StopContainerOptionsBuilder, TagImageOptionsBuilder, TopOptionsBuilder, UploadToContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use bollard::{ClientVersion, Docker, body_full};
use futures_util::{Stream, StreamExt, TryStreamExt};
use wharf_tests::image::{Image, Layer};
use wharf_tests::{Case, image, suite};

use super::clients::{cached, client};

suite![bollard_calls, docker_py_calls, dockerode_calls];

type Outcome = Result<(), bollard::errors::Error>;

/// The versions that bollard calls in, beside the one that it negotiates.
const VERSIONS: [usize; 4] = [24, 30, 41, 44];

fn bollard_calls(case: &Case) {
    let socket = case.daemon().socket();
    let socket = socket.to_str().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let newest = Docker::connect_with_unix(socket, 60, bollard::API_DEFAULT_VERSION).unwrap().negotiate_version().await.unwrap();
        let max = newest.client_version().minor_version;
        everything(case, &newest, max).await.unwrap();
        for minor_version in VERSIONS.into_iter().filter(|minor| *minor < max) {
            let version = ClientVersion { major_version: 1, minor_version };
            let docker = Docker::connect_with_unix(socket, 60, &version).unwrap();
            everything(case, &docker, minor_version).await.unwrap_or_else(|e| panic!("1.{minor_version}: {e:?}"));
        }
    });
}

async fn bytes(stream: impl Stream<Item = Result<impl AsRef<[u8]>, bollard::errors::Error>>) -> Result<Vec<u8>, bollard::errors::Error> {
    stream
        .try_fold(Vec::new(), async |mut all, chunk| {
            all.extend_from_slice(chunk.as_ref());
            Ok(all)
        })
        .await
}

async fn everything(case: &Case, docker: &Docker, minor: usize) -> Outcome {
    let label = case.label();
    let filter = || [("label".to_owned(), vec![label.clone()])].into();
    system(docker, minor).await?;

    let name = case.name(&format!("v{minor}"));
    let (key, value) = label.split_once('=').unwrap();
    let body = ContainerCreateBody {
        image: Some("busybox".into()),
        cmd: Some(["sh", "-c", "echo out; echo err >&2; exec sleep 1000"].map(String::from).to_vec()),
        labels: Some([(key.to_owned(), value.to_owned())].into()),
        exposed_ports: Some(vec!["80/tcp".to_owned()]),
        tty: Some(true),
        ..Default::default()
    };
    let created = docker.create_container(Some(CreateContainerOptionsBuilder::default().name(&name).build()), body).await?;
    assert!(created.warnings.is_empty(), "{:?}", created.warnings);
    docker.start_container(&name, None).await?;
    let inspect = docker.inspect_container(&name, Some(InspectContainerOptionsBuilder::default().size(true).build())).await?;
    assert_eq!(inspect.id.as_ref(), Some(&created.id));
    assert_eq!(inspect.size_root_fs.is_some(), minor >= 21);
    let list = ListContainersOptionsBuilder::default().all(true).size(true).filters(&filter()).build();
    assert!(docker.list_containers(Some(list)).await?.iter().any(|c| c.id.as_ref() == Some(&created.id)));
    docker.top_processes(&name, Some(TopOptionsBuilder::default().ps_args("aux").build())).await?;
    docker.resize_container_tty(&name, ResizeContainerTTYOptionsBuilder::default().h(20).w(60).build()).await?;
    let stats = docker.stats(&name, Some(StatsOptionsBuilder::default().stream(false).build())).next().await.unwrap()?;
    assert!(stats.memory_stats.is_some());
    let attach = AttachContainerOptionsBuilder::default().stdout(true).logs(true).build();
    assert!(docker.attach_container(&name, Some(attach)).await?.output.next().await.is_some());
    let logs = LogsOptionsBuilder::default().stdout(true).timestamps(true).build();
    assert!(docker.logs(&name, Some(logs)).try_collect::<Vec<_>>().await?.len() >= 2);
    docker.update_container(&name, ContainerUpdateBody { memory: Some(64 << 20), memory_swap: Some(-1), ..Default::default() }).await?;
    docker.pause_container(&name).await?;
    docker.unpause_container(&name).await?;
    let renamed = format!("{name}-renamed");
    docker.rename_container(&name, RenameContainerOptionsBuilder::default().name(&renamed).build()).await?;

    let exec = CreateExecOptions { cmd: Some(vec!["sleep", "1000"]), tty: Some(true), attach_stdout: Some(true), ..Default::default() };
    let exec = docker.create_exec(&renamed, exec).await?.id;
    docker.start_exec(&exec, Some(StartExecOptions { detach: true, ..Default::default() })).await?;
    docker.resize_exec(&exec, ResizeExecOptionsBuilder::default().h(20).w(60).build()).await?;
    assert_eq!(docker.inspect_exec(&exec).await?.running, Some(true));

    let tar = Layer::new().file("uploaded", 0o644, b"text").finish();
    let to = UploadToContainerOptionsBuilder::default().path("/tmp").build();
    docker.upload_to_container(&renamed, Some(to), body_full(tar.into())).await?;
    let at = ContainerArchiveInfoOptionsBuilder::default().path("/tmp/uploaded").build();
    assert_eq!(docker.get_container_archive_info(&renamed, Some(at)).await?.size, 4);
    let from = DownloadFromContainerOptionsBuilder::default().path("/tmp/uploaded").build();
    assert!(!bytes(docker.download_from_container(&renamed, Some(from))).await?.is_empty());
    assert!(docker.container_changes(&renamed).await?.unwrap().iter().any(|c| c.path == "/tmp/uploaded"));
    assert!(bytes(docker.export_container(&renamed)).await?.len() > 1_000_000);

    docker.restart_container(&renamed, Some(RestartContainerOptionsBuilder::default().t(0).build())).await?;
    docker.stop_container(&renamed, Some(StopContainerOptionsBuilder::default().t(0).build())).await?;
    let wait = WaitContainerOptionsBuilder::default().condition("not-running").build();
    match docker.wait_container(&renamed, Some(wait)).next().await.unwrap() {
        Err(bollard::errors::Error::DockerContainerWaitError { code: 137, .. }) => {}
        other => panic!("{other:?}"),
    }
    images(case, docker, &renamed, minor).await?;
    let pruned = docker.prune_containers(Some(PruneContainersOptionsBuilder::default().filters(&filter()).build())).await?;
    assert_eq!(pruned.containers_deleted, Some(vec![created.id.clone()]));
    let gone = docker.remove_container(&renamed, Some(RemoveContainerOptionsBuilder::default().force(true).build())).await;
    assert!(matches!(gone, Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })), "{gone:?}");

    let filters = [("container".to_owned(), vec![created.id])].into();
    let events = EventsOptionsBuilder::default().since("1").until(&now()).filters(&filters).build();
    let events: Vec<_> = docker.events(Some(events)).try_collect().await?;
    assert!(events.iter().any(|e| e.action.as_deref() == Some("destroy")), "{events:?}");
    Ok(())
}

async fn system(docker: &Docker, minor: usize) -> Outcome {
    assert_eq!(docker.ping().await?, "OK");
    assert!(docker.version().await?.components.is_some_and(|c| !c.is_empty()));
    assert!(docker.info().await?.ncpu > Some(0));
    if minor >= 25 {
        docker.df(Some(DataUsageOptionsBuilder::default().build())).await?;
        docker.df(Some(DataUsageOptionsBuilder::default().verbose(true).build())).await?;
    }
    Ok(())
}

async fn images(case: &Case, docker: &Docker, container: &str, minor: usize) -> Outcome {
    let repo = format!("{}-{minor}", case.label().split_once('=').unwrap().1.replace('_', "-"));
    let commit = CommitContainerOptionsBuilder::default().container(container).repo(&repo).tag("1").comment("why").author("me").build();
    let committed = docker.commit_container(commit, ContainerConfig { env: Some(vec!["A=b".into()]), ..Default::default() }).await?;
    assert!(committed.id.starts_with("sha256:"));
    docker.tag_image(&format!("{repo}:1"), Some(TagImageOptionsBuilder::default().repo(&repo).tag("2").build())).await?;
    let inspect = docker.inspect_image(&format!("{repo}:2")).await?;
    assert_eq!((inspect.id, inspect.author.as_deref()), (Some(committed.id), Some("me")));
    assert!(docker.image_history(&format!("{repo}:2")).await?.len() >= 2);
    let filters = [("reference".to_owned(), vec![repo.clone()])].into();
    let list = ListImagesOptionsBuilder::default().all(true).digests(true).filters(&filters).build();
    assert_eq!(docker.list_images(Some(list)).await?.len(), 1);
    assert!(bytes(docker.export_image(&format!("{repo}:1"))).await?.len() > 1_000_000);
    bytes(docker.export_images(&["busybox", "hello"])).await?;
    for tag in ["1", "2"] {
        docker.remove_image(&format!("{repo}:{tag}"), None::<RemoveImageOptions>, None).await?;
    }

    let loaded = format!("{repo}-loaded:1");
    let archive = Image::docker_archive(&[Image { tags: vec![loaded.clone()], ..image::busybox() }]);
    docker.import_image(ImportImageOptions::default(), body_full(archive.into()), None).try_collect::<Vec<_>>().await?;
    docker.remove_image(&loaded, None::<RemoveImageOptions>, None).await?;
    let import = CreateImageOptionsBuilder::default().from_src("-").repo(&repo).tag("imported").build();
    let root = body_full(Layer::new().file("file", 0o644, b"x").finish().into());
    docker.create_image(Some(import), Some(root), None).try_collect::<Vec<_>>().await?;
    docker.remove_image(&format!("{repo}:imported"), None::<RemoveImageOptions>, None).await?;
    let filters = [("label".to_owned(), vec![format!("no.such={minor}")])].into();
    docker.prune_images(Some(PruneImagesOptionsBuilder::default().filters(&filters).build())).await?;
    Ok(())
}

/// The next full second.
fn now() -> String {
    (std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 1).to_string()
}

/// docker-py speaks 1.24 and newer.
fn docker_py_calls(case: &Case) {
    client(case, &mut Command::new(cached("venv/bin/python")), "docker_py_calls.py");
}

fn dockerode_calls(case: &Case) {
    client(case, Command::new("node").env("NODE_PATH", cached("node/node_modules")), "dockerode_calls.js");
}
