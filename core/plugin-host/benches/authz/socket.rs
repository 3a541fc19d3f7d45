//! A plugin of Docker's protocol on a unix socket, as quick as one can be: it answers without looking, in a thread of its own. What is
//! measured is the way there and back.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::Arc,
    thread,
};
use wharf_plugin_host::legacy::{Address, Http, LegacyPlugin, Timeouts};
use wharf_spi::authz::Authorizer;

fn serve(mut stream: UnixStream) {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let (mut filled, mut length) = (0, None);
        while length.is_none_or(|length| filled < length) {
            match stream.read(&mut bytes[filled..]) {
                Ok(0) | Err(_) => return,
                Ok(read) => filled += read,
            }
            if let Some(head) = bytes[..filled].windows(4).position(|w| w == b"\r\n\r\n") {
                let text = std::str::from_utf8(&bytes[..head]).unwrap().to_ascii_lowercase();
                let body = text.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
                length = Some(head + 4 + body);
            }
        }
        let answer = if bytes.starts_with(b"POST /Plugin.Activate") { r#"{"Implements":["authz"]}"# } else { r#"{"Allow":true}"# };
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()).unwrap();
    }
}

/// Its authorizer, activated.
pub async fn plugin(dir: &Path) -> Arc<dyn Authorizer> {
    let socket = dir.join("x.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(thread::spawn(|| serve(stream)))));
    let http = Arc::new(Http::new(&Address::unix(&socket)).unwrap());
    LegacyPlugin::activate("x", http, Timeouts::default()).await.unwrap().authorizer().unwrap()
}
