//! The typed records, one module a reader: producers, stages, downstream.
//!
//! Field docs say what a number is; units stand in names. The schemas are `schemas/avsc`, their
//! frozen versions `schemas/history/<record>/<n>.avsc`.

/// An Avro enum: wire text both ways. Symbols keep their order for ever; new ones go last.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// All values, in wire order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The wire's text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(format!("{text:?} is none of {}", [$($text),*].join(", "))),
                }
            }
        }
    };
}

/// Ties a record to its schema file and frozen versions.
macro_rules! wire {
    ($record:ident, $file:literal, [$($version:literal),*]) => {
        impl crate::codec::Wire for $record {
            const NAME: &'static str = stringify!($record);

            fn schemas() -> &'static std::sync::LazyLock<crate::codec::SchemaSet> {
                static SET: std::sync::LazyLock<crate::codec::SchemaSet> = std::sync::LazyLock::new(|| {
                    crate::codec::SchemaSet::compiled_in(
                        include_str!(concat!("../../avsc/", $file, ".avsc")),
                        &[$(include_str!(concat!("../../history/", $version, ".avsc"))),*],
                    )
                });
                &SET
            }
        }
    };
}

mod dead_letter;
mod findings;
mod identity;
mod library;
mod policy;
mod request;
mod stages;
mod state;
mod verdict;

pub use dead_letter::*;
pub use findings::*;
pub use identity::*;
pub use library::*;
pub use policy::*;
pub use request::*;
pub use stages::*;
pub use state::*;
pub use verdict::*;
