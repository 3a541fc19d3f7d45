//! A root directory and its neighbour.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What the file outside holds. No target makes it, so where it turns up somebody has read the file.
pub const CANARY: &str = "a canary that sings outside only";

/// `root`, which a target may do anything to, and `outside/canary`, which it may not touch.
pub struct Sandbox {
    // Kept: the directory goes with it.
    _dir: tempfile::TempDir,
    root: PathBuf,
    guarded: Vec<PathBuf>,
    before: Vec<[i64; 8]>,
}

impl Sandbox {
    /// Makes one in the temporary directory.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir(&root).and_then(|()| fs::create_dir(&outside)).expect("directories");
        fs::write(outside.join("canary"), CANARY).expect("the canary");
        let guarded = vec![dir.path().to_owned(), outside.join("canary"), outside];
        let before = facts(&guarded);
        Self { _dir: dir, root, guarded, before }
    }

    /// The directory to work in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory beside it.
    pub fn outside(&self) -> PathBuf {
        self.root.with_file_name("outside")
    }

    /// Empties the root.
    pub fn empty(&self) {
        for entry in fs::read_dir(&self.root).expect("the root").flatten() {
            let gone =
                if entry.file_type().is_ok_and(|t| t.is_dir()) { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
            gone.expect("empty the root");
        }
    }

    /// Fails unless everything around the root is as it was: any change leaves another change time, any link another count.
    pub fn check(&self) {
        assert_eq!(facts(&self.guarded), self.before, "something outside of the root was touched: {:?}", self.guarded);
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

fn facts(paths: &[PathBuf]) -> Vec<[i64; 8]> {
    let of = |path: &PathBuf| {
        let m = fs::symlink_metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let numbers = [m.ino(), m.nlink(), m.mode().into(), m.uid().into(), m.size()].map(|n| n as i64);
        let [a, b, c, d, e] = numbers;
        [a, b, c, d, e, m.ctime(), m.ctime_nsec(), m.mtime()]
    };
    paths.iter().map(of).collect()
}
