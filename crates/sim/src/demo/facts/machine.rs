//! Sections `hardware` and `certificates` of a simulated host.

use bartizan_core::digest::Digest;
use bartizan_core::fact::certificate::{Certificate, Certificates, Key};
use bartizan_core::fact::hardware::{Disk, Firmware, Hardware, Interface, Processor, System};
use bartizan_core::time::{Duration, Timestamp};

use super::super::population::{Plan, Purpose};
use super::super::service;

const GIB: u64 = 1 << 30;

/// A virtual machine, as nearly all of them are; the vault stands on metal of its own.
pub(super) fn hardware(plan: &Plan) -> Hardware {
    let metal = plan.purpose == Purpose::Vault;
    let large = matches!(plan.purpose, Purpose::Database | Purpose::Search);
    let disk = |name: &str, gib: u64| Disk {
        name: name.to_owned(),
        bytes: gib * GIB,
        model: None,
        serial: None,
        rotational: Some(false),
        physical: true,
    };
    let mut disks = vec![disk("vda", 40)];
    if service::data(plan.purpose).is_some() {
        disks.push(disk("vdb", if large { 800 } else { 200 }));
    }
    let mac = format!("52:54:00:1c:00:{:02x}", plan.number);
    Hardware {
        processors: vec![Processor {
            vendor: "GenuineIntel".to_owned(),
            model: "Intel(R) Xeon(R) Silver 4314 CPU @ 2.40GHz".to_owned(),
            microcode: Some("0xd0003e7".to_owned()),
            count: if large { 16 } else { 4 },
        }],
        memory_bytes: Some(if large { 64 * GIB } else { 8 * GIB }),
        disks,
        interfaces: vec![Interface {
            name: "eth0".to_owned(),
            mac: Some(mac),
            driver: Some(if metal { "ixgbe" } else { "virtio_net" }.to_owned()),
            physical: true,
        }],
        system: System {
            vendor: Some(if metal { "Supermicro" } else { "QEMU" }.to_owned()),
            product: Some(if metal { "SYS-510T-MR" } else { "Standard PC (Q35 + ICH9, 2009)" }.to_owned()),
            ..System::default()
        },
        firmware: Firmware {
            vendor: Some(if metal { "American Megatrends International, LLC." } else { "EDK II" }.to_owned()),
            version: Some(if metal { "2.1" } else { "2022.11-6+deb12u2" }.to_owned()),
            date: Some("02/02/2024".to_owned()),
            efi: Some(true),
            secure_boot: Some(metal || plan.service == "payments"),
            tpm: metal.then(|| "2".to_owned()),
        },
        hypervisor: (!metal).then(|| "kvm".to_owned()),
        container: None,
    }
}

/// Those who answer over TLS have a certificate of the fleet's own authority.
pub(super) fn certificates(plan: &Plan, started: Timestamp) -> Certificates {
    let tls = service::of(plan.purpose).iter().any(|listens| listens.ports.contains(&443));
    let name = format!("{}.fleet.example", plan.name);
    let certificate = tls.then(|| Certificate {
        path: format!("/etc/ssl/{}.pem", plan.purpose.as_str()),
        position: 0,
        subject: format!("CN={name}"),
        issuer: "O=Fleet,CN=Fleet Issuing CA 3".to_owned(),
        serial: format!("0c{:02x}41", plan.number),
        not_before: started.minus(Duration::from_days(30)),
        not_after: started.plus(Duration::from_days(60 + u32::from(plan.number))),
        names: vec![name.clone()],
        authority: false,
        key: Key { algorithm: "ec".to_owned(), bits: Some(256) },
        signature: "ecdsa-with-SHA256".to_owned(),
        digest: Digest::of_bytes(name.as_bytes()),
    });
    Certificates { certificates: certificate.into_iter().collect() }
}
