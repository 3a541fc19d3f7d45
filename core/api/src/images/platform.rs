//! The platforms that image endpoints are asked for: OCI platforms in JSON, unlike the `os/arch/variant` of create and import.

use crate::request::Request;
use wharf_api_types::image::OciPlatform;
use wharf_images::Platform;
use wharf_types::{Error, Result};

/// API version 1.x from which several platforms may be named in a save or load.
const SEVERAL: u16 = 52;

/// Reads all values of the parameter `name`.
///
/// # Errors
/// 400 for what is no platform.
pub fn all(rq: &Request, name: &str) -> Result<Vec<OciPlatform>> {
    rq.query().all(name).iter().map(|text| read(text)).collect()
}

/// The platform of an inspect or a history.
///
/// # Errors
/// As [`all`].
pub fn one(rq: &Request) -> Result<Option<OciPlatform>> {
    rq.query().text("platform").map(read).transpose()
}

/// The platforms of a save or load.
///
/// # Errors
/// As [`all`], and for several in an API version that takes one.
pub fn archived(rq: &Request) -> Result<Vec<OciPlatform>> {
    let platforms = all(rq, "platform")?;
    if platforms.len() > 1 && rq.api().before(SEVERAL) {
        return Err(Error::invalid("multiple platform parameters not supported"));
    }
    Ok(platforms)
}

fn read(text: &str) -> Result<OciPlatform> {
    let platform: OciPlatform = serde_json::from_str(text).map_err(|e| Error::invalid(format!("failed to parse platform: {e}")))?;
    if platform.os.is_empty() || platform.architecture.is_empty() {
        return Err(Error::invalid("both OS and Architecture must be provided"));
    }
    Ok(platform)
}

/// What the image store calls them. A version or features of the system are no part of a Linux platform.
///
/// # Errors
/// 400 for words that name no platform of Linux.
pub fn meant<'a>(platforms: impl IntoIterator<Item = &'a OciPlatform>) -> Result<Vec<Platform>> {
    let meant = |p: &OciPlatform| {
        if !p.os_version.is_empty() || !p.os_features.is_empty() {
            return Err(Error::invalid("a platform of linux has neither os.version nor os.features"));
        }
        Platform::new(&p.os, &p.architecture, &p.variant)
    };
    platforms.into_iter().map(meant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_json() {
        let text = |json: &str| {
            let platform = read(json).map_err(|e| e.message().to_owned())?;
            meant([&platform]).map(|all| all[0].to_string()).map_err(|e| e.message().to_owned())
        };
        assert_eq!(text(r#"{"os":"linux","architecture":"arm","variant":"v5"}"#), Ok("linux/arm/v5".to_owned()));
        assert_eq!(text(r#"{"os":"linux"}"#).unwrap_err(), "both OS and Architecture must be provided");
        assert!(text("linux/arm").unwrap_err().starts_with("failed to parse platform: "));
        assert_eq!(text(r#"{"os":"windows","architecture":"amd64"}"#).unwrap_err(), "operating system is not supported: windows");
        assert!(text(r#"{"os":"linux","architecture":"amd64","os.version":"10"}"#).unwrap_err().contains("os.version"));
    }
}
