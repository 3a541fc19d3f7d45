//! A blocking rtnetlink socket: several requests travel in one datagram, and the kernel has answered them all when the send
//! returns, so nothing here ever waits.
//!
//! The messages themselves are built in [`message`].

pub(crate) mod message;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::{
    fmt, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// Room for one datagram of answers; the kernel makes dump parts of at most this size for a reader of this size.
const BUFFER: usize = 32 * 1024;

/// One change to make.
pub(crate) struct Request {
    /// What it does, for error texts: "create the bridge".
    pub what: &'static str,
    pub message: RouteNetlinkMessage,
    /// `NLM_F_*` besides request and acknowledgement.
    pub flags: u16,
}

/// The kernel's refusal of one request.
#[derive(Debug)]
pub(crate) struct Refused {
    what: &'static str,
    cause: io::Error,
}

impl Refused {
    pub fn errno(&self) -> Option<i32> {
        self.cause.raw_os_error()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.cause)
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// A socket in the network namespace of the thread that opened it.
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    pub fn open() -> io::Result<Self> {
        // NETLINK_ROUTE is protocol 0, the default.
        let fd = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        Ok(Self { fd, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// Makes all changes, in order. The kernel goes on after a refusal; the first one is reported.
    pub fn batch(&mut self, requests: Vec<Request>) -> Result<(), Refused> {
        if requests.is_empty() {
            return Ok(());
        }
        let mut datagram = Vec::with_capacity(512);
        let first = self.sequence.wrapping_add(1);
        let names: Vec<&'static str> = requests.iter().map(|r| r.what).collect();
        for request in requests {
            self.append(&mut datagram, request.message, request.flags | NLM_F_ACK);
        }
        let what = |i: usize| names.get(i).copied().unwrap_or("netlink request");
        self.send(&datagram).map_err(|cause| Refused { what: what(0), cause })?;
        let mut open = names.len();
        let mut refused = None;
        while open > 0 {
            for answer in self.receive().map_err(|cause| Refused { what: what(0), cause })? {
                let NetlinkPayload::Error(e) = answer.payload else { continue };
                open = open.saturating_sub(1);
                if e.code.is_some() && refused.is_none() {
                    let index = answer.header.sequence_number.wrapping_sub(first) as usize;
                    refused = Some(Refused { what: what(index), cause: e.to_io() });
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// All objects of the kind that `query` asks for.
    pub fn dump(&mut self, query: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut datagram = Vec::new();
        self.append(&mut datagram, query, NLM_F_DUMP);
        self.send(&datagram)?;
        let mut found = Vec::new();
        loop {
            for answer in self.receive()? {
                match answer.payload {
                    NetlinkPayload::InnerMessage(m) => found.push(m),
                    NetlinkPayload::Done(_) => return Ok(found),
                    NetlinkPayload::Error(e) => return Err(e.to_io()),
                    _ => {}
                }
            }
        }
    }

    fn append(&mut self, datagram: &mut Vec<u8>, message: RouteNetlinkMessage, flags: u16) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        message.finalize();
        let start = datagram.len();
        datagram.resize(start + message.buffer_len().next_multiple_of(4), 0);
        if let Some(place) = datagram.get_mut(start..) {
            message.serialize(place);
        }
    }

    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        net::send(&self.fd, datagram, SendFlags::empty())?;
        Ok(())
    }

    /// The messages of one datagram.
    fn receive(&mut self) -> io::Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
        let (_, len) = net::recv(&self.fd, self.buffer.as_mut_slice(), RecvFlags::empty())?;
        let mut rest = self.buffer.get(..len).unwrap_or_default();
        let mut messages = Vec::new();
        while !rest.is_empty() {
            let message = NetlinkMessage::deserialize(rest).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
            let length = (message.header.length as usize).next_multiple_of(4);
            rest = rest.get(length.max(4)..).unwrap_or_default();
            messages.push(message);
        }
        Ok(messages)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
