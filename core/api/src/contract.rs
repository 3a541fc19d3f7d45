//! What a row of the table promises: its query parameters, its body, its answers.
//!
//! An endpoint declares them once, in its [`Row`](crate::Row), and reads nothing else: a parameter that is not declared is a panic
//! in debug builds, and so is a body of another type. From the declarations come the pages of the reference and the OpenAPI
//! description (`openapi.rs`).

use std::any::TypeId;
use wharf_api_types::ApiVersion;

/// A query parameter.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// How it is read.
    pub kind: Kind,
    /// Whether a request without it is refused.
    pub required: bool,
    /// First API version 1.x that reads it; 0 for all.
    pub since: u16,
    /// First API version 1.x that reads it no more.
    pub until: Option<u16>,
}

/// How a query parameter is read.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Text; empty is absent.
    Text,
    /// Everything is true except `0`, `no`, `false`, `none` and nothing.
    Flag,
    /// A whole number.
    Integer,
    /// Text, several times.
    List,
    /// One of some words.
    Word(&'static [&'static str]),
    /// Some of some words, each a parameter of its own.
    Words(&'static [&'static str]),
    /// A JSON document.
    Json(Shape),
    /// JSON documents, each a parameter of its own.
    JsonList(Shape),
    /// Filters with these keys; with any keys when there are none.
    Filters(&'static [&'static str]),
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $kind:ident $(($arg:ident: $ty:ty))?;)*) => {
        $($(#[$doc])*
        pub const fn $name(name: &'static str $(, $arg: $ty)?) -> Param {
            Param { name, kind: Kind::$kind $(($arg))?, required: false, since: 0, until: None }
        })*
    };
}
kinds! {
    /// A parameter of text.
    text = Text;
    /// A boolean parameter.
    flag = Flag;
    /// A number.
    integer = Integer;
    /// A parameter that may come several times.
    list = List;
    /// One of `words`.
    word = Word(words: &'static [&'static str]);
    /// Some of `words`.
    words = Words(words: &'static [&'static str]);
}

/// A parameter that is a JSON document.
pub const fn json<T: Described>(name: &'static str) -> Param {
    Param { kind: Kind::Json(Shape::of::<T>()), ..text(name) }
}

/// A parameter of JSON that may come several times.
pub const fn json_list<T: Described>(name: &'static str) -> Param {
    Param { kind: Kind::JsonList(Shape::of::<T>()), ..text(name) }
}

/// The `filters` parameter and its keys.
pub const fn filters(keys: &'static [&'static str]) -> Param {
    Param { kind: Kind::Filters(keys), ..text("filters") }
}

impl Param {
    /// Without it the request is refused.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Read from API version 1.`minor` on.
    #[must_use]
    pub const fn since(mut self, minor: u16) -> Self {
        self.since = minor;
        self
    }

    /// Not read from API version 1.`minor` on.
    #[must_use]
    pub const fn until(mut self, minor: u16) -> Self {
        self.until = Some(minor);
        self
    }

    /// Whether this version reads it.
    pub fn is_in(&self, version: ApiVersion) -> bool {
        version.since(self.since) && self.until.is_none_or(|until| version.before(until))
    }
}

/// The body of a request.
#[derive(Clone, Copy, Debug)]
pub enum RequestBody {
    /// None is read.
    Nothing,
    /// JSON.
    Json(Shape),
    /// JSON, but only below this API version 1.x.
    JsonUntil(Shape, u16),
    /// A tar, packed or not.
    Archive,
}

impl RequestBody {
    /// Whether it is JSON of a shape.
    pub fn is_json(&self, wanted: impl Fn(&Shape) -> bool) -> bool {
        matches!(self, Self::Json(shape) | Self::JsonUntil(shape, _) if wanted(shape))
    }
}

/// A successful answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The Content-Types that the body may have.
    pub media: &'static [&'static str],
    /// The body.
    pub content: Content,
}

/// The body of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    /// Empty.
    Nothing,
    /// Bytes: text, archives, what containers write.
    Bytes,
    /// One JSON document.
    Json(Shape),
    /// JSON documents, a line each.
    Lines(Shape),
}

impl Answer {
    /// A status alone.
    pub const fn empty(status: u16) -> Self {
        Self { status, media: &[], content: Content::Nothing }
    }

    /// 200 with bytes.
    pub const fn bytes(media: &'static [&'static str]) -> Self {
        Self { status: 200, media, content: Content::Bytes }
    }

    /// A JSON document.
    pub const fn json<T: Described>(status: u16) -> Self {
        Self { status, media: &[crate::reply::JSON], content: Content::Json(Shape::of::<T>()) }
    }

    /// 200 with lines of JSON.
    pub const fn lines<T: Described>(media: &'static [&'static str]) -> Self {
        Self { status: 200, media, content: Content::Lines(Shape::of::<T>()) }
    }
}

/// The shape of a JSON document: a type of the wire.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    id: TypeId,
    /// Its JSON Schema; only the tests, which write the reference, are built with it.
    #[cfg(test)]
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

impl Shape {
    /// The shape of `T`.
    pub const fn of<T: Described>() -> Self {
        Self {
            id: TypeId::of::<T>(),
            #[cfg(test)]
            schema: schemars::SchemaGenerator::subschema_for::<T>,
        }
    }

    /// Whether it is that of `T`.
    pub fn is<T: 'static>(&self) -> bool {
        self.id == TypeId::of::<T>()
    }
}

/// What has a shape.
#[cfg(not(test))]
pub trait Described: 'static {}
#[cfg(not(test))]
impl<T: 'static> Described for T {}

/// What has a shape.
#[cfg(test)]
pub trait Described: schemars::JsonSchema + 'static {}
#[cfg(test)]
impl<T: schemars::JsonSchema + 'static> Described for T {}
