//! Writing the tar of one layer, including members that a polite library refuses to write.

use tar::{Builder, EntryType, Header};

/// A layer under construction.
pub struct Layer(Builder<Vec<u8>>);

impl Default for Layer {
    fn default() -> Self {
        Layer::new()
    }
}

impl Layer {
    /// An empty layer.
    pub fn new() -> Layer {
        Layer(Builder::new(Vec::new()))
    }

    /// A directory.
    pub fn dir(self, path: &str, mode: u32) -> Layer {
        self.put(path, EntryType::Directory, mode, (0, 0), "", b"")
    }

    /// A file of root.
    pub fn file(self, path: &str, mode: u32, content: &[u8]) -> Layer {
        self.put(path, EntryType::Regular, mode, (0, 0), "", content)
    }

    /// A file of somebody.
    pub fn owned(self, path: &str, mode: u32, owner: (u64, u64), content: &[u8]) -> Layer {
        self.put(path, EntryType::Regular, mode, owner, "", content)
    }

    /// A symbolic link.
    pub fn symlink(self, path: &str, target: &str) -> Layer {
        self.put(path, EntryType::Symlink, 0o777, (0, 0), target, b"")
    }

    /// A hard link to an earlier member.
    pub fn hardlink(self, path: &str, target: &str) -> Layer {
        self.put(path, EntryType::Link, 0o644, (0, 0), target, b"")
    }

    /// A character device.
    pub fn device(mut self, path: &str, mode: u32, (major, minor): (u32, u32)) -> Layer {
        let mut header = header(EntryType::Char, mode, (0, 0), 0);
        header.set_device_major(major).unwrap();
        header.set_device_minor(minor).unwrap();
        self.0.append_data(&mut header, path, &b""[..]).unwrap();
        self
    }

    /// A named pipe.
    pub fn fifo(self, path: &str, mode: u32) -> Layer {
        self.put(path, EntryType::Fifo, mode, (0, 0), "", b"")
    }

    /// A file with an extended attribute.
    pub fn with_xattr(mut self, path: &str, mode: u32, name: &str, value: &[u8], content: &[u8]) -> Layer {
        self.0.append_pax_extensions([(format!("SCHILY.xattr.{name}").as_str(), value)]).unwrap();
        self.file(path, mode, content)
    }

    /// A file as GNU tar writes a sparse one: `size` bytes of which only `data` at `offset` is stored.
    pub fn sparse(mut self, path: &str, size: u64, offset: u64, data: &[u8]) -> Layer {
        assert!(offset.is_multiple_of(512), "the map counts in blocks");
        let mut header = header(EntryType::GNUSparse, 0o644, (0, 0), data.len() as u64);
        let name = path.as_bytes();
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..name.len()].copy_from_slice(name);
        octal(&mut gnu.sparse[0].offset, offset);
        octal(&mut gnu.sparse[0].numbytes, data.len() as u64);
        octal(&mut gnu.sparse[1].offset, size);
        octal(&mut gnu.sparse[1].numbytes, 0);
        octal(&mut gnu.realsize, size);
        header.set_cksum();
        self.0.append(&header, data).unwrap();
        self
    }

    /// The same in the POSIX way (version 1.0): the map is the first block of the data, the true name and size are extensions.
    pub fn sparse_posix(mut self, path: &str, size: u64, offset: u64, data: &[u8]) -> Layer {
        let size = size.to_string();
        let extensions = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", path), ("GNU.sparse.realsize", &size)];
        self.0.append_pax_extensions(extensions.map(|(k, v)| (k, v.as_bytes()))).unwrap();
        let mut stored = format!("2\n{offset}\n{}\n{size}\n0\n", data.len()).into_bytes();
        stored.resize(512, 0);
        stored.extend(data);
        self.file(&format!("GNUSparseFile.0/{path}"), 0o644, &stored)
    }

    /// Deletes `name` of the layers below.
    pub fn whiteout(self, dir: &str, name: &str) -> Layer {
        self.file(&format!("{dir}.wh.{name}"), 0o600, b"")
    }

    /// Hides everything that the layers below have in `dir`.
    pub fn opaque(self, dir: &str) -> Layer {
        self.file(&format!("{dir}/.wh..wh..opq"), 0o600, b"")
    }

    /// A member whose name and target are written byte for byte, whatever they say.
    pub fn raw(mut self, path: &str, kind: EntryType, target: &str, content: &[u8]) -> Layer {
        let mut header = header(kind, 0o644, (0, 0), content.len() as u64);
        let old = header.as_old_mut();
        old.name[..path.len()].copy_from_slice(path.as_bytes());
        old.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    /// The finished tar.
    pub fn finish(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    fn put(mut self, path: &str, kind: EntryType, mode: u32, owner: (u64, u64), target: &str, content: &[u8]) -> Layer {
        let mut header = header(kind, mode, owner, content.len() as u64);
        if target.is_empty() {
            self.0.append_data(&mut header, path, content).unwrap();
        } else {
            self.0.append_link(&mut header, path, target).unwrap();
        }
        self
    }
}

fn header(kind: EntryType, mode: u32, (uid, gid): (u64, u64), size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(uid);
    header.set_gid(gid);
    header.set_mtime(1_700_000_000);
    header.set_size(size);
    header
}

fn octal(field: &mut [u8; 12], value: u64) {
    field.copy_from_slice(format!("{value:011o}\0").as_bytes());
}
