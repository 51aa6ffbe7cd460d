//! Host keys: what kind each is, from its public half.

use bartizan_core::digest::Digest;
use bartizan_core::fact::Section;
use bartizan_core::fact::ssh::{HostKey, Sshd};
use bartizan_core::verdict::Reason;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::values;
use crate::look::{ATTRIBUTE, names, note};
use crate::root::{Error, Root};

const FOLDER: &str = "/etc/ssh";

/// Reads the host keys that are configured, else those that lie where they are made.
pub(super) fn read(root: &Root, section: &mut Section<Sshd>) {
    let configured: Vec<String> = values(&section.body.settings, "hostkey")
        .iter()
        .filter(|setting| setting.source != bartizan_core::fact::ssh::Source::Default)
        .map(|setting| setting.value.clone())
        .collect();
    let mut paths: Vec<String> = configured.iter().map(|path| format!("{path}.pub")).collect();
    if paths.is_empty() {
        let made = |name: &String| name.starts_with("ssh_host_") && name.ends_with("_key.pub");
        paths = names(root, FOLDER, section)
            .iter()
            .filter(|name| made(name))
            .map(|name| format!("{FOLDER}/{name}"))
            .collect();
    }
    paths.sort();
    paths.dedup();
    for path in paths {
        match root.read_text(&path, ATTRIBUTE) {
            Ok(text) => match host_key(&path, &text.text) {
                Some(key) => section.body.host_keys.push(key),
                None => section.miss(path, Reason::Unparsable),
            },
            // The key may have no public half beside it; which it is stays unknown.
            Err(error @ Error::Missing { .. }) => section.miss(path, error.reason()),
            Err(error) => note(&path, &error, section),
        }
    }
}

/// `ssh-ed25519 AAAA… comment` (RFC 4253 section 6.6).
fn host_key(path: &str, text: &str) -> Option<HostKey> {
    let mut words = text.split_ascii_whitespace();
    let (kind, blob) = (words.next()?, STANDARD.decode(words.next()?).ok()?);
    let (inner, rest) = string(&blob)?;
    if inner != kind.as_bytes() {
        return None;
    }
    let bits = if kind == "ssh-rsa" { Some(modulus_bits(rest)?) } else { None };
    let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(Digest::of_bytes(&blob).as_bytes()));
    Some(HostKey { path: path.to_owned(), kind: kind.to_owned(), bits, fingerprint })
}

/// The exponent comes first, then the modulus.
fn modulus_bits(blob: &[u8]) -> Option<u32> {
    let (_exponent, rest) = string(blob)?;
    let (modulus, _) = string(rest)?;
    let significant = modulus.iter().position(|byte| *byte != 0)?;
    let bytes = modulus.get(significant..)?;
    let first = bytes.first()?;
    u32::try_from(bytes.len()).ok()?.checked_mul(8)?.checked_sub(first.leading_zeros())
}

/// A length of four bytes, and as many bytes (RFC 4251 section 5).
fn string(blob: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(parts: &[&[u8]]) -> String {
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            bytes.extend(*part);
        }
        STANDARD.encode(bytes)
    }

    #[test]
    fn an_rsa_key_has_the_length_of_its_modulus() {
        let mut modulus = vec![0, 0x80];
        modulus.extend([0; 255]);
        let line = format!("ssh-rsa {} root@host", blob(&[b"ssh-rsa", &[1, 0, 1], &modulus]));
        assert_eq!(host_key("/k.pub", &line).unwrap().bits, Some(2048));
    }

    #[test]
    fn a_key_that_is_not_what_it_says_is_no_key() {
        assert_eq!(host_key("/k.pub", &format!("ssh-ed25519 {}", blob(&[b"ssh-rsa", b"x"]))), None);
        assert_eq!(host_key("/k.pub", "ssh-ed25519 ////"), None);
        let key = host_key("/k.pub", &format!("ssh-ed25519 {}", blob(&[b"ssh-ed25519", &[7; 32]]))).unwrap();
        assert_eq!((key.kind.as_str(), key.bits), ("ssh-ed25519", None));
        assert!(key.fingerprint.starts_with("SHA256:"));
    }
}
