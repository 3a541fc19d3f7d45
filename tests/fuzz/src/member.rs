//! Members of a tar that say hostile things in a form that every reader accepts: a fuzzer that has to guess checksums first never
//! gets to them.

use arbitrary::Arbitrary;

/// One component of a name.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Part {
    A,
    B,
    C,
    Up,
    Here,
    Empty,
    Hide,
    HideUp,
    HideNothing,
    Opaque,
    Aufs,
    /// The directory beside the root, by its absolute path.
    Outside,
    Canary,
}

/// What a member is.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    Char,
    Block,
    Fifo,
    Contiguous,
    Sparse,
    /// A type byte that nobody uses.
    Other(u8),
}

/// What a PAX header before the member says.
#[derive(Arbitrary, Clone, Debug)]
enum Extra {
    Path(Vec<Part>),
    Link(Vec<Part>),
    Size(u64),
    Owner(i64),
    Time(i64, u32),
    Attribute(Vec<u8>),
    SparseMap(u8, u64, Vec<(u64, u16)>),
    Raw(Vec<u8>),
}

/// One member.
#[derive(Arbitrary, Clone, Debug)]
pub struct Member {
    name: Vec<Part>,
    slash: bool,
    kind: Kind,
    link: Vec<Part>,
    mode: u16,
    owner: Option<u32>,
    data: Vec<u8>,
    /// A length that is not the data's.
    lies: Option<u64>,
    extra: Vec<Extra>,
    device: (u8, u8),
}

/// The tar of `members`. `outside` is an absolute path that they may name.
pub fn archive(members: &[Member], outside: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for member in members.iter().take(24) {
        member.write(&mut out, outside);
    }
    out.extend([0; 1024]);
    out
}

/// Writes the checksum of a header.
pub fn sum(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

impl Member {
    fn write(&self, out: &mut Vec<u8>, outside: &str) {
        let mut records = Vec::new();
        self.extra.iter().take(4).for_each(|e| e.write(&mut records, outside));
        if !records.is_empty() {
            put(out, header(b"pax", b'x', records.len() as u64), &records);
        }
        let (name, link) = (self.own_name(outside), path(&self.link, outside));
        for (long, kind) in [(&name, b'L'), (&link, b'K')] {
            if long.len() > 100 {
                put(out, header(b"././@LongLink", kind, long.len() as u64), long);
            }
        }
        let size = self.lies.unwrap_or(self.data.len() as u64);
        let mut block = header(&name, self.kind.byte(), size);
        let linked = link.len().min(100);
        block[157..157 + linked].copy_from_slice(&link[..linked]);
        octal(&mut block[100..108], u64::from(self.mode));
        octal(&mut block[329..337], self.device.0.into());
        octal(&mut block[337..345], self.device.1.into());
        if let Some(owner) = self.owner {
            // The form for numbers that octal digits do not hold.
            block[108] = 0x80;
            block[112..116].copy_from_slice(&owner.to_be_bytes());
        }
        sum(&mut block);
        put(out, block, &self.data);
    }

    fn own_name(&self, outside: &str) -> Vec<u8> {
        let mut name = path(&self.name, outside);
        if self.slash {
            name.push(b'/');
        }
        name
    }
}

impl Extra {
    fn write(&self, out: &mut Vec<u8>, outside: &str) {
        let record = |key: &str, value: &[u8]| {
            let body = key.len() + value.len() + 3;
            let length = (body + 1..).find(|n| *n == body + n.to_string().len()).unwrap_or(body);
            [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
        };
        match self {
            Self::Path(parts) => out.extend(record("path", &path(parts, outside))),
            Self::Link(parts) => out.extend(record("linkpath", &path(parts, outside))),
            Self::Size(size) => out.extend(record("size", size.to_string().as_bytes())),
            Self::Owner(id) => out.extend(record("uid", id.to_string().as_bytes())),
            Self::Time(seconds, nanos) => out.extend(record("mtime", format!("{seconds}.{nanos}").as_bytes())),
            Self::Attribute(value) => {
                out.extend(record("SCHILY.xattr.user.x", value));
                out.extend(record("SCHILY.xattr.trusted.overlay.redirect", outside.as_bytes()));
            }
            Self::SparseMap(major, size, map) => {
                let text = map.iter().map(|(at, n)| format!("{at},{n}")).collect::<Vec<_>>().join(",");
                out.extend(record("GNU.sparse.major", major.to_string().as_bytes()));
                out.extend(record("GNU.sparse.realsize", size.to_string().as_bytes()));
                out.extend(record("GNU.sparse.map", text.as_bytes()));
            }
            Self::Raw(bytes) => out.extend(bytes),
        }
    }
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::File => b'0',
            Self::HardLink => b'1',
            Self::Symlink => b'2',
            Self::Char => b'3',
            Self::Block => b'4',
            Self::Directory => b'5',
            Self::Fifo => b'6',
            Self::Contiguous => b'7',
            Self::Sparse => b'S',
            Self::Other(byte) => byte,
        }
    }
}

fn path(parts: &[Part], outside: &str) -> Vec<u8> {
    let texts = parts.iter().take(64).map(|part| match part {
        Part::A => "a",
        Part::B => "b",
        Part::C => "c",
        Part::Up => "..",
        Part::Here => ".",
        Part::Empty => "",
        Part::Hide => ".wh.a",
        Part::HideUp => ".wh...",
        Part::HideNothing => ".wh.",
        Part::Opaque => ".wh..wh..opq",
        Part::Aufs => ".wh..wh.plnk",
        Part::Outside => outside,
        Part::Canary => "canary",
    });
    texts.collect::<Vec<_>>().join("/").into_bytes()
}

fn header(name: &[u8], kind: u8, size: u64) -> [u8; 512] {
    let mut block = [0; 512];
    let length = name.len().min(100);
    block[..length].copy_from_slice(&name[..length]);
    octal(&mut block[100..108], 0o644);
    octal(&mut block[108..116], 0);
    octal(&mut block[116..124], 0);
    if size < 1 << 33 {
        octal(&mut block[124..136], size);
    } else {
        block[124] = 0x80;
        block[128..136].copy_from_slice(&size.to_be_bytes());
    }
    octal(&mut block[136..148], 1_700_000_000);
    block[156] = kind;
    block[257..265].copy_from_slice(if kind == b'S' { b"ustar  \0" } else { b"ustar\x0000" });
    sum(&mut block);
    block
}

fn octal(field: &mut [u8], value: u64) {
    let text = format!("{value:0width$o}\0", width = field.len() - 1);
    let from = text.len().saturating_sub(field.len());
    field.copy_from_slice(&text.as_bytes()[from..]);
}

fn put(out: &mut Vec<u8>, block: [u8; 512], data: &[u8]) {
    out.extend(block);
    out.extend(data);
    out.resize(out.len().next_multiple_of(512), 0);
}
