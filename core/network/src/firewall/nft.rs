//! nftables through the `nft` program: one table per bridge, replaced as a whole in one transaction.
//!
//! Other tables on the same hooks still have their say: an accept here does not lift a drop there.

use super::{Firewall, Ruleset};
use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
};
use wharf_types::{Error, Result, error::Context};

/// Runs `nft -f -`.
pub struct Nft {
    program: PathBuf,
}

impl Default for Nft {
    /// `nft` from the `PATH`.
    fn default() -> Self {
        Self::new("nft")
    }
}

impl Nft {
    /// Uses this program.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }

    /// Executes a script; the kernel takes all of it or nothing.
    fn run(&self, script: &str) -> Result<()> {
        let name = self.program.display();
        let mut child = Command::new(&self.program)
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| match e.kind() {
                io::ErrorKind::NotFound => Error::system(format!("{name}: program not found (it belongs to the package nftables)")),
                _ => Error::system(format!("{name}: {e}")).with_source(e),
            })?;
        // A script fits a pipe's buffer, so this cannot wait for a program that waits for us to read its errors. A program that
        // ends without reading tells why on stderr.
        let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(script.as_bytes()));
        let output = child.wait_with_output().context(&name)?;
        if output.status.success() {
            return written.context(name);
        }
        let text = String::from_utf8_lossy(&output.stderr);
        Err(Error::system(format!("{name}: {}", text.lines().next().unwrap_or("failed without a message"))))
    }
}

impl Firewall for Nft {
    fn apply(&self, rules: &Ruleset) -> Result<()> {
        self.run(&render(rules))
    }

    fn clear(&self, bridge: &str) -> Result<()> {
        self.run(&format!("table ip {bridge}\ndelete table ip {bridge}\n"))
    }
}

/// The whole table. Naming it first makes the `delete` succeed when it did not exist.
fn render(rules: &Ruleset) -> String {
    let Ruleset { bridge, subnet, masquerade, icc } = rules;
    let mut out = format!("table ip {bridge}\ndelete table ip {bridge}\ntable ip {bridge} {{\n");
    let between = if *icc { "accept" } else { "drop" };
    // Bridged packets come by here only where br_netfilter is on; ports of a bridge without icc are isolated besides.
    // Nobody outside may open connections to a container: what should be reachable is published.
    let _ = write!(
        out,
        "\tchain forward {{
\t\ttype filter hook forward priority filter; policy accept;
\t\toifname \"{bridge}\" ct state established,related accept
\t\tiifname \"{bridge}\" oifname \"{bridge}\" {between}
\t\tiifname \"{bridge}\" accept
\t\toifname \"{bridge}\" drop
\t}}
"
    );
    if *masquerade {
        let _ = write!(
            out,
            "\tchain postrouting {{
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\tip saddr {subnet} oifname != \"{bridge}\" masquerade
\t}}
"
        );
    }
    out.push_str("}\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(masquerade: bool, icc: bool) -> Ruleset {
        Ruleset { bridge: "wharf0".to_owned(), subnet: "172.17.0.0/16".parse().unwrap(), masquerade, icc }
    }

    /// Whether the real program takes it (`-c` changes nothing).
    fn check(script: &str) {
        let mut child = Command::new("nft").args(["-c", "-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}\n{script}", String::from_utf8_lossy(&output.stderr));
    }

    #[test]
    fn the_table() {
        let script = render(&rules(true, true));
        check(&script);
        insta::assert_snapshot!(script, @r#"
        table ip wharf0
        delete table ip wharf0
        table ip wharf0 {
        	chain forward {
        		type filter hook forward priority filter; policy accept;
        		oifname "wharf0" ct state established,related accept
        		iifname "wharf0" oifname "wharf0" accept
        		iifname "wharf0" accept
        		oifname "wharf0" drop
        	}
        	chain postrouting {
        		type nat hook postrouting priority srcnat; policy accept;
        		ip saddr 172.17.0.0/16 oifname != "wharf0" masquerade
        	}
        }
        "#);
    }

    #[test]
    fn without_masquerade_and_icc() {
        let script = render(&rules(false, false));
        check(&script);
        assert!(script.contains("iifname \"wharf0\" oifname \"wharf0\" drop\n"));
        assert!(!script.contains("masquerade"));
    }

    #[test]
    fn failures_say_why() {
        let e = Nft::new("/nowhere/nft").apply(&rules(true, true)).unwrap_err();
        assert_eq!(e.message(), "/nowhere/nft: program not found (it belongs to the package nftables)");
        let e = Nft::default().run("no such statement\n").unwrap_err();
        assert!(e.message().contains("syntax error"), "{e}");
        // A program that fails without reading its input.
        assert_eq!(Nft::new("false").run("x").unwrap_err().message(), "false: failed without a message");
    }
}
