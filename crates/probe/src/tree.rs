//! Small roots for tests: files by path, and links where the text begins with `-> `.

use std::ops::Deref;
use std::os::unix::fs::symlink;

use bartizan_core::canonical::Value;
use serde::Serialize;
use tempfile::TempDir;

use crate::root::Root;

/// A root that goes when it is dropped.
pub(crate) struct Tree {
    root: Root,
    _folder: TempDir,
}

impl Deref for Tree {
    type Target = Root;

    fn deref(&self) -> &Root {
        &self.root
    }
}

/// A root with these files.
pub(crate) fn root(files: &[(&str, &str)]) -> Tree {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.strip_prefix("-> ") {
            Some(target) => symlink(target, path).unwrap(),
            None => std::fs::write(path, text).unwrap(),
        }
    }
    Tree { root: Root::at(&folder).unwrap(), _folder: folder }
}

/// Fails unless what is collected has a canonical form, and the same one when it is collected again.
pub(crate) fn is_stable<T: Serialize>(collect: impl Fn() -> T) {
    let first = Value::from_data(&collect()).unwrap().to_canonical();
    assert_eq!(first, Value::from_data(&collect()).unwrap().to_canonical());
}
