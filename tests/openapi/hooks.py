"""What requests to a container engine are about must be there: before each one, the container that runs, the one that has
stopped, the image, and an exec. And what would last forever is given an end.

Environment: URL of the daemon, ARCHIVE with the image."""

import json
import os
import time

import jsonschema_rs
import requests
import schemathesis

URL = os.environ["URL"]
with open(os.environ["ARCHIVE"], "rb") as file:
    ARCHIVE = file.read()
# Stopping takes no time: the signal cannot be caught.
RUNNING = {"Image": "busybox", "Cmd": ["sleep", "10000"], "StopSignal": "SIGKILL"}
STOPPED = {"Image": "busybox", "Cmd": ["true"]}

session = requests.Session()


def ask(method, path, **more):
    return session.request(method, URL + path, timeout=20, **more)


def image():
    if ask("GET", "/images/busybox/json").status_code == 404:
        ask("POST", "/images/load", data=ARCHIVE, headers={"Content-Type": "application/x-tar"}).raise_for_status()


def container(name, config, state):
    """Whatever became of it, it is there again and in its state."""
    for _ in range(3):
        found = ask("GET", f"/containers/{name}/json")
        if found.status_code == 200 and found.json()["State"]["Status"] == state:
            return
        if found.status_code == 404:
            image()
            ask("POST", f"/containers/create?name={name}", json=config)
        ask("POST", f"/containers/{name}/unpause")
        ask("POST", f"/containers/{name}/start")
        if state == "exited":
            ask("POST", f"/containers/{name}/wait")
        if ask("GET", f"/containers/{name}/json").json()["State"]["Status"] != state:
            ask("DELETE", f"/containers/{name}?force=1")
    raise AssertionError(f"{name} is not {state}")


def an_exec():
    container("running", RUNNING, "running")
    made = ask("POST", "/containers/running/exec", json={"Cmd": ["echo", "hi"], "AttachStdout": True})
    made.raise_for_status()
    return made.json()["Id"]


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """As in Docker, every text is a boolean, and what is empty is absent."""
    for item in raw_schema["paths"].values():
        for operation in item.values():
            for schema in (p["schema"] for p in operation["parameters"] if p["in"] == "query" and "schema" in p):
                if schema == {"type": "boolean"}:
                    schema["type"] = ["boolean", "string"]
                elif schema["type"] == "integer":
                    schema.update(anyOf=[{"type": schema.pop("type")}, {"const": ""}])
                elif "enum" in schema.get("items", schema):
                    schema.get("items", schema)["enum"].append("")


@schemathesis.serializer("application/x-tar")
def archive(ctx, value):
    """Something that is no archive, or one."""
    return value.encode() if isinstance(value, str) else ARCHIVE


@schemathesis.hook
def before_call(context, case, kwargs):
    tag = case.operation.definition.raw["tags"][0]
    path, ids, query = case.operation.path, case.path_parameters, case.query
    if tag == "image" or path == "/containers/create":
        image()
    bound(path, ids, query)
    if "running" in (ids.get("id"), query.get("container")):
        container("running", RUNNING, "running")
    if "stopped" in (ids.get("id"), query.get("container")):
        container("stopped", STOPPED, "exited")
    if ids.get("id") == "an-exec":
        ids["id"] = an_exec()
    if path == "/containers/create" and isinstance(case.body, dict) and isinstance(case.body.get("Image"), str):
        case.body["Image"] = "busybox"


def bound(path, ids, query):
    """Ends what goes on as long as the container or the daemon does."""
    if path.endswith("/logs"):
        query.pop("follow", None)
    elif path.endswith("/stats"):
        query["stream"] = "0"
    elif path == "/events":
        query["until"] = str(int(time.time()))
    elif path.endswith("/wait"):
        query.pop("condition", None)
        if ids.get("id") != "nobody":
            ids["id"] = "stopped"
    elif path.endswith(("/stop", "/restart")) and query.get("signal"):
        query["t"] = "1"


@schemathesis.check
def lines_match(ctx, response, case):
    """Each line of an answer that is lines of JSON has their shape."""
    raw = case.operation.schema.raw_schema
    answers = case.operation.definition.raw["responses"]
    media = answers.get(str(response.status_code), {}).get("content", {}).values()
    for shape in (m["x-item-schema"] for m in media if "x-item-schema" in m):
        validator = jsonschema_rs.Draft202012Validator({**shape, "components": raw["components"]})
        for line in response.content.decode().replace("\x1e", "").splitlines():
            wrong = [str(error) for error in validator.iter_errors(json.loads(line))]
            assert not wrong, wrong
        break
