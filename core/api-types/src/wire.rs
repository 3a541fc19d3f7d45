//! The one macro that declares a wire struct, so that every field has its Go name, a default, and takes `null`.

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IntoDeserializer as _, MapAccess, Visitor},
};
use std::fmt;

/// Reads `null` as the zero value, as Go's `encoding/json` does.
///
/// # Errors
/// When a present value has the wrong type.
pub fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(d).map(Option::unwrap_or_default)
}

/// Declares a struct whose fields are `"GoName" rust_name: Type`. A leading `?` leaves the field out when it is empty
/// (Go's `omitempty`).
macro_rules! wire {
    ($(#[$meta:meta])* $name:ident { $($body:tt)* }) => { wire!(@fields [$(#[$meta])*] $name [] $($body)*); };
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*] ? $go:literal $field:ident : $ty:ty, $($rest:tt)*) => {
        wire!(@fields [$($meta)*] $name [$($done)*
            #[doc = concat!("`", $go, "`, left out when empty.")]
            #[serde(rename = $go, default, deserialize_with = "crate::nullable", skip_serializing_if = "crate::wire::is_empty")]
            pub $field: $ty,
        ] $($rest)*);
    };
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*] $go:literal $field:ident : $ty:ty, $($rest:tt)*) => {
        wire!(@fields [$($meta)*] $name [$($done)*
            #[doc = concat!("`", $go, "`.")]
            #[serde(rename = $go, default, deserialize_with = "crate::nullable")]
            pub $field: $ty,
        ] $($rest)*);
    };
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*]) => {
        $($meta)*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(remote = "Self")]
        pub struct $name { $($done)* }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                Self::serialize(self, s)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Self::deserialize(crate::wire::Object(d))
            }
        }
    };
}

/// Reads structs as Go does: from objects alone (serde would take an array for the values of the fields, too), whose keys may be written
/// in any case.
pub(crate) struct Object<D>(pub D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Object<D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(AnyCase { inner: visitor, fields })
    }
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The same for a struct of which some fields are those of others: serde reads it as a map, so its own have to be named.
pub(crate) struct Fields<D>(pub D, pub &'static [&'static str]);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Fields<D> {
    type Error = D::Error;

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(AnyCase { inner: visitor, fields: self.1 })
    }
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct struct enum identifier ignored_any
    }
}

/// Around what reads a map, its entries and their keys: a key that is a field but for its case is that field.
struct AnyCase<T> {
    inner: T,
    fields: &'static [&'static str],
}

impl<'de, V: Visitor<'de>> Visitor<'de> for AnyCase<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(AnyCase { inner: map, fields: self.fields })
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for AnyCase<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.inner.next_key_seed(AnyCase { inner: Key(seed), fields: self.fields })
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(seed)
    }
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// A seed, told apart from the visitors.
struct Key<K>(K);

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for AnyCase<Key<K>> {
    type Value = K::Value;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<K::Value, D::Error> {
        d.deserialize_str(self)
    }
}

impl<'de, K: DeserializeSeed<'de>> Visitor<'de> for AnyCase<Key<K>> {
    type Value = K::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<K::Value, E> {
        let same = |field: &&&str| field.eq_ignore_ascii_case(key);
        let field = if self.fields.contains(&key) { None } else { self.fields.iter().find(same) };
        self.inner.0.deserialize(field.copied().unwrap_or(key).into_deserializer())
    }
}

/// Whether a value is Go's zero value of its type, for `omitempty`.
pub(crate) fn is_empty<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
