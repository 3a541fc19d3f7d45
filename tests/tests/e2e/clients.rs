//! Client libraries that people use, each through the whole life of a container.

use std::path::{Path, PathBuf};
use std::process::Command;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, EventsOptionsBuilder, ListImagesOptions, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    WaitContainerOptions,
};
use futures_util::{StreamExt, TryStreamExt};
use wharf_tests::{Case, suite};

suite![docker_py, dockerode, bollard_life];

/// A file that `make setup` puts into `tests/.cache`.
pub(super) fn cached(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache").join(path);
    assert!(path.exists(), "{} is missing: run `make setup`", path.display());
    path
}

/// Runs a script of `tests/clients` with the daemon's socket and the test's label.
pub(super) fn client(case: &Case, program: &mut Command, script: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(script);
    wharf_tests::run(program.arg(script).arg(case.daemon().socket()).arg(case.label())).ok();
}

fn docker_py(case: &Case) {
    client(case, &mut Command::new(cached("venv/bin/python")), "docker_py.py");
}

fn dockerode(case: &Case) {
    client(case, Command::new("node").env("NODE_PATH", cached("node/node_modules")), "dockerode.js");
}

fn bollard_life(case: &Case) {
    let socket = case.daemon().socket();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let docker = Docker::connect_with_unix(socket.to_str().unwrap(), 60, bollard::API_DEFAULT_VERSION)
            .unwrap()
            .negotiate_version()
            .await
            .unwrap();
        bollard_calls(case, &docker).await.unwrap();
    });
}

/// Every reply has to fit the types that bollard generates from the published definition.
async fn bollard_calls(case: &Case, docker: &Docker) -> Result<(), bollard::errors::Error> {
    assert_eq!(docker.ping().await?, "OK");
    docker.version().await?;
    docker.info().await?;
    docker.list_images(None::<ListImagesOptions>).await?;
    docker.inspect_image("busybox").await?;
    let name = case.name("life");
    let body = ContainerCreateBody {
        image: Some("busybox".into()),
        cmd: Some(["sh", "-c", "echo out; echo err >&2; sleep 100"].map(String::from).to_vec()),
        labels: Some([("wharf.test".to_owned(), "bollard_life".to_owned())].into()),
        ..Default::default()
    };
    docker.create_container(Some(CreateContainerOptionsBuilder::default().name(&name).build()), body).await?;
    let label = case.label();
    let filter = [("label".to_owned(), vec![label])].into();
    let mut events = docker.events(Some(EventsOptionsBuilder::default().filters(&filter).build()));
    // The subscription is sent with the first poll: start the container together with it.
    let (first, started) = tokio::join!(events.next(), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        docker.start_container(&name, None).await
    });
    started?;
    assert_eq!(first.unwrap()?.action.as_deref(), Some("start"));
    let inspect = docker.inspect_container(&name, None).await?;
    assert_eq!(inspect.state.unwrap().running, Some(true));
    docker.list_containers(None).await?;

    let mut logs = docker.logs(&name, Some(LogsOptionsBuilder::default().stdout(true).stderr(true).follow(true).build()));
    let mut lines = [logs.next().await.unwrap()?, logs.next().await.unwrap()?].map(|l| match l {
        LogOutput::StdOut { message } => format!("out:{}", String::from_utf8_lossy(&message)),
        LogOutput::StdErr { message } => format!("err:{}", String::from_utf8_lossy(&message)),
        other => panic!("{other:?}"),
    });
    lines.sort();
    assert_eq!(lines, ["err:err\n", "out:out\n"]);
    drop(logs);

    let options = CreateExecOptions { cmd: Some(vec!["sh", "-c", "echo in; exit 6"]), attach_stdout: Some(true), ..Default::default() };
    let exec = docker.create_exec(&name, options).await?.id;
    let StartExecResults::Attached { output, .. } = docker.start_exec(&exec, None).await? else { panic!("detached") };
    let output: Vec<LogOutput> = output.try_collect().await?;
    assert_eq!(output.iter().map(ToString::to_string).collect::<String>(), "in\n");
    assert_eq!(docker.inspect_exec(&exec).await?.exit_code, Some(6));
    docker.top_processes(&name, None).await?;

    docker.kill_container(&name, None).await?;
    match docker.wait_container(&name, None::<WaitContainerOptions>).next().await.unwrap() {
        Ok(end) => assert_eq!(end.status_code, 137),
        Err(bollard::errors::Error::DockerContainerWaitError { code, .. }) => assert_eq!(code, 137),
        Err(e) => return Err(e),
    }
    docker.remove_container(&name, Some(RemoveContainerOptionsBuilder::default().force(true).build())).await?;
    assert!(docker.inspect_container(&name, None).await.is_err());
    Ok(())
}
