//! Options of tmpfs mounts: `HostConfig.Tmpfs` strings and the typed ones.

use wharf_types::{Error, Result};

use super::super::plan::TmpfsPlan;

/// Flags that a tmpfs takes, with the group of which only one can hold. The last one named wins.
const FLAGS: [(&str, &str); 28] = [
    ("ro", "access"),
    ("rw", "access"),
    ("suid", "suid"),
    ("nosuid", "suid"),
    ("dev", "dev"),
    ("nodev", "dev"),
    ("exec", "exec"),
    ("noexec", "exec"),
    ("sync", "sync"),
    ("async", "sync"),
    ("dirsync", "dirsync"),
    ("mand", "mand"),
    ("nomand", "mand"),
    ("atime", "atime"),
    ("noatime", "atime"),
    ("diratime", "diratime"),
    ("nodiratime", "diratime"),
    ("relatime", "relatime"),
    ("norelatime", "relatime"),
    ("strictatime", "strictatime"),
    ("nostrictatime", "strictatime"),
    ("private", "propagation"),
    ("rprivate", "propagation"),
    ("shared", "propagation"),
    ("rshared", "propagation"),
    ("slave", "propagation"),
    ("rslave", "propagation"),
    ("defaults", "defaults"),
];

/// `key=value` options of tmpfs(5).
const KEYS: [&str; 7] = ["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"];

/// Checks options such as `size=64m`, `mode=1777`, `exec` and drops those that a later one overrides.
/// 400 `invalid tmpfs option ["x"]`.
pub fn tmpfs_options<'a>(options: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>> {
    let mut kept: Vec<(&str, &str)> = Vec::new();
    for option in options.into_iter().filter(|o| !o.is_empty()) {
        let flag = FLAGS.iter().find(|(name, _)| *name == option).map(|(_, group)| *group);
        let key = option.split_once('=').map(|(key, _)| key).filter(|key| KEYS.contains(key));
        let group = flag.or(key).ok_or_else(|| {
            let parts: Vec<String> = option.splitn(2, '=').map(|part| format!("{part:?}")).collect();
            Error::invalid(format!("invalid tmpfs option [{}]", parts.join(" ")))
        })?;
        kept.retain(|(earlier, _)| *earlier != group);
        if group != "defaults" {
            kept.push((group, option));
        }
    }
    Ok(kept.into_iter().map(|(_, option)| option.to_owned()).collect())
}

/// The OCI options of one mount: Docker's defaults, under the plan's fields, under its option strings.
pub(super) fn oci_options(plan: &TmpfsPlan) -> Result<Vec<String>> {
    let mut fields = Vec::new();
    fields.extend(plan.read_only.then(|| "ro".to_owned()));
    fields.extend(plan.mode.map(|mode| format!("mode={mode:o}")));
    fields.extend(plan.size.map(|bytes| format!("size={bytes}")));
    let all = ["noexec", "nosuid", "nodev", "rprivate"].into_iter().chain(fields.iter().map(String::as_str));
    tmpfs_options(all.chain(plan.options.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_options_win() {
        let merge = |text: &str| tmpfs_options(text.split(',')).unwrap().join(",");
        assert_eq!(merge("noexec,nosuid,exec,size=1m,defaults,size=2m"), "nosuid,exec,size=2m");
        assert_eq!(merge("rprivate,shared"), "shared");
        assert_eq!(merge(""), "");
    }

    #[test]
    fn unknown_options_are_named() {
        let message = |option| tmpfs_options([option]).unwrap_err().message().to_owned();
        assert_eq!(message("what"), r#"invalid tmpfs option ["what"]"#);
        assert_eq!(message("lowerdir=/etc"), r#"invalid tmpfs option ["lowerdir" "/etc"]"#);
        assert_eq!(message("remount"), r#"invalid tmpfs option ["remount"]"#);
    }
}
