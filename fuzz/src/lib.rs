//! What the targets share: small roots of hosts made of hostile files, and text made of any bytes.

use std::fs;

use bartizan_core::fact::Name;
use bartizan_probe::root::Root;
use bartizan_probe::{packages, section};

/// The bytes as text; what is no UTF-8 is replaced, so that every input says something.
pub fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// Runs `look` on a root that holds these files.
fn on_root(files: &[(&str, &[u8])], look: impl FnOnce(&Root)) {
    let Ok(folder) = tempfile::tempdir() else { return };
    for (path, bytes) in files {
        let path = folder.path().join(path);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, bytes));
        if made.is_err() {
            return;
        }
    }
    if let Ok(root) = Root::at(folder.path()) {
        look(&root);
    }
}

/// Collects sections of such a root twice: the same files say the same.
pub fn sections(files: &[(&str, &[u8])], names: &[Name]) {
    on_root(files, |root| {
        for name in names {
            let (one, other) = (section::collect(root, *name), section::collect(root, *name));
            assert_eq!(one.ok(), other.ok());
        }
    });
}

/// Looks at the packages of such a root, and what its repositories offer.
pub fn survey(files: &[(&str, &[u8])]) {
    on_root(files, |root| drop(packages::survey(root)));
}
