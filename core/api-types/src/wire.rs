//! The one macro that declares a wire struct, so that every field has its Go name, a default, and takes `null`.

use serde::{Deserialize, Deserializer};

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
        pub struct $name { $($done)* }
    };
}

/// Whether a value is Go's zero value of its type, for `omitempty`.
pub(crate) fn is_empty<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
