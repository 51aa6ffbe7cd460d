//! The `hardware` section: what the kernel, SMBIOS and EFI tell of the machine.

mod virtualisation;

use std::collections::BTreeMap;

use bartizan_core::fact::Section;
use bartizan_core::fact::hardware::{Disk, Firmware, Hardware, Interface, Processor, System};
use bartizan_core::verdict::Reason;

use crate::look::{attribute, link_name, names, text};
use crate::root::{Limit, Root};

/// A kilobyte or two for each of at most some thousand logical processors.
const PROCESSORS: Limit = Limit { name: "table of processors", bytes: 32 << 20 };

/// Disks that are memory or files: no hardware.
const NO_DISKS: [&str; 4] = ["loop", "ram", "zram", "nbd"];

/// Unit of `/sys/block/*/size`, whatever the disk's own sector is, in bytes.
const SECTOR_BYTES: u64 = 512;

/// The SecureBoot variable of EFI's global vendor (UEFI specification, section 3.3).
const SECURE_BOOT: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

pub fn collect(root: &Root) -> Section<Hardware> {
    let mut section = Section::new(Hardware::default());
    if root.is_host() {
        read(root, &mut section);
    } else {
        section.miss("hardware", Reason::Unsupported);
    }
    section
}

fn read(root: &Root, section: &mut Section<Hardware>) {
    let table = text(root, "/proc/cpuinfo", PROCESSORS, section).unwrap_or_default();
    section.body.processors = processors(&table);
    if section.body.processors.is_empty() {
        section.miss("/proc/cpuinfo", Reason::Unparsable);
    }
    section.body.memory_bytes =
        attribute(root, "/proc/meminfo", section).and_then(|table| memory_bytes(&table));
    if section.body.memory_bytes.is_none() {
        section.miss("/proc/meminfo", Reason::Unparsable);
    }
    for name in names(root, "/sys/block", section) {
        if !NO_DISKS.iter().any(|prefix| name.starts_with(prefix)) {
            let disk = disk(root, name, section);
            section.body.disks.push(disk);
        }
    }
    for name in names(root, "/sys/class/net", section) {
        // Beside interfaces there may be control files, such as `bonding_masters`.
        if root.exists(format!("/sys/class/net/{name}/ifindex")) {
            let interface = interface(root, name, section);
            section.body.interfaces.push(interface);
        }
    }
    section.body.system = system(root, section);
    section.body.firmware = firmware(root, section);
    section.body.hypervisor = virtualisation::hypervisor(root, &section.body.system, &table);
    section.body.container = virtualisation::container(root);
}

fn processors(table: &str) -> Vec<Processor> {
    let mut kinds: BTreeMap<(String, String, Option<String>), u32> = BTreeMap::new();
    for block in table.split("\n\n") {
        let values: BTreeMap<&str, &str> = block
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(key, value)| (key.trim(), value.trim()))
            .collect();
        if !values.contains_key("processor") {
            continue;
        }
        // Arm names the maker and the part by numbers, POWER the model by `cpu`.
        let vendor = values.get("vendor_id").or(values.get("CPU implementer"));
        let model = values.get("model name").or(values.get("cpu")).or(values.get("CPU part"));
        let text = |value: Option<&&str>| value.map_or_else(String::new, |value| (*value).to_owned());
        let microcode = values.get("microcode").map(|value| (*value).to_owned());
        *kinds.entry((text(vendor), text(model), microcode)).or_default() += 1;
    }
    kinds
        .into_iter()
        .map(|((vendor, model, microcode), count)| Processor { vendor, model, microcode, count })
        .collect()
}

/// `MemTotal` of proc_meminfo(5), which counts in kibibytes.
fn memory_bytes(table: &str) -> Option<u64> {
    let line = table.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn disk(root: &Root, name: String, section: &mut Section<Hardware>) -> Disk {
    let folder = format!("/sys/block/{name}");
    let mut value = |file: &str| attribute(root, &format!("{folder}/{file}"), section);
    Disk {
        bytes: value("size")
            .and_then(|size| size.parse::<u64>().ok())
            .unwrap_or(0)
            .saturating_mul(SECTOR_BYTES),
        model: value("device/model"),
        serial: value("device/serial").or_else(|| value("serial")),
        rotational: value("queue/rotational").map(|value| value == "1"),
        physical: root.exists(format!("{folder}/device")),
        name,
    }
}

fn interface(root: &Root, name: String, section: &mut Section<Hardware>) -> Interface {
    let folder = format!("/sys/class/net/{name}");
    let mac = attribute(root, &format!("{folder}/address"), section);
    Interface {
        mac: mac.filter(|mac| mac.contains(':') && mac.chars().any(|c| c != '0' && c != ':')),
        driver: link_name(root, &format!("{folder}/device/driver")),
        physical: root.exists(format!("{folder}/device")),
        name,
    }
}

fn system(root: &Root, section: &mut Section<Hardware>) -> System {
    if !root.exists("/sys/class/dmi/id") {
        // Boards without SMBIOS have a device tree.
        let product = attribute(root, "/sys/firmware/devicetree/base/model", section);
        if product.is_none() {
            section.miss("/sys/class/dmi/id", Reason::Unsupported);
        }
        let serial = attribute(root, "/sys/firmware/devicetree/base/serial-number", section);
        return System { product, serial, ..System::default() };
    }
    let mut value = |file: &str| attribute(root, &format!("/sys/class/dmi/id/{file}"), section);
    System {
        vendor: value("sys_vendor"),
        product: value("product_name"),
        version: value("product_version"),
        serial: value("product_serial"),
        board_vendor: value("board_vendor"),
        board: value("board_name"),
    }
}

fn firmware(root: &Root, section: &mut Section<Hardware>) -> Firmware {
    let mut value = |file: &str| attribute(root, &format!("/sys/class/dmi/id/{file}"), section);
    let (vendor, version, date) = (value("bios_vendor"), value("bios_version"), value("bios_date"));
    let efi = root.exists("/sys/firmware").then(|| root.exists("/sys/firmware/efi"));
    Firmware {
        vendor,
        version,
        date,
        efi,
        secure_boot: if efi == Some(true) { secure_boot(root, section) } else { None },
        tpm: attribute(root, "/sys/class/tpm/tpm0/tpm_version_major", section),
    }
}

/// The variable's file holds four bytes of attributes and one of value (efivarfs).
fn secure_boot(root: &Root, section: &mut Section<Hardware>) -> Option<bool> {
    match root.read(SECURE_BOOT, crate::look::ATTRIBUTE) {
        Ok(bytes) => match bytes.as_slice() {
            [_, _, _, _, value] => Some(*value == 1),
            _ => {
                section.miss(SECURE_BOOT, Reason::Unparsable);
                None
            }
        },
        // Firmware without Secure Boot has no such variable; a container has no view of any.
        Err(crate::root::Error::Missing { .. }) => {
            let in_view = root.names("/sys/firmware/efi/efivars").is_ok_and(|names| !names.is_empty());
            if !in_view {
                section.miss(SECURE_BOOT, Reason::Unsupported);
            }
            in_view.then_some(false)
        }
        Err(error) => {
            section.miss(SECURE_BOOT, error.reason());
            None
        }
    }
}

#[cfg(test)]
mod tests;
