"""Every call of docker-py's low-level client that the engine serves, in several API versions. Arguments: the daemon's socket and
the label of the test."""

import io
import sys
import tarfile
import time

import docker
import docker.errors
from docker.types import Healthcheck, Mount, Ulimit

socket, label = sys.argv[1:]
labels = dict([label.split("=")])


def tar(name, text):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    return out.getvalue()


def calls(api, version):
    assert api.ping()
    assert api.version()["Os"] == "linux" and api.info()["OSType"] == "linux"
    if version != "1.24":
        assert "LayersSize" in api.df() or "ImageUsage" in api.df()
    name = f"py-calls-{version}"
    config = api.create_host_config(
        binds=["/usr:/mnt:ro"], cap_add=["NET_ADMIN"], dns=["192.0.2.1"], extra_hosts={"other": "192.0.2.2"}, mem_limit="64m",
        memswap_limit="128m", cpu_shares=512, ulimits=[Ulimit(name="nofile", soft=512, hard=1024)], restart_policy={"Name": "no"},
        security_opt=["no-new-privileges"], tmpfs={"/run": "size=1m"}, shm_size="1m", sysctls={"net.ipv4.ip_forward": "1"},
        log_config={"type": "json-file", "config": {"max-size": "1m"}}, oom_score_adj=100, pids_limit=50, read_only=False,
        **({} if version == "1.24" else {"mounts": [Mount("/mnt2", "/usr", type="bind", read_only=True)], "init": True}),
    )
    body = api.create_container_config(
        "busybox", ["sh", "-c", "echo out; echo err >&2; exec sleep 1000"], labels=labels, hostname="box", user="0", environment={"A": "b"},
        working_dir="/tmp", stop_signal="SIGKILL", ports=[80, (53, "udp")], host_config=config,
        healthcheck=Healthcheck(test=["CMD", "true"], interval=1_000_000_000) if version != "1.24" else None,
    )
    container = api.create_container_from_config(body, name)
    assert container["Warnings"] in ([], None), container
    at = container["Id"]
    api.start(at)
    inspect = api.inspect_container(at)
    assert inspect["State"]["Running"] and inspect["HostConfig"]["Memory"] == 64 << 20 and inspect["Config"]["Hostname"] == "box"
    assert [c["Id"] for c in api.containers(all=True, size=True, filters={"name": name})] == [at]
    assert any("sleep" in " ".join(row) for row in api.top(at, "aux")["Processes"])
    assert api.stats(at, stream=False)["memory_stats"]["usage"] > 0
    while len(api.logs(at).split()) < 2:
        time.sleep(0.05)
    attached = api.attach(at, logs=True, stream=False)
    while not attached and api.version()["Platform"]["Name"] != "Wharf":
        # docker-py loses what arrives together with the head of the answer. dockerd takes no care of that.
        attached = api.attach(at, logs=True, stream=False)
    assert attached in (b"out\nerr\n", b"err\nout\n"), attached
    assert api.logs(at, stderr=False, timestamps=True).endswith(b" out\n")
    api.update_container(at, mem_limit="48m", memswap_limit="96m", restart_policy={"Name": "on-failure", "MaximumRetryCount": 1})
    api.pause(at)
    api.unpause(at)
    api.rename(at, name + "-renamed")
    assert api.put_archive(at, "/tmp", tar("file", b"text"))
    stream, stat = api.get_archive(at, "/tmp/file", encode_stream=True)
    assert stat["size"] == 4 and b"text" in b"".join(stream)
    assert {"Path": "/tmp/file", "Kind": 1} in api.diff(at)
    assert sum(len(chunk) for chunk in api.export(at)) > 1_000_000

    exec_id = api.exec_create(at, ["sh", "-c", "echo in; exit 3"], environment={"X": "y"} if version != "1.24" else None)["Id"]
    assert api.exec_start(exec_id) == b"in\n"
    assert api.exec_inspect(exec_id)["ExitCode"] == 3
    exec_id = api.exec_create(at, ["sleep", "1000"], tty=True)["Id"]
    api.exec_start(exec_id, detach=True, tty=True)
    api.exec_resize(exec_id, 20, 60)
    api.resize(at, 20, 60)

    api.restart(at, timeout=0)
    api.stop(at, timeout=0)
    assert api.wait(at)["StatusCode"] == 137
    repo = f"py-calls-{version}"
    image = api.commit(at, repository=repo, tag="1", message="why", author="me", changes=["ENV B=c"])["Id"]
    assert api.inspect_image(f"{repo}:1")["Id"] == image
    assert api.history(f"{repo}:1")[0]["Id"] == image
    assert api.tag(f"{repo}:1", repo, "2")
    assert len(api.images(repo)) == 1 and len(api.images(name=repo, quiet=True)) == 1
    saved = b"".join(api.get_image(f"{repo}:1"))
    for tag in "12":
        assert api.remove_image(f"{repo}:{tag}", noprune=True)[0]["Untagged"]
    assert any("Loaded image" in line.get("stream", "") for line in api.load_image(saved))
    api.remove_image(f"{repo}:1")
    api.import_image_from_data(tar("file", b"x"), repository=repo, tag="imported")
    api.remove_image(f"{repo}:imported")
    if version == "1.24":
        api.remove_container(at, v=True)
    else:
        api.prune_images({"label": ["no.such"]})
        assert api.prune_containers({"label": [label]})["ContainersDeleted"] == [at]
    try:
        api.kill(at)
        raise AssertionError("it was removed")
    except docker.errors.NotFound as error:
        assert error.explanation.endswith(f"No such container: {at}"), error.explanation
    events = list(api.events(since=1, until=int(time.time()) + 1, filters={"container": at}, decode=True))
    assert [e["Action"] for e in (events[0], events[-1])] == ["create", "destroy"], events


for asked in ["1.24", "1.30", "1.41", "auto"]:
    api = docker.APIClient(base_url=f"unix://{socket}", version=asked, timeout=60)
    calls(api, asked)
    api.close()
