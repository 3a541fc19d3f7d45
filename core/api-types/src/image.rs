//! Images: list, inspect, remove, and the messages of the streams that make them.

use crate::inspect::GraphDriver;
use serde_json::Value;
use std::collections::BTreeMap;

wire! {
    /// An image in a list. `SharedSize` and `Containers` are -1 when not computed.
    ImageSummary {
        "Containers" containers: i64,
        "Created" created: i64,
        "Id" id: String,
        "Labels" labels: Option<BTreeMap<String, String>>,
        "ParentId" parent_id: String,
        "RepoDigests" repo_digests: Vec<String>,
        "RepoTags" repo_tags: Vec<String>,
        "SharedSize" shared_size: i64,
        "Size" size: i64,
        ? "VirtualSize" virtual_size: Option<i64>,
    }
}
wire! {
    /// Everything about an image. The fields after `Metadata` exist in older API versions only. `Config` has what the image sets, and
    /// below 1.50 every field of a container's `Config`.
    ImageInspect {
        "Id" id: String,
        "RepoTags" repo_tags: Vec<String>,
        "RepoDigests" repo_digests: Vec<String>,
        ? "Parent" parent: Option<String>,
        ? "Comment" comment: Option<String>,
        ? "Created" created: Option<String>,
        ? "DockerVersion" docker_version: Option<String>,
        ? "Author" author: Option<String>,
        "Config" config: Value,
        "Architecture" architecture: String,
        ? "Variant" variant: String,
        "Os" os: String,
        ? "OsVersion" os_version: String,
        "Size" size: i64,
        ? "GraphDriver" graph_driver: Option<GraphDriver>,
        "RootFS" root_fs: RootFs,
        "Metadata" metadata: ImageMetadata,
        ? "VirtualSize" virtual_size: Option<i64>,
        ? "Container" container: Option<String>,
        ? "ContainerConfig" container_config: Option<Value>,
    }
}

wire! {
    /// The layers of an image.
    RootFs {
        "Type" kind: String,
        ? "Layers" layers: Vec<String>,
    }
}
wire! {
    /// What is known of an image only here.
    ImageMetadata {
        ? "LastTagTime" last_tag_time: Option<String>,
    }
}
wire! {
    /// One line of the answer of image remove: one of the two fields.
    ImageDelete {
        ? "Untagged" untagged: String,
        ? "Deleted" deleted: String,
    }
}
wire! {
    /// Answer of image prune.
    ImagePrune {
        "ImagesDeleted" images_deleted: Option<Vec<ImageDelete>>,
        "SpaceReclaimed" space_reclaimed: u64,
    }
}
wire! {
    /// One step of an image's making.
    HistoryItem {
        "Comment" comment: String,
        "Created" created: i64,
        "CreatedBy" created_by: String,
        "Id" id: String,
        "Size" size: i64,
        "Tags" tags: Option<Vec<String>>,
    }
}
wire! {
    /// A platform as the parameters of image endpoints name it, in JSON.
    OciPlatform {
        "architecture" architecture: String,
        "os" os: String,
        ? "os.version" os_version: String,
        ? "os.features" os_features: Vec<String>,
        ? "variant" variant: String,
    }
}
wire! {
    /// One message of a progress stream (load, import, pull).
    Progress {
        ? "stream" stream: String,
        ? "status" status: String,
        ? "progressDetail" progress_detail: Option<ProgressDetail>,
        ? "id" id: String,
        ? "errorDetail" error_detail: Option<ErrorDetail>,
        ? "error" error: String,
    }
}
wire! {
    /// Bytes done and bytes in all.
    ProgressDetail {
        ? "current" current: u64,
        ? "total" total: u64,
    }
}
wire! {
    /// A failure after the stream has begun.
    ErrorDetail {
        ? "code" code: i64,
        "message" message: String,
    }
}
