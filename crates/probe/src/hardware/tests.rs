use super::*;
use crate::tree;

const X86: &str = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon Gold\nmicrocode\t: 0x2b\nflags\t\t: fpu hypervisor\n\n\
                   processor\t: 1\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon Gold\nmicrocode\t: 0x2b\nflags\t\t: fpu hypervisor\n";
const ARM: &str = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n\nHardware\t: board\n";

fn machine() -> tree::Tree {
    tree::root(&[
        ("proc/cpuinfo", X86),
        ("proc/meminfo", "MemTotal:       16303428 kB\nMemFree: 1 kB\n"),
        ("sys/block/nvme0n1/size", "1000215216\n"),
        ("sys/block/nvme0n1/device/model", "Fast Disk 512  \n"),
        ("sys/block/nvme0n1/queue/rotational", "0\n"),
        ("sys/block/loop0/size", "8\n"),
        ("sys/block/dm-0/size", "8\n"),
        ("sys/class/net/eth0/ifindex", "2\n"),
        ("sys/class/net/eth0/address", "52:54:00:12:34:56\n"),
        ("sys/class/net/eth0/device/driver", "-> ../../../bus/virtio/drivers/virtio_net"),
        ("sys/class/net/lo/ifindex", "1\n"),
        ("sys/class/net/lo/address", "00:00:00:00:00:00\n"),
        ("sys/class/net/bonding_masters", "\n"),
        ("sys/class/dmi/id/sys_vendor", "QEMU\n"),
        ("sys/class/dmi/id/product_name", "Standard PC\n"),
        ("sys/class/dmi/id/bios_date", "04/01/2014\n"),
        ("sys/class/tpm/tpm0/tpm_version_major", "2\n"),
    ])
}

#[test]
fn processors_of_one_kind_are_counted_together() {
    let xeon = |microcode: &str, count| Processor {
        vendor: "GenuineIntel".to_owned(),
        model: "Xeon Gold".to_owned(),
        microcode: Some(microcode.to_owned()),
        count,
    };
    assert_eq!(processors(X86), [xeon("0x2b", 2)]);
    // One that missed its update stands out.
    assert_eq!(processors(&X86.replacen("0x2b", "0x1f", 1)), [xeon("0x1f", 1), xeon("0x2b", 1)]);
}

#[test]
fn arm_names_its_processors_by_number() {
    let [processor] = processors(ARM).try_into().unwrap();
    assert_eq!((processor.vendor.as_str(), processor.model.as_str()), ("0x41", "0xd0c"));
    assert_eq!(processor.microcode, None);
}

#[test]
fn disks_and_interfaces_come_with_what_stands_behind_them() {
    let root = machine();
    let mut section = Section::new(Hardware::default());
    read(&root, &mut section);
    let hardware = section.body;
    assert_eq!(hardware.memory_bytes, Some(16_303_428 << 10));
    let disks: Vec<_> =
        hardware.disks.iter().map(|disk| (disk.name.as_str(), disk.bytes, disk.physical)).collect();
    assert_eq!(disks, [("dm-0", 4096, false), ("nvme0n1", 512_110_190_592, true)]);
    assert_eq!(hardware.disks[1].model.as_deref(), Some("Fast Disk 512"));
    let [ethernet, loopback] = hardware.interfaces.try_into().unwrap();
    assert_eq!(ethernet.driver.as_deref(), Some("virtio_net"));
    assert!(ethernet.physical && !loopback.physical);
    assert_eq!(loopback.mac, None);
    assert_eq!(hardware.firmware.tpm.as_deref(), Some("2"));
    assert_eq!(hardware.hypervisor.as_deref(), Some("qemu"));
    assert_eq!(section.unknown, []);
}

#[test]
fn secure_boot_is_the_byte_after_the_attributes() {
    let path = SECURE_BOOT.trim_start_matches('/');
    let cases = [("\u{6}\0\0\0\u{1}", Some(true)), ("\u{6}\0\0\0\0", Some(false)), ("\u{6}", None)];
    for (bytes, expected) in cases {
        let root = tree::root(&[(path, bytes)]);
        let mut section = Section::new(Hardware::default());
        assert_eq!(secure_boot(&root, &mut section), expected);
        assert_eq!(section.unknown.is_empty(), expected.is_some());
    }
}

#[test]
fn variables_out_of_view_leave_secure_boot_unknown_and_their_absence_means_off() {
    for (file, expected) in
        [("sys/firmware/efi/efivars/Boot0000-8be4", Some(false)), ("sys/firmware/efi/x", None)]
    {
        let root = tree::root(&[(file, "")]);
        assert_eq!(secure_boot(&root, &mut Section::new(Hardware::default())), expected);
    }
}

#[test]
fn a_virtual_processor_without_a_name_is_unnamed() {
    let root = tree::root(&[]);
    assert_eq!(virtualisation::hypervisor(&root, &System::default(), X86).as_deref(), Some("unnamed"));
    assert_eq!(virtualisation::hypervisor(&root, &System::default(), ARM), None);
}

#[test]
fn this_host_has_processors_and_memory_and_tells_the_same_twice() {
    let hardware = collect(&Root::host()).body;
    assert!(hardware.processors.iter().map(|kind| kind.count).sum::<u32>() > 0);
    assert!(hardware.memory_bytes.unwrap() > 1 << 20);
    tree::is_stable(|| collect(&Root::host()));
}
