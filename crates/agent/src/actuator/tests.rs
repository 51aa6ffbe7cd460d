use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use bartizan_core::configuration::baseline::Format;

use super::*;

struct House {
    folder: tempfile::TempDir,
    root: Root,
}

impl House {
    fn new() -> House {
        let folder = tempfile::tempdir().unwrap();
        for name in ["etc/ssh", "etc/sysctl.d", "etc/modprobe.d"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(
            folder.path().join("etc/passwd"),
            "root:x:0:0::/root:/bin/sh\nweb:x:4242:4242::/:/bin/false\n",
        )
        .unwrap();
        fs::write(folder.path().join("etc/group"), "root:x:0:\nadm:x:4:\n").unwrap();
        let root = Root::at(folder.path()).unwrap();
        House { folder, root }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: &str, mode: u32) {
        fs::write(self.path(path), text).unwrap();
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.path(path)).unwrap().permissions().mode() & 0o7777
    }
}

fn file(path: &str, mode: Option<&str>, owner: Option<&str>) -> Fix {
    let (mode, owner) = (mode.map(str::to_owned), owner.map(str::to_owned));
    Fix::File { path: path.to_owned(), mode, owner, group: None }
}

fn setting(path: &str, key: &str, value: &str) -> Fix {
    Fix::Setting {
        file: path.to_owned(),
        format: Format::KeyValue,
        section: None,
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

#[test]
fn each_word_of_the_vocabulary_is_brought_about_and_twice_is_once() {
    let house = House::new();
    house.write("/etc/shadow", "", 0o644);
    house.write("/etc/login.defs", "# limits\nUMASK\t022\n", 0o640);
    let fixes = [
        file("/etc/shadow", Some("0640"), None),
        setting("/etc/login.defs", "UMASK", "027"),
        setting("/etc/ssh/sshd_config", "PermitRootLogin", "no"),
        Fix::Sysctl { key: "net.ipv4.ip_forward".to_owned(), value: "0".to_owned() },
        Fix::Module { name: "cramfs".to_owned(), disabled: true },
    ];
    for fix in &fixes {
        assert!(!look(fix, &house.root).unwrap().so, "{fix:?}");
        set(fix, &house.root, false).unwrap();
        assert!(look(fix, &house.root).unwrap().so, "{fix:?}");
        set(fix, &house.root, false).unwrap();
    }
    assert_eq!(house.mode("/etc/shadow"), 0o640);
    assert_eq!(house.read("/etc/login.defs"), "# limits\nUMASK\t027\n");
    assert_eq!(house.mode("/etc/login.defs"), 0o640, "what is replaced keeps its mode");
    assert_eq!(house.read("/etc/ssh/sshd_config"), "PermitRootLogin no\n");
    assert_eq!(house.read("/etc/sysctl.d/98-bartizan.conf"), "net.ipv4.ip_forward 0\n");
    assert!(house.read("/etc/modprobe.d/bartizan-cramfs.conf").contains("install cramfs /bin/false"));
    let free = Fix::Module { name: "cramfs".to_owned(), disabled: false };
    set(&free, &house.root, false).unwrap();
    assert!(!house.path("/etc/modprobe.d/bartizan-cramfs.conf").exists());
}

#[test]
fn no_link_is_followed_wherever_it_stands() {
    let house = House::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("victim"), "K 1\n").unwrap();
    symlink(outside.path().join("victim"), house.path("/etc/linked")).unwrap();
    symlink(outside.path(), house.path("/etc/folder")).unwrap();
    for fix in [
        setting("/etc/linked", "K", "2"),
        setting("/etc/folder/victim", "K", "2"),
        file("/etc/linked", Some("0600"), None),
    ] {
        assert!(matches!(set(&fix, &house.root, false), Err(Problem::NotPlain(_))), "{fix:?}");
    }
    assert_eq!(fs::read_to_string(outside.path().join("victim")).unwrap(), "K 1\n");
}

#[test]
fn nothing_is_set_through_a_folder_that_anybody_may_write_to() {
    let house = House::new();
    fs::create_dir(house.path("/etc/open")).unwrap();
    fs::set_permissions(house.path("/etc/open"), fs::Permissions::from_mode(0o777)).unwrap();
    house.write("/etc/open/file", "K 1\n", 0o644);
    let refused = set(&setting("/etc/open/file", "K", "2"), &house.root, false);
    assert!(matches!(refused, Err(Problem::OpenFolder(_))), "{refused:?}");
    assert_eq!(house.read("/etc/open/file"), "K 1\n");
}

#[test]
fn a_mode_is_tightened_and_never_loosened_unless_the_host_says_so() {
    let house = House::new();
    house.write("/etc/shadow", "", 0o600);
    let fix = file("/etc/shadow", Some("0640"), None);
    assert!(matches!(set(&fix, &house.root, false), Err(Problem::Loosens { is: 0o600, .. })));
    assert_eq!(house.mode("/etc/shadow"), 0o600);
    set(&fix, &house.root, true).unwrap();
    assert_eq!(house.mode("/etc/shadow"), 0o640);
    fs::hard_link(house.path("/etc/shadow"), house.path("/etc/twin")).unwrap();
    let twin = file("/etc/twin", Some("0600"), None);
    assert!(matches!(set(&twin, &house.root, false), Err(Problem::Linked(_))));
}

#[test]
fn what_is_not_there_or_no_text_is_told_by_name() {
    let house = House::new();
    let missing = set(&file("/etc/missing", Some("0600"), None), &house.root, false).unwrap_err();
    assert_eq!(missing.to_string(), "there is no file `/etc/missing` on this host");
    let nobody = look(&file("/etc/passwd", None, Some("ghost")), &house.root).unwrap_err();
    assert_eq!(nobody.to_string(), "there is no account `ghost` on this host");
    fs::write(house.path("/etc/binary"), [b'a', 0xff]).unwrap();
    let binary = set(&setting("/etc/binary", "K", "1"), &house.root, false);
    assert!(matches!(binary, Err(Problem::NotText { at: 1, .. })), "{binary:?}");
    fs::write(house.path("/etc/large"), vec![b'a'; (1 << 20) + 1]).unwrap();
    assert!(matches!(
        set(&setting("/etc/large", "K", "1"), &house.root, false),
        Err(Problem::TooLarge { .. })
    ));
}

#[test]
fn a_fresh_copy_that_a_crash_left_aside_is_no_obstacle() {
    let house = House::new();
    house.write("/etc/login.defs", "UMASK 022\n", 0o644);
    house.write("/etc/.login.defs.bartizan-new", "half", 0o600);
    set(&setting("/etc/login.defs", "UMASK", "027"), &house.root, false).unwrap();
    assert_eq!(house.read("/etc/login.defs"), "UMASK 027\n");
    assert!(!house.path("/etc/.login.defs.bartizan-new").exists());
}

#[test]
fn packages_are_looked_at_in_the_hosts_own_database() {
    let house = House::new();
    fs::create_dir_all(house.path("/var/lib/dpkg")).unwrap();
    fs::write(
        house.path("/var/lib/dpkg/status"),
        "Package: telnet\nStatus: install ok installed\nArchitecture: amd64\nVersion: 0.17-1\n\n",
    )
    .unwrap();
    let package = |name: &str, installed| Fix::Package { name: name.to_owned(), installed };
    assert!(look(&package("telnet", true), &house.root).unwrap().so);
    let there = look(&package("telnet", false), &house.root).unwrap();
    assert_eq!((there.so, there.is.as_str()), (false, "0.17-1"));
    assert!(look(&package("nmap", false), &house.root).unwrap().so);
    // Another root's packages are never installed by this host's manager.
    assert!(matches!(set(&package("telnet", false), &house.root, false), Err(Problem::Unsupported(_))));
}
