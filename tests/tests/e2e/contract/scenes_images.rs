//! Images: what is told of them, and what changes them.

use serde_json::{Value, json};
use wharf_tests::image;

use super::Seen;

pub fn all(seen: &mut Seen<'_>) {
    for name in ["busybox", "hello", "defaults"] {
        seen.get(&format!("image {name}"), &format!("/images/{name}/json"));
        seen.get_in(&format!("history {name}"), &format!("/images/{name}/history"), &["1.19", "1.41"]);
    }
    seen.get("images", "/images/json");
    seen.get_in("images all", "/images/json?all=1&digests=1", &["1.19", "1.41"]);

    for (version, name) in [("1.19", "again:one"), ("1.41", "again:two")] {
        let (repo, tag) = name.split_once(':').unwrap();
        seen.ask("tag", version, "POST", &format!("/images/busybox/tag?repo={repo}&tag={tag}&force=1"), &Value::Null);
    }
    seen.get_in("image tagged", "/images/busybox/json", &["1.19", "1.41"]);
    seen.ask("untag", "1.41", "DELETE", "/images/again:one", &Value::Null);

    let special = image::special_files();
    let reply = seen.http.request(
        "POST",
        "/v1.41/images/load?quiet=0",
        &[("Content-Type", "application/x-tar")],
        &image::Image::docker_archive(&[special]),
    );
    let last = reply.text().lines().last().unwrap_or_default().to_owned();
    assert!(last.contains("Loaded image: special:latest"), "{last}");
    seen.get_in("image special", "/images/special/json", &["1.19", "1.41"]);
    seen.get_in("history special", "/images/special/history", &["1.41"]);

    // A container's changes as an image on top.
    let name = seen.http.post_json("/containers/create", &json!({"Image": "special", "Cmd": ["sh", "-c", "echo new >/new; rm /s/one"]}));
    let id = name.expect(201).json()["Id"].as_str().unwrap().to_owned();
    seen.http.post(&format!("/containers/{id}/start")).expect(204);
    seen.http.post(&format!("/containers/{id}/wait")).expect(200);
    seen.get_in("changes", &format!("/containers/{id}/changes"), &["1.19", "1.41"]);
    let commit = format!("/commit?container={id}&repo=committed&tag=1&comment=why&author=me&changes=ENV%20A%3D1");
    seen.ask("commit", "1.41", "POST", &commit, &json!({"Labels": {"made": "here"}}));
    seen.get("image committed:1", "/images/committed:1/json");
    seen.get_in("history committed:1", "/images/committed:1/history", &["1.41"]);
    seen.http.delete(&format!("/containers/{id}?force=1")).expect(204);
    seen.ask("delete special, a parent", "1.41", "DELETE", "/images/special", &Value::Null);
    seen.ask("delete committed", "1.41", "DELETE", "/images/committed:1", &Value::Null);
    seen.ask("delete hello", "1.41", "DELETE", "/images/hello", &Value::Null);
    seen.ask("delete unknown", "1.41", "DELETE", "/images/hello", &Value::Null);
    seen.get_in("df", "/system/df", &["1.25", "1.41"]);
    let filters = "filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D";
    seen.ask("prune images", "1.41", "POST", &format!("/images/prune?{filters}"), &Value::Null);
    seen.get("no images", "/images/json");
}
