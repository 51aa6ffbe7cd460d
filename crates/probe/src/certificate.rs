//! The `certificates` section: what services present, and until when.
//!
//! The distribution's store of authorities is left out: it is a package's content, and an
//! expired authority in it is the package's matter.

use bartizan_core::digest::Digest;
use bartizan_core::fact::Section;
use bartizan_core::fact::certificate::{Certificate, Certificates, Key};
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Reason;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{Oid, OidRegistry};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::look::note;
use crate::root::{Error, Limit, Root};

/// Where services and their tools keep certificates. Of Let's Encrypt's only those in use.
const PLACES: [&str; 3] = ["/etc/ssl", "/etc/letsencrypt/live", "/etc/pki"];

/// Stores of authorities, which belong to a package.
const STORES: [&str; 7] = [
    "/etc/pki/ca-trust",
    "/etc/pki/java",
    "/etc/pki/rpm-gpg",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/tls/certs/ca-bundle.trust.crt",
    "/etc/ssl/certs/ca-certificates.crt",
];

/// Where the links of such a store lead.
const STORE_TARGETS: [&str; 3] =
    ["/usr/share/ca-certificates", "/etc/pki/ca-trust", "/etc/ca-certificates/extracted"];

/// Endings of files that hold certificates. Keys alone (`.key`) are not opened.
const ENDINGS: [&str; 5] = [".pem", ".crt", ".cer", ".cert", ".der"];

/// A chain has a few kilobytes; a bundle of authorities some hundred.
const FILE: Limit = Limit { name: "certificate file", bytes: 2 << 20 };

/// Folders within folders.
const DEPTH: u32 = 6;

/// Certificates that are kept in all.
const CERTIFICATES_LIMIT: usize = 20_000;

/// Certificates in the places where services keep them.
pub fn collect(root: &Root) -> Section<Certificates> {
    collect_at(root, &[])
}

/// Certificates there, and in these files and folders.
pub fn collect_at(root: &Root, more: &[&str]) -> Section<Certificates> {
    let mut section = Section::new(Certificates::default());
    for place in PLACES {
        walk(root, place, 0, &mut section);
    }
    for place in more {
        match root.metadata(place) {
            Ok(metadata) if metadata.is_dir() => walk(root, place, 0, &mut section),
            // A file that was named is there, or its certificate is unknown.
            Ok(_) => file(root, place, &mut section),
            Err(error) => section.miss(*place, error.reason()),
        }
    }
    let certificates = &mut section.body.certificates;
    certificates.sort();
    certificates.dedup();
    section
}

fn walk(root: &Root, folder: &str, depth: u32, section: &mut Section<Certificates>) {
    let names = match root.names(folder) {
        Ok(names) => names,
        Err(error) => return note(folder, &error, section),
    };
    for name in names {
        let path = format!("{folder}/{name}");
        if STORES.contains(&path.as_str()) {
            continue;
        }
        let link = root.link(&path).ok().flatten().map(|target| target.to_string_lossy().into_owned());
        let metadata = match root.metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) => {
                note(&path, &error, section);
                continue;
            }
        };
        if metadata.is_dir() && link.is_none() {
            if depth == DEPTH {
                section.miss(path, Reason::Unsupported);
            } else {
                walk(root, &path, depth + 1, section);
            }
        } else if metadata.is_file() && ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            let in_store = |target: &str| STORE_TARGETS.iter().any(|store| target.starts_with(store));
            if !link.as_deref().is_some_and(in_store) {
                file(root, &path, section);
            }
        }
    }
}

fn file(root: &Root, path: &str, section: &mut Section<Certificates>) {
    let bytes = match root.read(path, FILE) {
        Ok(bytes) => bytes,
        Err(error @ Error::Missing { .. }) => return section.miss(path, error.reason()),
        Err(error) => return note(path, &error, section),
    };
    let mut parts = Vec::new();
    if bytes.first() == Some(&0x30) {
        parts.push(bytes);
    } else {
        for part in Pem::iter_from_buffer(&bytes) {
            match part {
                Ok(part)
                    if matches!(
                        part.label.as_str(),
                        "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE"
                    ) =>
                {
                    parts.push(part.contents);
                }
                Ok(_) => {}
                Err(_) => section.miss(path, Reason::Unparsable),
            }
        }
    }
    for (position, der) in (0..).zip(parts) {
        if section.body.certificates.len() == CERTIFICATES_LIMIT {
            return section
                .miss(format!("certificates after the first {CERTIFICATES_LIMIT}"), Reason::Unsupported);
        }
        match certificate(path, position, &der) {
            Some(certificate) => section.body.certificates.push(certificate),
            None => section.miss(path, Reason::Unparsable),
        }
    }
}

