//! The vault: a file-based key store behind [`shiren_contract::seal::Vault`].
//!
//! A tenant has one random 256-bit key an epoch. It lies in a file of its own, wrapped by the
//! key-encryption key, and is destroyed at its time to live: what it sealed is then erased, wherever
//! copies of the ciphertext are. Cipher: XChaCha20-Poly1305 (`chacha20poly1305`), for pictures and for
//! wrapping. The time comes in as an argument. docs/vault.md explains the whole.

mod cache;
mod cipher;
mod destroy;
mod files;
mod hex;
mod kek;
mod key_id;
mod keyed_hash;
mod layout;
mod libraries;
mod library_key;
mod listing;
mod lock;
mod person_id;
mod person_record;
mod persons;
mod record;
mod ring;
mod rotate;
mod secret;
mod store;

pub use cipher::CipherError;
pub use destroy::Destroyed;
pub use kek::{KekError, KekSource, KeyEncryption, LocalKek};
pub use key_id::KeyId;
pub use keyed_hash::KeyedHash;
pub use libraries::{LibraryKeys, LibraryState};
pub use listing::{EpochKey, KeyState};
pub use record::DestroyedBy;
pub use rotate::Rotated;
pub use secret::SecretKey;
pub use store::{FileVault, VaultOptions};
