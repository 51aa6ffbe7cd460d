//! Section `hardware`: what /sys, DMI and EFI tell of the machine.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hardware {
    /// Kinds of processor, each with its count.
    pub processors: Vec<Processor>,
    /// What the kernel can use, in bytes; a little less than what is built in.
    pub memory_bytes: Option<u64>,
    /// Ordered by name.
    pub disks: Vec<Disk>,
    /// Ordered by name.
    pub interfaces: Vec<Interface>,
    pub system: System,
    pub firmware: Firmware,
    /// The hypervisor's name where this is a virtual machine: `kvm`, `vmware`, `hyper-v`, `firecracker` …,
    /// `unnamed` where the processor alone tells; none on metal.
    pub hypervisor: Option<String>,
    /// `docker`, `podman`, `lxc` … where the root is a container's.
    pub container: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Processor {
    pub vendor: String,
    pub model: String,
    /// The microcode revision that is loaded: `0x1000065`; none where the kernel shows none.
    pub microcode: Option<String>,
    /// Logical processors (threads) of this kind.
    pub count: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Disk {
    /// The kernel's name: `sda`, `nvme0n1`, `vda`.
    pub name: String,
    pub bytes: u64,
    pub model: Option<String>,
    pub serial: Option<String>,
    /// Whether it turns; none where the kernel does not say.
    pub rotational: Option<bool>,
    /// Whether a device stands behind it, rather than other disks (device mapper, RAID).
    pub physical: bool,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Interface {
    pub name: String,
    /// `52:54:00:12:34:56`; none where it has no such address.
    pub mac: Option<String>,
    pub driver: Option<String>,
    /// Whether a device stands behind it, rather than software (bridge, veth, loopback).
    pub physical: bool,
}

/// The machine, as its maker names it (SMBIOS types 1 and 2, or the device tree).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct System {
    pub vendor: Option<String>,
    pub product: Option<String>,
    pub version: Option<String>,
    pub serial: Option<String>,
    pub board_vendor: Option<String>,
    pub board: Option<String>,
}

/// The firmware, and what it guards the boot with.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Firmware {
    pub vendor: Option<String>,
    pub version: Option<String>,
    /// As the vendor writes it: `03/14/2024`.
    pub date: Option<String>,
    /// Whether the running system was booted through EFI; none where that is not in view.
    pub efi: Option<bool>,
    /// Whether EFI Secure Boot is on; none where there is no EFI or the variable is not in view.
    pub secure_boot: Option<bool>,
    /// The Trusted Platform Module's major version: `2`, `1`; none where there is none.
    pub tpm: Option<String>,
}