fn certificate(path: &str, position: u32, der: &[u8]) -> Option<Certificate> {
    let (rest, parsed) = X509Certificate::from_der(der).ok()?;
    // A trusted certificate of OpenSSL has its own attributes behind.
    let der = der.get(..der.len().checked_sub(rest.len())?)?;
    let instant = |seconds: i64| seconds.checked_mul(1000).map(Timestamp::from_millis);
    let names = match parsed.subject_alternative_name() {
        Ok(Some(extension)) => extension.value.general_names.iter().filter_map(name).collect(),
        _ => Vec::new(),
    };
    Some(Certificate {
        path: path.to_owned(),
        position,
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        serial: parsed.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
        not_before: instant(parsed.validity().not_before.timestamp())?,
        not_after: instant(parsed.validity().not_after.timestamp())?,
        names,
        authority: parsed.is_ca(),
        key: key(&parsed),
        signature: identifier(&parsed.signature_algorithm.algorithm),
        digest: Digest::of_bytes(der),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn key(certificate: &X509Certificate<'_>) -> Key {
    let public = certificate.public_key();
    let bits = |size: usize| u32::try_from(size).ok().filter(|bits| *bits > 0);
    let oid = public.algorithm.algorithm.to_id_string();
    // RFC 8410: these two have one size each, and no name in the parser's own list.
    match (public.parsed(), oid.as_str()) {
        (_, "1.3.101.112") => Key { algorithm: "ed25519".to_owned(), bits: Some(256) },
        (_, "1.3.101.113") => Key { algorithm: "ed448".to_owned(), bits: Some(456) },
        (Ok(PublicKey::RSA(rsa)), _) => Key { algorithm: "rsa".to_owned(), bits: bits(rsa.key_size()) },
        (Ok(PublicKey::EC(point)), _) => Key { algorithm: "ec".to_owned(), bits: bits(point.key_size()) },
        (Ok(PublicKey::DSA(number)), _) => {
            Key { algorithm: "dsa".to_owned(), bits: bits(number.len().saturating_mul(8)) }
        }
        _ => Key { algorithm: oid, bits: None },
    }
}

/// An algorithm's short name, or its number.
fn identifier(oid: &Oid<'_>) -> String {
    let registry = OidRegistry::default().with_crypto();
    registry.get(oid).map_or_else(|| oid.to_id_string(), |entry| entry.sn().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn made(names: &[&str]) -> rcgen::Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.not_before = date_time_ymd(2024, 1, 1);
        parameters.not_after = date_time_ymd(2025, 1, 1);
        parameters.self_signed(&KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_chain_gives_one_certificate_for_each_position() {
        let (first, second) = (made(&["a.example", "10.0.0.1"]), made(&["b.example"]));
        let chain = format!("{}{}", first.pem(), second.pem());
        let root = tree::root(&[("etc/letsencrypt/live/a/fullchain.pem", &chain)]);
        let section = collect(&root);
        let [a, b] = section.body.certificates.try_into().unwrap();
        assert_eq!(a.names, ["a.example", "10.0.0.1"]);
        assert_eq!((a.position, b.position), (0, 1));
        assert_eq!(a.not_after.to_string(), "2025-01-01T00:00:00Z".parse::<Timestamp>().unwrap().to_string());
        assert_eq!(a.key, Key { algorithm: "ec".to_owned(), bits: Some(256) });
        assert_eq!(a.signature, "ecdsa-with-SHA256");
        assert_eq!(a.digest, Digest::of_bytes(first.der()));
        assert_eq!(section.unknown, []);
    }

    #[test]
    fn the_distributions_store_and_private_keys_are_left_out() {
        let pem = made(&["a.example"]).pem();
        let key = KeyPair::generate().unwrap().serialize_pem();
        let root = tree::root(&[
            ("usr/share/ca-certificates/ca.crt", &pem),
            ("etc/ssl/certs/ca.pem", "-> /usr/share/ca-certificates/ca.crt"),
            ("etc/ssl/certs/ca-certificates.crt", &pem),
            ("etc/ssl/certs/0a1b2c3d.0", "-> ca.pem"),
            ("etc/ssl/private/a.pem", &key),
            ("etc/ssl/certs/own.pem", &pem),
        ]);
        let section = collect(&root);
        let paths: Vec<_> = section.body.certificates.iter().map(|found| found.path.as_str()).collect();
        assert_eq!(paths, ["/etc/ssl/certs/own.pem"]);
        assert_eq!(section.unknown, []);
    }

    #[test]
    fn a_broken_certificate_is_named_and_a_missing_one_that_was_asked_for_too() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let root = tree::root(&[("etc/ssl/broken.pem", broken)]);
        let section = collect_at(&root, &["/srv/gone.pem"]);
        let unseen: Vec<_> =
            section.unknown.iter().map(|unseen| (unseen.what.as_str(), unseen.reason)).collect();
        assert_eq!(unseen, [("/etc/ssl/broken.pem", Reason::Unparsable), ("/srv/gone.pem", Reason::Error)]);
    }

    #[test]
    fn der_is_read_as_pem_is() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.der"), made(&["a.example"]).der()).unwrap();
        let root = Root::at(folder.path()).unwrap();
        assert_eq!(collect_at(&root, &["/a.der"]).body.certificates.len(), 1);
    }

    #[test]
    fn this_host_tells_the_same_twice() {
        tree::is_stable(|| collect(&Root::host()));
    }
}
