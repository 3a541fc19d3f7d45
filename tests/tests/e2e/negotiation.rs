//! What a request may choose: packed archives, and the platform of an image.

use std::io::Read;

use serde_json::{Value, json};
use wharf_tests::image::{Compression, Image, Layer};
use wharf_tests::{Case, image, suite, urlencode};

suite![archives_are_packed_when_asked, uploads_are_unpacked, platforms_of_images, platform_of_a_load];

fn archives_are_packed_when_asked(case: &Case) {
    let id = case.create(json!({}));
    let path = format!("/containers/{id}/archive?path=/etc/passwd");
    let get = |accept: &str| case.http().request("GET", &path, &[("Accept-Encoding", accept)], b"").expect(200);
    let plain = case.http().get(&path).expect(200);
    assert_eq!(plain.header("content-encoding"), None);
    for (accept, coding) in
        [("gzip, deflate", Some("gzip")), ("deflate", Some("deflate")), ("identity", None), ("br", None), ("gzip;q=0", None)]
    {
        let reply = get(accept);
        assert_eq!(reply.header("content-encoding"), coding, "{accept}");
        assert!(reply.header("x-docker-container-path-stat").is_some());
        let mut tar = Vec::new();
        match coding {
            Some("gzip") => drop(flate2::read::GzDecoder::new(&reply.body[..]).read_to_end(&mut tar).unwrap()),
            Some(_) => drop(flate2::read::DeflateDecoder::new(&reply.body[..]).read_to_end(&mut tar).unwrap()),
            None => tar.clone_from(&reply.body),
        }
        assert!(tar == plain.body, "{accept}");
    }
    // An export is never packed.
    let export = case.http().request("GET", &format!("/containers/{id}/export"), &[("Accept-Encoding", "gzip")], b"").expect(200);
    assert_eq!(export.header("content-encoding"), None);
}

fn uploads_are_unpacked(case: &Case) {
    let id = case.create(json!({}));
    for kind in [Compression::None, Compression::Gzip, Compression::Bzip2, Compression::Xz] {
        let name = format!("{kind:?}");
        let body = kind.apply(&Layer::new().file(&name, 0o644, name.as_bytes()).finish());
        case.http()
            .request("PUT", &format!("/containers/{id}/archive?path=/tmp"), &[("Content-Type", "application/x-tar")], &body)
            .expect(200);
        let back = case.http().get(&format!("/containers/{id}/archive?path=/tmp/{name}")).expect(200);
        let mut archive = tar::Archive::new(&back.body[..]);
        let mut text = String::new();
        archive.entries().unwrap().next().unwrap().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, name);
    }
}

/// A query parameter in JSON.
fn platform(name: &str, os: &str, architecture: &str) -> String {
    format!("{name}={}", urlencode(&json!({"os": os, "architecture": architecture}).to_string()))
}

/// The architecture of the test images.
fn own(case: &Case) -> String {
    case.http().get("/images/busybox/json").expect(200).json()["Architecture"].as_str().unwrap().to_owned()
}

fn platforms_of_images(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("platforms of images came with API 1.46 and later");
    }
    let http = case.http();
    let (ours, other) = (own(case), "s390x");
    for path in ["/v1.49/images/busybox/json", "/v1.48/images/busybox/history", "/v1.48/images/busybox/get"] {
        http.get(&format!("{path}?{}", platform("platform", "linux", &ours))).expect(200);
        let refused = http.get(&format!("{path}?{}", platform("platform", "linux", other))).expect(404).message();
        assert!(refused.contains("does not match the specified platform: wanted linux/s390x, actual: linux/"), "{refused}");
        assert_eq!(http.get(&format!("{path}?platform=linux")).expect(400).message().split(':').next(), Some("failed to parse platform"));
        assert_eq!(
            http.get(&format!("{path}?platform=%7B%22os%22%3A%22linux%22%7D")).expect(400).message(),
            "both OS and Architecture must be provided"
        );
    }
    // Versions before did not know the parameter.
    http.get(&format!("/v1.47/images/busybox/history?{}", platform("platform", "linux", other))).expect(200);
    let both = format!("manifests=1&{}", platform("platform", "linux", &ours));
    assert!(http.get(&format!("/v1.49/images/busybox/json?{both}")).expect(400).message().contains("cannot both be set"));
    let two = format!("{}&{}", platform("platform", "linux", other), platform("platform", "linux", &ours));
    assert_eq!(
        http.get(&format!("/v1.51/images/get?names=busybox&{two}")).expect(400).message(),
        "multiple platform parameters not supported"
    );
    http.get(&format!("/v1.52/images/get?names=busybox&{two}")).expect(200);
    assert!(http.get("/v1.54/images/json?identity=1").expect(400).message().contains("identity"));
    http.get("/v1.54/images/json?identity=1&manifests=1").expect(200);

    http.post("/images/busybox/tag?repo=platforms&tag=1").expect(201);
    http.delete(&format!("/v1.50/images/platforms:1?{}", platform("platforms", "linux", other))).expect(404);
    http.delete(&format!("/v1.50/images/platforms:1?{}", platform("platforms", "linux", &ours))).expect(200);
}

fn platform_of_a_load(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("the platform of a load came with API 1.48");
    }
    let ours = own(case);
    let name = format!("{}:1", case.name("loaded"));
    let archive = Image::docker_archive(&[Image { tags: vec![name.clone()], ..image::busybox() }]);
    let load = |architecture: &str| {
        let path = format!("/v1.48/images/load?{}", platform("platform", "linux", architecture));
        case.http().request("POST", &path, &[("Content-Type", "application/x-tar")], &archive).expect(200).text()
    };
    let refused: Value = serde_json::from_str(load("s390x").trim()).unwrap();
    assert_eq!(refused["error"], "the archive holds no image for linux/s390x");
    case.http().get(&format!("/images/{name}/json")).expect(404);
    assert!(load(&ours).contains(&format!("Loaded image: {name}")));
    case.http().delete(&format!("/images/{name}")).expect(200);
}
