//! Checkpoints: the signed heads of the log, as C2SP has them (tlog-checkpoint over signed-note).
//!
//! The text is three lines: the origin (which is the key's name), the size in decimal, the
//! root in base64; an Ed25519 signature line follows after an empty line. Any witness or
//! monitor that reads C2SP checkpoints reads these.

use std::fmt;

use bartizan_core::digest::Digest;
use bartizan_core::error::Class;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::SigningKey;
use signed_note::{Note, Signer as _, StandardSigner, StandardVerifier, VerifierList};

/// The largest checkpoint that is read, in bytes: three lines and a handful of witnesses' signatures.
pub const BYTES_LIMIT: usize = 16 << 10;

/// The algorithm byte of Ed25519 in a signed-note key.
const ED25519: u8 = 1;

/// What the log was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: the name of the key that signs it.
    pub origin: String,
    pub size: u64,
    pub root: Digest,
}

/// A checkpoint whose signature has been checked, with the note that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    checkpoint: Checkpoint,
    note: String,
}

/// Signs the heads of one log.
pub struct Signer {
    name: String,
    signer: StandardSigner,
    key: Key,
}

/// The public key of a log: `NAME+ID+BASE64`, as signed-note writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    name: String,
    text: String,
}

/// Why a checkpoint or a key is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is not the name of a log: it may hold no white space and no `+`")]
    Name(String),
    #[error("not a public key of a log: it has the form NAME+ID+BASE64")]
    Key,
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    #[error("a checkpoint may have {BYTES_LIMIT} bytes, this one has {0}")]
    TooLong(usize),
    #[error("the checkpoint is not signed by {0}")]
    NotSigned(String),
    #[error("the signature in the name of {0} does not fit the checkpoint")]
    Signature(String),
    #[error("the checkpoint is of the log `{found}`, not of `{expected}`")]
    Origin { expected: String, found: String },
}

impl Error {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Error::TooLong(_) => Class::Limit,
            Error::NotSigned(_) | Error::Signature(_) | Error::Origin { .. } => Class::Denied,
            Error::Name(_) | Error::Key | Error::Malformed(_) => Class::Invalid,
        }
    }
}

impl Checkpoint {
    /// The signed text.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root.as_bytes()))
    }

    /// Reads the text of a note. Lines after the third are another writer's extensions, and are passed over.
    fn parse(text: &str) -> Result<Self, Error> {
        let mut lines = text.lines();
        let origin = lines.next().filter(|line| !line.is_empty());
        let origin = origin.ok_or(Error::Malformed("the first line names no log"))?.to_owned();
        let size = lines.next().and_then(|line| {
            let size: u64 = line.parse().ok()?;
            (size.to_string() == line).then_some(size)
        });
        let size = size.ok_or(Error::Malformed("the second line is not a size"))?;
        let root = lines.next().and_then(|line| BASE64.decode(line).ok());
        let root = root.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let root = root.ok_or(Error::Malformed("the third line is not a root hash"))?;
        Ok(Self { origin, size, root: Digest::from_bytes(root) })
    }
}

impl Signed {
    /// What it says.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note as text: what is stored, sent and kept elsewhere.
    pub fn note(&self) -> &str {
        &self.note
    }
}

impl Signer {
    /// A signer for the log `name` from the 32 bytes of an Ed25519 private key (RFC 8032).
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, Error> {
        let fault = || Error::Name(name.to_owned());
        if !signed_note::is_key_name_valid(name) {
            return Err(fault());
        }
        let public = SigningKey::from_bytes(seed).verifying_key();
        let with_algorithm = |bytes: &[u8; 32]| [&[ED25519], bytes.as_slice()].concat();
        let id = signed_note::key_id(name, &with_algorithm(public.as_bytes()));
        let private = BASE64.encode(with_algorithm(seed));
        let signer =
            StandardSigner::new(&format!("PRIVATE+KEY+{name}+{id:08x}+{private}")).map_err(|_| fault())?;
        let key = Key { name: name.to_owned(), text: signed_note::new_ed25519_verifier_key(name, &public) };
        Ok(Self { name: name.to_owned(), signer, key })
    }

    /// The public key that goes with it.
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// Signs the head of the log: its size and its root.
    pub fn sign(&self, size: u64, root: Digest) -> Result<Signed, Error> {
        let checkpoint = Checkpoint { origin: self.name.clone(), size, root };
        let fault = |_| Error::Name(self.name.clone());
        let mut note = Note::new(checkpoint.to_text().as_bytes(), &[]).map_err(fault)?;
        note.add_sigs(&[&self.signer]).map_err(fault)?;
        let note = String::from_utf8(note.to_bytes()).map_err(|_| Error::Name(self.name.clone()))?;
        Ok(Signed { checkpoint, note })
    }
}

