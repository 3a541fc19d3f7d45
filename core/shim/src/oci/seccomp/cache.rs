//! Compiled filters by profile, in files under the runtime's root. Best effort: without it filters are only slower to make.

use super::{Filter, INSTRUCTION, MOST, SUM, compile, flags};
use libseccomp::ScmpVersion;
use oci_spec::runtime::LinuxSeccomp;
use rustix::{
    fs::{FileType, Mode, OFlags, fstat},
    process::geteuid,
    system::uname,
};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    time::SystemTime,
};
use wharf_types::{Digest, Result};

/// Below the runtime's root.
pub const DIRECTORY: &str = "seccomp";
/// Raised when the same profile is to give another file.
const FORMAT: u32 = 1;
/// How many are kept. A host has one profile for each set of capabilities in use, mostly, and the custom ones.
const KEPT: usize = 64;

/// The filter of a profile: the kept one, or a new one, which is then kept.
pub fn get(dir: &Path, profile: &LinuxSeccomp) -> Result<Filter> {
    let name = name(profile)?;
    if let Some(filter) = read(&dir.join(&name)) {
        return Ok(filter);
    }
    let filter = Filter { flags: flags(profile), program: compile::compile(profile)? };
    // The filter at hand is as good without its file.
    let _ = keep(dir, &name, &filter);
    Ok(filter)
}

/// Tells apart all that the program depends on: the profile, libseccomp's tables, and which of its features the kernel has.
fn name(profile: &LinuxSeccomp) -> Result<String> {
    let version = ScmpVersion::current().map_err(crate::oci::failed)?;
    let kernel = uname();
    let facts =
        (FORMAT, (version.major, version.minor, version.micro), kernel.machine().to_string_lossy(), kernel.release().to_string_lossy());
    Ok(Digest::of(&serde_json::to_vec(&(facts, profile))?).hex().to_owned())
}

/// Only what nobody else can have written, and what is whole.
fn read(path: &Path) -> Option<Filter> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    let status = fstat(&file).ok()?;
    let private = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile && status.st_mode & 0o077 == 0;
    if !private || status.st_uid != geteuid().as_raw() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take((SUM + size_of::<u32>() + MOST * INSTRUCTION + 1) as u64).read_to_end(&mut bytes).ok()?;
    // A file is only ever written for a profile; "no filter" is not a valid content.
    Filter::decode(&bytes).ok().filter(|filter| !filter.program.is_empty())
}

fn keep(dir: &Path, name: &str, filter: &Filter) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let temporary = dir.join(format!("{name}.{}", std::process::id()));
    // Of a process that had our number and was killed.
    let _ = fs::remove_file(&temporary);
    let written =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).and_then(|mut f| f.write_all(&filter.encode()));
    let kept = written.and_then(|()| fs::rename(&temporary, dir.join(name)));
    if kept.is_err() {
        let _ = fs::remove_file(&temporary);
        return kept;
    }
    limit(dir)
}

/// Removes the oldest files beyond the number that is kept, unfinished ones among them.
fn limit(dir: &Path) -> io::Result<()> {
    let entries =
        fs::read_dir(dir)?.flatten().map(|e| (e.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH), e.path()));
    let mut files: Vec<_> = entries.collect();
    files.sort();
    files.iter().rev().skip(KEPT).try_for_each(|(_, path)| fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    fn profile(text: &str) -> LinuxSeccomp {
        serde_json::from_str(text).unwrap()
    }

    fn simple(errno: u32) -> LinuxSeccomp {
        let rule = format!(r#"{{"names": ["mkdir", "nosuchcall"], "action": "SCMP_ACT_ERRNO", "errnoRet": {errno}}}"#);
        profile(&format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"], "syscalls": [{rule}]}}"#))
    }

    fn files(dir: &Path) -> Vec<std::path::PathBuf> {
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect()
    }

    #[test]
    fn is_made_once_and_private() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join(DIRECTORY);
        let made = get(&dir, &simple(5)).unwrap();
        assert_eq!((made.flags, made.program.len() % INSTRUCTION), (2, 0));
        let [file] = files(&dir).try_into().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&file)), (0o700, 0o600));
        // What is in the file is what is used.
        let other = Filter { flags: 0, program: vec![6, 0, 0, 0, 0, 0, 0xff, 0x7f] };
        fs::write(&file, other.encode()).unwrap();
        assert_eq!(get(&dir, &simple(5)).unwrap(), other);
        assert_ne!(get(&dir, &simple(6)).unwrap().program, made.program);
        assert_eq!(files(&dir).len(), 2);
    }

    #[test]
    fn damaged_and_foreign_files_are_made_anew() {
        let root = tempfile::tempdir().unwrap();
        let made = get(root.path(), &simple(5)).unwrap();
        let [file] = files(root.path()).try_into().unwrap();
        let planted = Filter { flags: 0, program: vec![6, 0, 0, 0, 0, 0, 0xff, 0x7f] };
        let elsewhere = root.path().join("elsewhere");
        fs::write(&elsewhere, planted.encode()).unwrap();
        let spoil: [&dyn Fn(); 6] = [
            &|| fs::write(&file, &made.encode()[..90]).unwrap(),
            &|| fs::write(&file, Filter::default().encode()).unwrap(),
            &|| fs::write(&file, "").unwrap(),
            &|| {
                fs::write(&file, planted.encode()).unwrap();
                fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).unwrap();
            },
            &|| {
                fs::write(&file, planted.encode()).unwrap();
                chown(&file, Some(1000), None).unwrap();
            },
            &|| {
                fs::remove_file(&file).unwrap();
                symlink(&elsewhere, &file).unwrap();
            },
        ];
        for spoil in spoil {
            spoil();
            assert_eq!(get(root.path(), &simple(5)).unwrap(), made);
            assert_eq!(read(&file).unwrap(), made);
        }
    }

    #[test]
    fn old_ones_make_room() {
        let root = tempfile::tempdir().unwrap();
        for errno in 1..=KEPT as u32 + 5 {
            get(root.path(), &simple(errno)).unwrap();
        }
        assert_eq!(files(root.path()).len(), KEPT);
        assert!(read(&root.path().join(name(&simple(KEPT as u32 + 5)).unwrap())).is_some());
    }

    #[test]
    fn works_without_a_place() {
        assert!(!get(Path::new("/proc/nowhere"), &simple(5)).unwrap().program.is_empty());
    }
}
