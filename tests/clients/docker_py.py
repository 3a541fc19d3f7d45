"""The life of a container through docker-py. Arguments: the daemon's socket and the label of the test."""

import sys
import threading
import time

import docker
import docker.errors

socket, label = sys.argv[1:]
client = docker.DockerClient(base_url=f"unix://{socket}", version="auto", timeout=60)
labels = dict([label.split("=")])
since = time.time()

assert client.ping()
assert client.version()["Os"] == "linux"
assert client.info()["OSType"] == "linux"

# run() pulls only after the text of a 404, and fetches output only from log drivers that it knows.
assert client.containers.run("busybox", ["echo", "hi"], remove=True, labels=labels) == b"hi\n"
assert client.containers.run("busybox", ["sh", "-c", "echo err >&2"], stderr=True, stdout=False, remove=True, labels=labels) == b"err\n"
try:
    client.containers.run("busybox", ["sh", "-c", "echo why >&2; exit 3"], remove=True, labels=labels)
    raise AssertionError("exit 3 is an error")
except docker.errors.ContainerError as error:
    assert error.exit_status == 3 and b"why" in error.stderr, error
try:
    client.images.get("no-such-image")
    raise AssertionError("no such image")
except docker.errors.ImageNotFound:
    pass
try:
    client.containers.get("no-such-container")
    raise AssertionError("no such container")
except docker.errors.NotFound:
    pass

container = client.containers.create("busybox", ["sh", "-c", "echo one; echo two >&2; sleep 0.2; echo three; sleep 100"],
                                     labels=labels, environment={"A": "b"}, name="py-life", mem_limit="64m")
assert container.status == "created"
container.start()
container.reload()
assert container.status == "running"
assert container.attrs["HostConfig"]["Memory"] == 64 << 20

# Following: the stream is chunked, and comes line by line.
lines = []
for line in container.logs(stream=True, follow=True):
    lines.append(line)
    if b"three" in b"".join(lines):
        break
assert sorted(b"".join(lines).split()) == [b"one", b"three", b"two"], lines
assert container.logs(stdout=False, stderr=True) == b"two\n"
assert container.logs(tail=1) == b"three\n"

code, output = container.exec_run(["sh", "-c", "echo $A; id -un; exit 4"], user="nobody")
assert (code, output) == (4, b"b\nnobody\n"), (code, output)
code, (out, err) = container.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
assert (code, out, err) == (0, b"out\n", b"err\n")
code, output = container.exec_run(["tty"], tty=True)
assert code == 0 and output.startswith(b"/dev/pts/"), output
_, raw = container.exec_run(["cat"], stdin=True, socket=True)
raw._sock.sendall(b"typed\n")
header = raw.read(8)
assert header == b"\x01\x00\x00\x00\x00\x00\x00\x06", header
assert raw.read(6) == b"typed\n"
raw._sock.close()

assert any("sleep 100" in " ".join(row) for row in container.top()["Processes"])
assert [c.name for c in client.containers.list(filters={"name": "py-life"})] == ["py-life"]
container.rename("py-renamed")

result = {}
waiter = threading.Thread(target=lambda: result.update(container.wait()))
waiter.start()
container.stop(timeout=0)
waiter.join(30)
assert result.get("StatusCode") == 137, result
container.start()
container.kill("KILL")
assert container.wait()["StatusCode"] == 137
container.remove()
try:
    client.containers.get("py-renamed")
    raise AssertionError("it was removed")
except docker.errors.NotFound:
    pass

seen = [e["Action"] for e in client.events(since=since, until=time.time(), decode=True, filters={"label": label, "container": container.id})]
for action in ["create", "start", "die", "destroy"]:
    assert action in seen, (action, seen)
print("docker-py", docker.__version__, "is content")
