//! The one macro that declares a wire struct, so that every field has its Go name, a default, and takes `null`.

use serde::{Deserialize, Deserializer, de::Visitor};

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

/// Reads structs from objects alone, as Go does; serde would take an array for the values of the fields, too.
pub(crate) struct Object<D>(pub D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Object<D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Whether a value is Go's zero value of its type, for `omitempty`.
pub(crate) fn is_empty<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
