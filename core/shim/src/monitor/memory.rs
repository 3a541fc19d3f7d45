//! Being told when the kernel kills a process of the container for want of memory.

use super::{INIT, Monitor};
use crate::cgroup::Cgroup;
use rustix::{
    event::{EventfdFlags, eventfd},
    fs::inotify,
    io::read,
};
use std::{
    fs::{self, File},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};
use wharf_shim_proto::Event;

/// A descriptor that is readable when memory events may have happened.
pub struct MemoryWatch {
    fd: OwnedFd,
    /// The kills that were told.
    told: u64,
    /// Whether events precede the kills that they are about.
    early: bool,
}

impl AsFd for MemoryWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl MemoryWatch {
    /// None where the host offers no such thing.
    pub fn open(cgroup: &Cgroup) -> Option<Self> {
        let file = cgroup.memory_events()?;
        let early = !file.ends_with("memory.events");
        let fd = if !early {
            let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).ok()?;
            inotify::add_watch(&fd, &file, inotify::WatchFlags::MODIFY).ok()?;
            fd
        } else {
            // v1: the kernel signals an eventfd that is registered with the file.
            let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok()?;
            let control = File::open(&file).ok()?;
            let text = format!("{} {}", fd.as_raw_fd(), control.as_raw_fd());
            fs::write(file.with_file_name("cgroup.event_control"), text).ok()?;
            fd
        };
        Some(Self { fd, told: 0, early })
    }
}

impl Monitor {
    /// Something happened to the container's memory: tells if it was a kill.
    pub(super) fn memory_event(&mut self) {
        let Some(memory) = &self.memory else { return };
        let mut buffer = [0; 4096];
        while read(&memory.fd, &mut buffer).is_ok_and(|n| n == buffer.len()) {}
        // v1 tells before it kills, and once more when the cgroup is removed.
        let coming = u64::from(memory.early);
        self.tell_kills(self.cgroup.oom_kills().max(memory.told + coming));
    }

    /// Tells that the kernel has killed so many, unless that is known.
    pub(super) fn tell_kills(&mut self, kills: u64) {
        let alive = self.processes.get(&INIT).is_some_and(|p| p.exit.is_none());
        if let Some(memory) = self.memory.as_mut().filter(|m| alive && kills > m.told) {
            memory.told = kills;
            self.broadcast(Event::Oom);
        }
    }
}
