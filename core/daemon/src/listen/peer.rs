//! The process at the other end of a unix socket: as whom it connected, and in which containers.

use super::sys;
use std::{fs, io};
use tokio::net::UnixStream;
use wharf_spi::authz::PeerCred;

/// Asks the kernel about the client of a connection.
///
/// # Errors
/// As getsockopt(2).
pub(super) fn of(stream: &UnixStream) -> io::Result<PeerCred> {
    let (peer, groups) = (stream.peer_cred()?, sys::peer_groups(stream)?);
    let pid = peer.pid().unwrap_or(0);
    let containers = if pid == 0 { Some(Vec::new()) } else { containers(stream, pid) };
    Ok(PeerCred { uid: peer.uid(), gid: peer.gid(), groups, pid, containers })
}

/// Names of its control groups that could be containers' ids; none when the process is gone. It may be gone on purpose: one that
/// connects, hands the connection to another and ends would not be known for what it is.
fn containers(stream: &UnixStream, pid: i32) -> Option<Vec<String>> {
    let process = sys::peer_process(stream).ok()?;
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let it_was = process.is_none_or(|process| sys::is_there(&process));
    it_was.then(|| ids(&groups))
}

/// The 64 hexadecimal digits that engines name a container's group by, whatever stands before and after them
/// (`/docker/ID`, `/system.slice/docker-ID.scope`), in the order of the paths.
fn ids(groups: &str) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for path in groups.lines().filter_map(|line| line.splitn(3, ':').nth(2)) {
        for name in path.split('/') {
            let name = name.strip_suffix(".scope").unwrap_or(name);
            let name = name.rsplit('-').next().unwrap_or(name);
            let is_id = name.len() == 64 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            if is_id && ids.iter().all(|known| known != name) {
                ids.push(name.to_owned());
            }
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt as _;

    #[test]
    fn ids_in_control_groups() {
        let (a, b) = ("a".repeat(64), "0".repeat(64));
        let text = format!("12:pids:/docker/{a}/wharf/{b}\n1:name=systemd:/system.slice/docker-{a}.scope\n0::/init.scope\n");
        assert_eq!(ids(&text), [a, b]);
        assert!(ids("0::/user.slice/user-0.slice/session-1.scope\n11:cpu:/\n").is_empty());
    }

    #[tokio::test]
    async fn a_client_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        // It connects and ends at once; the connection lives on in its child.
        let script =
            "import os,socket,sys,time\ns=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\nif os.fork()==0:\n    time.sleep(60)";
        let mut client = std::process::Command::new("python3").args(["-c", script]).arg(&path).process_group(0).spawn().unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let there = of(&stream).unwrap();
        client.wait().unwrap();
        let gone = of(&stream).unwrap();
        nix::sys::signal::killpg(nix::unistd::Pid::from_raw(client.id() as i32), nix::sys::signal::Signal::SIGKILL).unwrap();
        assert!(there.containers.is_some() && gone.pid == there.pid && gone.containers.is_none(), "{there:?} {gone:?}");
    }
}
