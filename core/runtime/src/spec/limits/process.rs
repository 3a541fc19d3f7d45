//! Numbers of a `HostConfig` that are not cgroup limits.

use oci_spec::runtime::PosixRlimitType;
use wharf_types::{Error, Result};

use super::super::plan::Ulimit;

/// `HostConfig.ShmSize`: zero is the default of 64 MiB.
pub fn shm_size(bytes: i64) -> Result<u64> {
    match u64::try_from(bytes) {
        Ok(0) => Ok(64 << 20),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(Error::invalid("SHM size can not be less than 0")),
    }
}

/// `HostConfig.OomScoreAdj`.
pub fn oom_score_adj(value: i64) -> Result<i32> {
    let range = -1000..=1000;
    let refused = || Error::invalid(format!("Invalid value {value}, range for oom score adj is [-1000, 1000]"));
    i32::try_from(value).ok().filter(|value| range.contains(value)).ok_or_else(refused)
}

const ULIMITS: [(&str, PosixRlimitType); 15] = [
    ("core", PosixRlimitType::RlimitCore),
    ("cpu", PosixRlimitType::RlimitCpu),
    ("data", PosixRlimitType::RlimitData),
    ("fsize", PosixRlimitType::RlimitFsize),
    ("locks", PosixRlimitType::RlimitLocks),
    ("memlock", PosixRlimitType::RlimitMemlock),
    ("msgqueue", PosixRlimitType::RlimitMsgqueue),
    ("nice", PosixRlimitType::RlimitNice),
    ("nofile", PosixRlimitType::RlimitNofile),
    ("nproc", PosixRlimitType::RlimitNproc),
    ("rss", PosixRlimitType::RlimitRss),
    ("rtprio", PosixRlimitType::RlimitRtprio),
    ("rttime", PosixRlimitType::RlimitRttime),
    ("sigpending", PosixRlimitType::RlimitSigpending),
    ("stack", PosixRlimitType::RlimitStack),
];

/// One entry of `HostConfig.Ulimits`; negative numbers are unlimited.
pub fn ulimit(name: &str, soft: i64, hard: i64) -> Result<Ulimit> {
    let known = ULIMITS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let (_, kind) = known.ok_or_else(|| Error::invalid(format!("invalid ulimit type: {name}")))?;
    let value = |limit: i64| u64::try_from(limit).unwrap_or(u64::MAX);
    if value(soft) > value(hard) {
        return Err(Error::invalid(format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")));
    }
    Ok(Ulimit { kind: *kind, soft: value(soft), hard: value(hard) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!((shm_size(0).unwrap(), shm_size(5).unwrap()), (64 << 20, 5));
        assert_eq!(shm_size(-1).unwrap_err().message(), "SHM size can not be less than 0");
        assert_eq!(oom_score_adj(-1000).unwrap(), -1000);
        assert_eq!(oom_score_adj(1001).unwrap_err().message(), "Invalid value 1001, range for oom score adj is [-1000, 1000]");
    }

    #[test]
    fn ulimits() {
        let unlimited = ulimit("nofile", 1, -1).unwrap();
        assert_eq!((unlimited.kind, unlimited.soft, unlimited.hard), (PosixRlimitType::RlimitNofile, 1, u64::MAX));
        assert_eq!(ulimit("what", 1, 1).unwrap_err().message(), "invalid ulimit type: what");
        assert_eq!(ulimit("core", 2, 1).unwrap_err().message(), "ulimit soft limit must be less than or equal to hard limit: 2 > 1");
        assert!(ulimit("core", -1, 1).is_err());
    }
}
