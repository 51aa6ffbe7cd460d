use std::os::unix::fs::symlink;

use super::*;

const SMALL: Limit = Limit { name: "small file", bytes: 8 };

fn root() -> (tempfile::TempDir, Root) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("root/etc/deep")).unwrap();
    std::fs::write(folder.path().join("secret"), "outside").unwrap();
    std::fs::write(folder.path().join("root/secret"), "inside").unwrap();
    let root = Root::at(folder.path().join("root")).unwrap();
    (folder, root)
}

#[test]
fn a_link_to_an_absolute_path_is_followed_inside_the_root() {
    let (folder, root) = root();
    symlink("/secret", folder.path().join("root/etc/absolute")).unwrap();
    symlink("../../../../secret", folder.path().join("root/etc/relative")).unwrap();
    symlink(folder.path().join("secret"), folder.path().join("root/etc/outside")).unwrap();
    assert_eq!(root.read("/etc/absolute", SMALL).unwrap(), b"inside");
    assert_eq!(root.read("/etc/relative", SMALL).unwrap(), b"inside");
    assert!(matches!(root.read("/etc/outside", SMALL), Err(Error::Missing { .. })));
    assert_eq!(root.read("/../../etc/deep/../../secret", SMALL).unwrap(), b"inside");
}

#[test]
fn a_linked_folder_on_the_way_stays_inside_the_root() {
    let (folder, root) = root();
    symlink("/etc", folder.path().join("root/configuration")).unwrap();
    std::fs::write(folder.path().join("root/etc/deep/file"), "deep").unwrap();
    assert_eq!(root.read("configuration/deep/file", SMALL).unwrap(), b"deep");
    assert_eq!(root.names("/configuration/deep").unwrap(), ["file"]);
    assert_eq!(root.names("/").unwrap(), ["configuration", "etc", "secret"]);
}

#[test]
fn a_circle_of_links_is_an_error() {
    let (folder, root) = root();
    symlink("/b", folder.path().join("root/a")).unwrap();
    symlink("/a", folder.path().join("root/b")).unwrap();
    assert!(matches!(root.read("/a", SMALL), Err(Error::Read { .. })));
}

#[test]
fn a_file_larger_than_its_limit_is_refused_by_name() {
    let (folder, root) = root();
    std::fs::write(folder.path().join("root/large"), "nine byte").unwrap();
    let error = root.read("/large", SMALL).unwrap_err();
    assert_eq!(error.to_string(), "/large is larger than the limit for a small file, 8 bytes");
    assert_eq!(error.class(), Class::Limit);
}

#[test]
fn a_pipe_where_a_file_is_expected_does_not_hang_the_reader() {
    let (folder, root) = root();
    nix::unistd::mkfifo(&folder.path().join("root/pipe"), nix::sys::stat::Mode::from_bits_truncate(0o600))
        .unwrap();
    assert!(matches!(root.read("/pipe", SMALL), Err(Error::NotAFile { .. })));
    assert!(matches!(root.read("/etc", SMALL), Err(Error::NotAFile { .. })));
}

#[test]
fn bytes_that_are_no_text_are_named_by_their_offset() {
    let (folder, root) = root();
    std::fs::write(folder.path().join("root/text"), b"ab\xffcd").unwrap();
    let text = root.read_text("/text", SMALL).unwrap();
    assert_eq!((text.text.as_str(), text.invalid_at), ("ab\u{fffd}cd", Some(2)));
}

#[test]
fn what_is_missing_says_so() {
    let (_folder, root) = root();
    assert_eq!(root.read("/etc/none", SMALL).unwrap_err().to_string(), "/etc/none does not exist");
    assert!(matches!(root.read("/secret/below", SMALL), Err(Error::Missing { .. })));
    assert!(matches!(Root::at("/does/not/exist"), Err(Error::NoRoot { .. })));
}

#[test]
fn a_file_that_says_it_is_empty_is_read_to_its_end() {
    let status = Root::host().read("/proc/self/status", CONFIGURATION).unwrap();
    assert!(!status.is_empty());
}