impl fmt::Debug for Signer {
    /// Names the signer; the private key is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("name", &self.name)
            .field("id", &self.signer.key_id())
            .finish_non_exhaustive()
    }
}

impl Key {
    /// Reads a public key from its text; white space around it is passed over.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        StandardVerifier::new(text).map_err(|_| Error::Key)?;
        let (name, _) = text.split_once('+').ok_or(Error::Key)?;
        Ok(Self { name: name.to_owned(), text: text.to_owned() })
    }

    /// The name of the log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks a note: it must be a checkpoint of this log with this key's signature.
    pub fn open(&self, note: &str) -> Result<Signed, Error> {
        if note.len() > BYTES_LIMIT {
            return Err(Error::TooLong(note.len()));
        }
        let parsed =
            Note::from_bytes(note.as_bytes()).map_err(|_| Error::Malformed("it is no signed note"))?;
        let text = std::str::from_utf8(parsed.text()).map_err(|_| Error::Malformed("it is not UTF-8"))?;
        let checkpoint = Checkpoint::parse(text)?;
        let verifier = StandardVerifier::new(&self.text).map_err(|_| Error::Key)?;
        match parsed.verify(&VerifierList::new(vec![Box::new(verifier)])) {
            Ok(_) => {}
            Err(signed_note::NoteError::UnverifiedNote) => return Err(Error::NotSigned(self.text.clone())),
            Err(_) => return Err(Error::Signature(self.name.clone())),
        }
        if checkpoint.origin != self.name {
            return Err(Error::Origin { expected: self.name.clone(), found: checkpoint.origin });
        }
        Ok(Signed { checkpoint, note: note.to_owned() })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(name: &str) -> Signer {
        Signer::new(name, &[7; 32]).unwrap()
    }

    #[test]
    fn a_signed_head_opens_with_its_key_alone() {
        let ledger = signer("ledger.example");
        let signed = ledger.sign(5, Digest::of_bytes(b"root")).unwrap();
        assert_eq!(ledger.key().open(signed.note()).unwrap(), signed);
        let other = Signer::new("ledger.example", &[8; 32]).unwrap();
        assert!(matches!(other.key().open(signed.note()), Err(Error::NotSigned(_))));
    }

    #[test]
    fn a_changed_head_does_not_open() {
        let ledger = signer("ledger.example");
        let note = ledger.sign(5, Digest::of_bytes(b"root")).unwrap().note().replace("\n5\n", "\n6\n");
        assert!(matches!(ledger.key().open(&note), Err(Error::Signature(_))));
    }

    #[test]
    fn the_note_reads_as_another_implementation_has_it() {
        let signed = signer("ledger.example").sign(5, Digest::of_bytes(b"root")).unwrap();
        let text = signed.note().split_once("\n\n").unwrap().0.to_owned() + "\n";
        let theirs = tlog_tiles::checkpoint::Checkpoint::from_bytes(text.as_bytes()).unwrap();
        assert_eq!((theirs.origin(), theirs.size()), ("ledger.example", 5));
        assert_eq!(theirs.hash().0, *Digest::of_bytes(b"root").as_bytes());
    }

    #[test]
    fn a_key_reads_back_from_its_text_and_a_broken_one_does_not() {
        let key = signer("ledger.example").key().clone();
        assert_eq!(Key::parse(&format!("{key}\n")).unwrap(), key);
        for bad in ["", "ledger.example", "ledger.example+00000000+AAAA"] {
            assert_eq!(Key::parse(bad), Err(Error::Key), "{bad}");
        }
        assert!(matches!(Signer::new("two words", &[7; 32]), Err(Error::Name(_))));
    }

    #[test]
    fn a_private_key_is_never_printed() {
        let printed = format!("{:?}", signer("ledger.example"));
        assert!(printed.starts_with("Signer { name: \"ledger.example\", id: "), "{printed}");
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        let key = signer("ledger.example").key().clone();
        for bad in ["", "x", "ledger.example\n05\nAAAA\n\n\u{2014} ledger.example AAAAAAAA\n"] {
            assert!(matches!(key.open(bad), Err(Error::Malformed(_))), "{bad:?}");
        }
        assert!(matches!(key.open(&"x".repeat(BYTES_LIMIT + 1)), Err(Error::TooLong(_))));
    }
}
