//! Images on their way out and what they cost: `docker save`, history, prune filters, `docker system df`.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::{Value, json};
use wharf_tests::image::{self, Compression, Image, Layer};
use wharf_tests::{Case, poll, suite};

suite![
    save_and_load,
    save_layout,
    save_several,
    save_unpacks_layers,
    save_errors,
    history_of_steps,
    prune_filters,
    disk_usage,
    disk_usage_kinds,
    shared_sizes
];

/// Busybox and a layer of its own.
fn two_layers(name: &str) -> Image {
    let mut image = image::busybox();
    image.layers.push(Layer::new().file("own", 0o644, name.as_bytes()).finish());
    image.config["Labels"] = json!({"com.example.more": name});
    image.tags = vec![format!("{name}:latest")];
    image
}

fn files(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.insert(entry.path().unwrap().display().to_string(), bytes);
    }
    files
}

fn parse(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Value {
    serde_json::from_slice(files.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", files.keys()))).unwrap()
}

fn filters(value: Value) -> String {
    value.to_string().bytes().map(|b| format!("%{b:02X}")).collect()
}

fn save_and_load(case: &Case) {
    let image = two_layers("save-load");
    case.daemon().load(&Image::docker_archive(std::slice::from_ref(&image)));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("saved.tar").display().to_string();
    case.docker(&["save", "-o", &file, "save-load"]).ok();
    case.docker(&["rmi", "save-load"]).ok();
    let said = case.docker(&["load", "-i", &file]).ok();
    assert!(said.contains("Loaded image: save-load:latest"), "{said}");
    assert_eq!(case.docker(&["inspect", "-f", "{{.Id}}", "save-load"]).ok(), image.id());
    assert_eq!(case.run(&["--rm", "--network", "none", "save-load", "cat", "/own"]).ok(), "save-load");
    let events = case.http().get(&format!("/events?{}", poll::until_now())).expect(200).text();
    if !case.engine().is_dockerd() {
        assert!(events.lines().any(|l| l.contains("\"save\"") && l.contains(&image.id())), "{events}");
    }
}

fn save_layout(case: &Case) {
    let image = two_layers("save-layout");
    case.daemon().load(&Image::docker_archive(std::slice::from_ref(&image)));
    let reply = case.http().get("/images/save-layout:latest/get").expect(200);
    assert_eq!(reply.header("content-type"), Some("application/x-tar"));
    let files = files(&reply.body);
    let listing = parse(&files, "manifest.json");
    assert_eq!(listing[0]["RepoTags"], json!(["save-layout:latest"]));
    assert!(parse(&files, "repositories")["save-layout"]["latest"].is_string());
    let layers = listing[0]["Layers"].as_array().unwrap();
    for (path, layer) in layers.iter().zip(&image.layers) {
        assert_eq!(&files[path.as_str().unwrap()], layer);
    }
    assert_eq!(parse(&files, listing[0]["Config"].as_str().unwrap())["config"]["Labels"]["com.example.more"], "save-layout");
    if case.engine().is_dockerd() {
        // 20.10 has the older layout.
        return;
    }
    let blob = |d: &Value| format!("blobs/sha256/{}", d["digest"].as_str().unwrap().trim_start_matches("sha256:"));
    assert_eq!(parse(&files, "oci-layout")["imageLayoutVersion"], "1.0.0");
    let index = parse(&files, "index.json");
    let entry = &index["manifests"][0];
    assert_eq!(entry["annotations"]["io.containerd.image.name"], "docker.io/library/save-layout:latest");
    let manifest = parse(&files, &blob(entry));
    assert_eq!(blob(&manifest["config"]), listing[0]["Config"].as_str().unwrap());
    assert_eq!(manifest["layers"].as_array().unwrap().iter().map(|l| json!(blob(l))).collect::<Vec<_>>(), *layers);
    assert!(manifest["layers"].as_array().unwrap().iter().all(|l| files[&blob(l)].len() as u64 == l["size"].as_u64().unwrap()));
}

fn save_several(case: &Case) {
    let (mut one, two) = (two_layers("save-one"), two_layers("save-two"));
    one.tags.push("save-one:other".into());
    case.daemon().load(&Image::docker_archive(&[one.clone(), two.clone()]));
    let saved = |query: &str| {
        let mut listing = parse(&files(&case.http().get(&format!("/images/get?{query}")).expect(200).body), "manifest.json");
        listing.as_array_mut().unwrap().sort_by_key(|i| i["RepoTags"].to_string());
        listing.as_array().unwrap().iter().map(|i| i["RepoTags"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(saved("names=save-one"), [json!(["save-one:latest", "save-one:other"])]);
    assert_eq!(saved("names=save-one:other&names=save-two"), [json!(["save-one:other"]), json!(["save-two:latest"])]);
    let by_id = saved(&format!("names={}", two.id()));
    assert!(by_id == [Value::Null] || by_id == [json!([])], "{by_id:?}");
}

fn save_unpacks_layers(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("20.10 does not load layouts");
    }
    let image = two_layers("save-packed");
    case.daemon().load(&image.oci_layout(Compression::Gzip));
    let files = files(&case.http().get("/images/save-packed/get").expect(200).body);
    let listing = parse(&files, "manifest.json");
    for (path, layer) in listing[0]["Layers"].as_array().unwrap().iter().zip(&image.layers) {
        assert_eq!(&files[path.as_str().unwrap()], layer);
    }
}

fn save_errors(case: &Case) {
    let reply = case.http().get("/images/get?names=no-such-image").expect(404);
    assert!(reply.message().starts_with("No such image: no-such-image"), "{}", reply.message());
    case.http().get("/images/no-such-image/get").expect(404);
    case.http().get("/images/no-such-image/history").expect(404);
}

fn history_of_steps(case: &Case) {
    let image = two_layers("told");
    case.daemon().load(&Image::docker_archive(std::slice::from_ref(&image)));
    let steps = case.http().get("/images/told/history").expect(200).json();
    let first = &steps[0];
    assert_eq!((first["Id"].as_str(), &first["Tags"]), (Some(image.id().as_str()), &json!(["told:latest"])));
    for step in steps.as_array().unwrap().iter().skip(1) {
        assert_eq!((step["Id"].as_str(), &step["Tags"]), (Some("<missing>"), &Value::Null), "{step}");
    }
    let keys: Vec<_> = first.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["Comment", "Created", "CreatedBy", "Id", "Size", "Tags"]);
}

fn prune_filters(case: &Case) {
    let daemon = case.own_daemon(None);
    let (a, b) = (two_layers("prune-a"), two_layers("prune-b"));
    daemon.load(&Image::docker_archive(&[a.clone(), b]));
    let prune = |value: Value| daemon.http().post(&format!("/images/prune?filters={}", filters(value)));
    let reply = prune(json!({"x": ["1"]})).expect(400);
    assert_eq!(reply.message().to_lowercase(), "invalid filter 'x'");
    let nothing = json!({"ImagesDeleted": null, "SpaceReclaimed": 0});
    assert_eq!(daemon.http().post("/images/prune").expect(200).json(), nothing, "nothing is dangling");
    assert_eq!(prune(json!({"dangling": ["false"], "until": ["87600h"]})).expect(200).json(), nothing);
    let pruned = prune(json!({"dangling": ["false"], "label": ["com.example.more=prune-a"]})).expect(200).json();
    assert!(pruned["ImagesDeleted"].as_array().unwrap().contains(&json!({"Untagged": "prune-a:latest"})), "{pruned}");
    assert_eq!(pruned["SpaceReclaimed"], 7, "only its own layer: {pruned}");
    daemon.http().get("/images/prune-a/json").expect(404);
    daemon.http().get("/images/prune-b/json").expect(200);
    let events = daemon.http().get(&format!("/events?{}", poll::until_now())).expect(200).text();
    assert!(events.lines().any(|l| l.contains("\"prune\"") && l.contains("\"reclaimed\":\"7\"")), "{events}");
}

fn disk_usage(case: &Case) {
    let daemon = case.own_daemon(None);
    daemon.load(&Image::docker_archive(&[two_layers("df")]));
    daemon.docker(&["run", "-d", "--name", "up", "--network", "none", "df", "sh", "-c", "echo 1234567 > /written; sleep 1000"]).ok();
    daemon.docker(&["create", "--name", "down", "hello"]).ok();
    poll::until("the file", || (daemon.http().get("/containers/up/archive?path=/written").status() == 200).then_some(()));
    let usage = daemon.http().get("/v1.41/system/df").expect(200).json();
    let images = usage["Images"].as_array().unwrap();
    let image = |tag: &str| images.iter().find(|i| i["RepoTags"][0] == tag).unwrap_or_else(|| panic!("{images:?}"));
    assert_eq!((image("df:latest")["Containers"].as_i64(), image("busybox:latest")["Containers"].as_i64()), (Some(1), Some(0)));
    let busybox = image("busybox:latest")["Size"].as_u64().unwrap();
    assert_eq!(usage["LayersSize"].as_u64(), Some(busybox + 2), "each layer counts once");
    assert_eq!(image("df:latest")["Size"].as_u64(), Some(busybox + 2));
    if !case.engine().is_dockerd() {
        // 20.10 counts all layers of an image as shared when there is another image.
        assert_eq!(image("df:latest")["SharedSize"].as_u64(), Some(busybox));
    }
    let containers = usage["Containers"].as_array().unwrap();
    let up = containers.iter().find(|c| c["Names"][0] == "/up").unwrap();
    assert_eq!((up["SizeRw"].as_u64(), up["SizeRootFs"].as_u64()), (Some(8), Some(busybox + 10)));
    assert_eq!((containers.len(), &usage["Volumes"], &usage["BuilderSize"]), (2, &json!([]), &json!(0)));
    let said = daemon.docker(&["system", "df", "--format", "{{.Type}}|{{.TotalCount}}|{{.Active}}"]).ok();
    assert!(said.contains("Images|4|2") && said.contains("Containers|2|1"), "{said}");
    daemon.docker(&["rm", "-f", "up", "down"]).ok();
}

fn disk_usage_kinds(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("20.10 has neither kinds nor sums");
    }
    let http = case.http();
    let only = http.get("/v1.45/system/df?type=image&type=volume").expect(200).json();
    assert!(only["Images"].is_array() && only["Volumes"].is_array() && only["Containers"].is_null() && only.get("BuilderSize").is_none());
    assert_eq!(http.get("/v1.45/system/df?type=x").expect(400).message(), "unknown object type: x");
    let sums = http.get("/v1.52/system/df").expect(200).json();
    let usage = &sums["ImageUsage"];
    assert!(
        usage["TotalCount"].as_u64().unwrap() >= 3 && usage["TotalSize"].as_u64().unwrap() > 0 && usage.get("Items").is_none(),
        "{sums}"
    );
    assert!(sums.get("Images").is_none() && sums["BuildCacheUsage"]["TotalSize"] == 0, "{sums}");
    let verbose = http.get("/v1.52/system/df?verbose=1&type=image").expect(200).json();
    assert!(!verbose["ImageUsage"]["Items"].as_array().unwrap().is_empty() && verbose.get("ContainerUsage").is_none());
}

fn shared_sizes(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("20.10 does not know shared-size");
    }
    case.daemon().load(&Image::docker_archive(&[two_layers("sharing")]));
    let list = |version: &str, query: &str| {
        let list = case.http().get(&format!("/{version}/images/json?{query}")).expect(200).json();
        list.as_array().unwrap().iter().find(|i| i["RepoTags"].to_string().contains("sharing")).unwrap().clone()
    };
    let plain = list("v1.45", "");
    assert_eq!((plain["SharedSize"].as_i64(), plain["Containers"].as_i64()), (Some(-1), Some(-1)));
    let asked = list("v1.45", "shared-size=1");
    assert_eq!(asked["Size"].as_i64().unwrap() - asked["SharedSize"].as_i64().unwrap(), 7, "its own layer is not shared: {asked}");
    case.docker(&["create", "--label", &case.label(), "sharing"]).ok();
    assert_eq!(list("v1.51", "")["Containers"], 1);
}
