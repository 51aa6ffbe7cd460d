//! Keys: four different ones (certificate authority, orders, ledger, sessions), minted on first
//! start, kept sealed in the store, opened by a wrapping key that lies in a file beside it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bartizan_core::error::Class;
use bartizan_ledger::checkpoint::Signer;
use bartizan_store::Store;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::ambient::Ambient;

pub mod authority;

/// The length of the wrapping key, in bytes.
const KEY_BYTES: usize = 32;

/// The name that the ledger's key bears in its notes.
const LEDGER_NAME: &str = "bartizan.ledger";

/// Why keys can't be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't {doing} the wrapping key {}: {source}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "others than its owner may read the wrapping key {} (mode {mode:o}): `chmod 600` it, and if others could sign in on this machine, take it as known", path.display()
    )]
    Mode { path: PathBuf, mode: u32 },
    #[error("{} is no wrapping key: it has {found} bytes instead of {KEY_BYTES}", path.display())]
    Length { path: PathBuf, found: usize },
    #[error("the key `{0}` can't be opened: the wrapping key is not the one it was sealed with")]
    Sealed(String),
    #[error("can't make the key `{name}`: {problem}")]
    Mint { name: String, problem: String },
    #[error(transparent)]
    Store(#[from] bartizan_store::Error),
}

impl Error {
    /// What class of error this is.
    pub fn class(&self) -> Class {
        match self {
            Error::File { .. } => Class::Unavailable,
            Error::Mode { .. } | Error::Length { .. } | Error::Sealed(_) => Class::Invalid,
            Error::Mint { .. } => Class::Bug,
            Error::Store(error) => error.class(),
        }
    }
}

/// The server's keys, open.
#[derive(Debug)]
pub struct Keys {
    pub authority: authority::Authority,
    /// Signs the heads of the ledger.
    pub ledger: Signer,
    /// Signs orders.
    orders: Ed25519KeyPair,
}

/// The wrapping key. It is never printed.
pub struct Wrapping(LessSafeKey);

impl std::fmt::Debug for Wrapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wrapping")
    }
}

impl Wrapping {
    /// Reads the wrapping key from its file; mints one where there is none.
    pub fn open(path: &Path, ambient: &Ambient) -> Result<Self, Error> {
        let fault = |doing| {
            let path = path.to_owned();
            move |source| Error::File { doing, path, source }
        };
        let bytes = match fs::read(path) {
            Ok(bytes) => {
                let mode = fs::metadata(path).map_err(fault("look at"))?.permissions().mode() & 0o777;
                if mode & 0o077 != 0 {
                    return Err(Error::Mode { path: path.to_owned(), mode });
                }
                bytes
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let bytes = ambient.random::<KEY_BYTES>();
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)
                    .map_err(fault("make"))?;
                file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(fault("write"))?;
                bytes.to_vec()
            }
            Err(error) => return Err(fault("read")(error)),
        };
        let length = Error::Length { path: path.to_owned(), found: bytes.len() };
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| length)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals a secret under its name: what is opened under another name is refused.
    pub fn seal(&self, name: &str, secret: &[u8], ambient: &Ambient) -> Result<Vec<u8>, Error> {
        let nonce = ambient.random::<NONCE_LEN>();
        let mut sealed = secret.to_vec();
        let done = self.0.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(name.as_bytes()),
            &mut sealed,
        );
        done.map_err(|_| Error::Mint { name: name.to_owned(), problem: "it can't be sealed".to_owned() })?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens a sealed secret.
    pub fn open_sealed(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let refused = || Error::Sealed(name.to_owned());
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or_else(refused)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| refused())?;
        let mut secret = rest.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(name.as_bytes()), &mut secret);
        opened.map(|secret| secret.to_vec()).map_err(|_| refused())
    }
}

/// The secret of this name: the one in the store, else a fresh one that is sealed and kept.
pub(crate) async fn secret(
    store: &Store,
    wrapping: &Wrapping,
    ambient: &Ambient,
    name: &str,
    mint: impl FnOnce() -> Result<Vec<u8>, Error>,
) -> Result<Vec<u8>, Error> {
    let sealed = match store.secret(name).await? {
        Some(sealed) => sealed,
        None => store.mint_secret(name, wrapping.seal(name, &mint()?, ambient)?).await?,
    };
    wrapping.open_sealed(name, &sealed)
}

impl Keys {
    /// Opens all keys; those that don't exist yet are minted.
    pub async fn open(store: &Store, wrapping: &Wrapping, ambient: &Ambient) -> Result<Keys, Error> {
        let authority = authority::Authority::open(store, wrapping, ambient).await?;
        let seed = |name| secret(store, wrapping, ambient, name, || Ok(ambient.random::<32>().to_vec()));
        let ledger = seed("ledger").await?;
        let ledger = <[u8; 32]>::try_from(ledger).map_err(|_| Error::Sealed("ledger".to_owned()))?;
        let ledger = Signer::new(LEDGER_NAME, &ledger)
            .map_err(|error| Error::Mint { name: "ledger".to_owned(), problem: error.to_string() })?;
        let orders = seed("orders").await?;
        let orders =
            Ed25519KeyPair::from_seed_unchecked(&orders).map_err(|_| Error::Sealed("orders".to_owned()))?;
        Ok(Keys { authority, ledger, orders })
    }

    /// The public key that orders are verified by, in hexadecimal.
    pub fn orders(&self) -> String {
        hex::encode(self.orders.public_key())
    }

    /// The signature over an order's bytes (Ed25519, RFC 8032), in hexadecimal.
    pub fn sign_order(&self, bytes: &[u8]) -> String {
        hex::encode(self.orders.sign(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::time::Timestamp;
    use rand::SeedableRng as _;

    fn ambient() -> Ambient {
        Ambient::new(|| Timestamp::from_millis(0), rand::rngs::StdRng::seed_from_u64(1))
    }

    #[test]
    fn a_secret_opens_under_its_own_name_and_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wrapping.key");
        let wrapping = Wrapping::open(&path, &ambient()).unwrap();
        let sealed = wrapping.seal("ledger", b"secret", &ambient()).unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        let again = Wrapping::open(&path, &ambient()).unwrap();
        assert_eq!(again.open_sealed("ledger", &sealed).unwrap(), b"secret");
        assert!(matches!(again.open_sealed("orders", &sealed), Err(Error::Sealed(name)) if name == "orders"));
        fs::write(&path, [7; 32]).unwrap();
        let other = Wrapping::open(&path, &ambient()).unwrap();
        assert!(other.open_sealed("ledger", &sealed).is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Wrapping::open(&path, &ambient()), Err(Error::Mode { mode: 0o640, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"short").unwrap();
        assert!(matches!(Wrapping::open(&path, &ambient()), Err(Error::Length { found: 5, .. })));
    }

    #[test]
    fn nobody_else_may_read_the_wrapping_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wrapping.key");
        Wrapping::open(&path, &ambient()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
