//! What daemon and monitor say to each other, and the records that a monitor leaves: any bytes are decoded or refused, and what was
//! decoded survives being encoded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fmt::Debug;
use wharf_shim_proto::{CreatedRecord, ExitRecord, Launch, Message, ProcessRef, Request, frame};

fuzz_target!(|input: &[u8]| {
    // As a stream of frames, and as the body of one.
    let mut rest = input;
    while let Ok(Some((body, used))) = frame::split(rest) {
        assert_eq!(body.len() + frame::HEADER, used);
        all(body);
        rest = &rest[used..];
    }
    all(input);
    if let Ok(text) = str::from_utf8(input) {
        let _ = ProcessRef::from_stat(text);
        if let Ok(process) = text.parse::<ProcessRef>() {
            assert_eq!(process.to_string().parse::<ProcessRef>().ok(), Some(process));
        }
    }
});

fn all(body: &[u8]) {
    one::<Request>(body);
    one::<Message>(body);
    one::<Launch>(body);
    one::<ExitRecord>(body);
    one::<CreatedRecord>(body);
}

fn one<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug>(body: &[u8]) {
    let Ok(value) = frame::parse::<T>(body) else { return };
    // Escapes make a body longer than it came.
    let Ok(encoded) = frame::encode(&value) else { return };
    let (body, used) = frame::split(&encoded).expect("a frame").expect("a whole frame");
    assert_eq!(used, encoded.len());
    assert_eq!(frame::parse::<T>(body).expect("what was encoded"), value);
}
