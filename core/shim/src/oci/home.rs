//! The `HOME` of a process that was given none. Reads the container's passwd file itself: the C library would load modules named by
//! the container's `nsswitch.conf`.

use std::fs;

/// The environment with `HOME`, for the user of this process, from the file system of this process.
pub fn complete(mut env: Vec<String>, uid: u32) -> Vec<String> {
    let home = env.iter().rev().find_map(|e| e.strip_prefix("HOME=")).unwrap_or("").to_owned();
    if home.is_empty() {
        env.retain(|e| !e.starts_with("HOME="));
        let passwd = fs::read("/etc/passwd").unwrap_or_default();
        env.push(format!("HOME={}", in_passwd(&String::from_utf8_lossy(&passwd), uid).unwrap_or("/")));
    }
    env
}

fn in_passwd(passwd: &str, uid: u32) -> Option<&str> {
    let uid = uid.to_string();
    passwd.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        (fields.get(2) == Some(&uid.as_str())).then(|| fields.get(5).copied()).flatten().filter(|home| !home.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwd_gives_the_directory() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\napp:x:7:7::/srv:/bin/false\n";
        assert_eq!((in_passwd(passwd, 7), in_passwd(passwd, 8)), (Some("/srv"), None));
        assert_eq!(complete(vec!["HOME=/x".into()], 0), ["HOME=/x"]);
    }
}
