//! Hints that the machine is a virtual one, or the root a container's.

use bartizan_core::fact::hardware::System;

use crate::root::{CONFIGURATION, Root};

/// How hypervisors name themselves in SMBIOS: a part of vendor or product, and our word for it.
const HYPERVISORS: [(&str, &str); 14] = [
    ("Amazon EC2", "ec2"),
    ("Google Compute Engine", "gce"),
    ("OpenStack", "openstack"),
    ("KubeVirt", "kubevirt"),
    ("VMware", "vmware"),
    ("VirtualBox", "virtualbox"),
    ("innotek GmbH", "virtualbox"),
    ("Microsoft Corporation Virtual Machine", "hyper-v"),
    ("Parallels", "parallels"),
    ("Xen", "xen"),
    ("BHYVE", "bhyve"),
    ("Nutanix", "nutanix"),
    ("QEMU", "qemu"),
    ("KVM", "kvm"),
];

/// Files that container engines leave in a root.
const CONTAINER_MARKS: [(&str, &str); 2] = [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")];

/// Our word for the hypervisor; `unnamed` where only the processor's flag tells; none on metal.
pub(super) fn hypervisor(root: &Root, system: &System, processors: &str) -> Option<String> {
    let words = |value: &Option<String>| value.clone().unwrap_or_default();
    let named = format!("{} {}", words(&system.vendor), words(&system.product));
    if let Some((_, word)) = HYPERVISORS.iter().find(|(part, _)| named.contains(part)) {
        // EC2 names itself on its metal machines too.
        if *word != "ec2" || flagged(processors) {
            return Some((*word).to_owned());
        }
    }
    let told = root.read_text("/sys/hypervisor/type", CONFIGURATION);
    if let Ok(kind) = told {
        return Some(kind.text.trim().to_owned());
    }
    flagged(processors).then(|| "unnamed".to_owned())
}

/// Whether a processor says that it is a virtual one (CPUID leaf 1, ECX bit 31).
fn flagged(processors: &str) -> bool {
    processors
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| line.split_ascii_whitespace().any(|flag| flag == "hypervisor"))
}

/// The container engine, by the marks that it leaves.
pub(super) fn container(root: &Root) -> Option<String> {
    // systemd's container interface: whoever starts a container says so here.
    if let Ok(told) = root.read_text("/run/systemd/container", CONFIGURATION) {
        return Some(told.text.trim().to_owned());
    }
    CONTAINER_MARKS.iter().find(|(mark, _)| root.exists(mark)).map(|(_, engine)| (*engine).to_owned())
}
