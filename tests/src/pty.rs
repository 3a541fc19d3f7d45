//! A client program on a terminal of its own, for everything that behaves differently there (`-it`, detach keys, resize).

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::Winsize;

use crate::{command, poll, sys};

/// A running program and the master side of its terminal.
pub struct Pty {
    child: Child,
    master: File,
    seen: Arc<Mutex<String>>,
}

impl Pty {
    /// Starts `command` on a new terminal of 24 rows and 80 columns.
    pub fn spawn(mut command: Command) -> Pty {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap();
        let tty = rustix::fs::open(path.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let tty = Arc::new(tty);
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&tty, size).unwrap();
        command.stdin(tty.try_clone().unwrap()).stdout(tty.try_clone().unwrap()).stderr(tty.try_clone().unwrap());
        sys::own_terminal(&mut command, tty.clone());
        let child = command.spawn().unwrap();
        let master = File::from(master);
        let seen = Arc::new(Mutex::new(String::new()));
        let (mut reader, sink) = (master.try_clone().unwrap(), seen.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The master answers EIO once the last process left the terminal.
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                sink.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
        });
        Pty { child, master, seen }
    }

    /// Types.
    pub fn send(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen has shown `text`.
    #[track_caller]
    pub fn expect(&self, text: &str) {
        let shown = poll::within(poll::PATIENCE, || self.seen.lock().unwrap().contains(text).then_some(()));
        assert!(shown.is_some(), "terminal never showed {text:?}: {:?}", self.seen());
    }

    /// Changes the window size; the kernel tells the program.
    pub fn resize(&self, rows: u16, columns: u16) {
        rustix::termios::tcsetwinsize(&self.master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    }

    /// Everything shown so far.
    pub fn seen(&self) -> String {
        self.seen.lock().unwrap().clone()
    }

    /// Waits for the end and returns the exit code.
    #[track_caller]
    pub fn wait(&mut self) -> i32 {
        let status = poll::within(poll::PATIENCE, || self.child.try_wait().unwrap());
        command::code(status.unwrap_or_else(|| panic!("still running; terminal: {:?}", self.seen())))
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|s| s.is_none()) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}
