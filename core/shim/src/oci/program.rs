//! Finding a program the way runc does (Go's `exec.LookPath`), with its words for failures.

use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The file that `name` stands for, or runc's text: `exec: "nosuch": executable file not found in $PATH`.
pub fn find(name: &str, path: &str) -> Result<PathBuf, String> {
    if name.contains('/') {
        return check(Path::new(name)).map(|()| name.into()).map_err(|why| format!("exec: {}: {why}", quote(name)));
    }
    let directories = path.split(':').map(|dir| if dir.is_empty() { "." } else { dir });
    let found = directories.map(|dir| Path::new(dir).join(name)).find(|file| check(file).is_ok());
    found.ok_or_else(|| format!("exec: {}: executable file not found in $PATH", quote(name)))
}

/// Go's `%q`, for the characters that occur.
fn quote(name: &str) -> String {
    format!("{name:?}")
}

fn check(file: &Path) -> Result<(), String> {
    let metadata = fs::metadata(file).map_err(|e| format!("stat {}: {}", file.display(), strerror(&e)))?;
    if metadata.is_dir() {
        return Err("is a directory".to_owned());
    }
    // With the effective ids and capabilities, as execve(2) will look.
    accessat(CWD, file, Access::EXEC_OK, AtFlags::EACCESS).map_err(|_| "permission denied".to_owned())
}

/// The kernel's text as Go prints it: lower case, without the number.
pub fn strerror(e: &io::Error) -> String {
    let text = e.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fails_in_the_words_that_clients_parse() {
        assert_eq!(find("nosuch", "/bin:/usr/bin").unwrap_err(), r#"exec: "nosuch": executable file not found in $PATH"#);
        assert_eq!(find("/etc", "").unwrap_err(), r#"exec: "/etc": is a directory"#);
        assert_eq!(find("/no/such", "").unwrap_err(), r#"exec: "/no/such": stat /no/such: no such file or directory"#);
        assert_eq!(find("/etc/passwd", "").unwrap_err(), r#"exec: "/etc/passwd": permission denied"#);
        assert_eq!(find("passwd", "/etc").unwrap_err(), r#"exec: "passwd": executable file not found in $PATH"#);
        assert_eq!(find("sh", "/nosuch:/bin").unwrap(), Path::new("/bin/sh"));
    }
}
