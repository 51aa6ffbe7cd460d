//! The kernel's word that something in a folder changed (inotify(7)).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bartizan_probe::root::Root;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// What rings: content, rights, and what comes and goes.
const CHANGES: AddWatchFlags = AddWatchFlags::IN_MODIFY
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF);

/// Folders alone, and never through a link: what it leads to may be another's.
const FOLDER: AddWatchFlags = AddWatchFlags::IN_ONLYDIR.union(AddWatchFlags::IN_DONT_FOLLOW);

/// What takes the bell away from where it hung: it rings for what is elsewhere now.
const MOVED: AddWatchFlags = AddWatchFlags::IN_MOVE_SELF.union(AddWatchFlags::IN_UNMOUNT);

/// The most reads at once; of more events it is enough that there are.
const READS_LIMIT: usize = 64;

/// The bell at each folder.
#[derive(Debug)]
pub(super) struct Bell {
    root: PathBuf,
    inotify: Option<Inotify>,
    folders: BTreeMap<WatchDescriptor, String>,
    hung: BTreeSet<String>,
    /// Whether a folder that there is has no bell: the kernel's limit is reached.
    is_blind: bool,
}

/// What rang.
#[derive(Debug, Default)]
pub(super) struct Rung {
    pub(super) folders: BTreeSet<String>,
    /// Whether more rang than the kernel kept.
    pub(super) everything: bool,
}

impl Bell {
    pub(super) fn new(root: &Root) -> Self {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok();
        let (folders, hung, is_blind) = (BTreeMap::new(), BTreeSet::new(), inotify.is_none());
        Self { root: root.path().to_owned(), inotify, folders, hung, is_blind }
    }

    /// Whether a change may come without a sound.
    pub(super) fn is_blind(&self) -> bool {
        self.is_blind
    }

    /// What rang since it was asked last.
    pub(super) fn rung(&mut self) -> Rung {
        let mut rung = Rung::default();
        let Some(inotify) = &self.inotify else { return rung };
        // Empty: nothing rang.
        let mut reads = 0;
        while let Ok(events) = inotify.read_events() {
            reads += 1;
            if reads > READS_LIMIT {
                rung.everything = true;
                break;
            }
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    rung.everything = true;
                } else if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                    // The folder is gone, and its bell with it.
                    if let Some(folder) = self.folders.remove(&event.wd) {
                        self.hung.remove(&folder);
                        rung.folders.insert(folder);
                    }
                } else if event.mask.intersects(MOVED) {
                    let _ = inotify.rm_watch(event.wd);
                    if let Some(folder) = self.folders.remove(&event.wd) {
                        self.hung.remove(&folder);
                    }
                    rung.everything = true;
                } else if let Some(folder) = self.folders.get(&event.wd) {
                    rung.folders.insert(folder.clone());
                }
            }
        }
        rung
    }

    /// Hangs a bell at each of these folders, and takes all others away; gives those that had none before.
    pub(super) fn hang(&mut self, folders: &BTreeSet<String>) -> BTreeSet<String> {
        let mut fresh = BTreeSet::new();
        let Some(inotify) = &self.inotify else { return fresh };
        let gone: Vec<WatchDescriptor> = self
            .folders
            .iter()
            .filter(|(_, folder)| !folders.contains(*folder))
            .map(|(bell, _)| *bell)
            .collect();
        for bell in gone {
            // It may have gone with its folder.
            let _ = inotify.rm_watch(bell);
            if let Some(folder) = self.folders.remove(&bell) {
                self.hung.remove(&folder);
            }
        }
        self.is_blind = false;
        for folder in folders.difference(&self.hung.clone()) {
            let place = self.root.join(folder.trim_start_matches('/'));
            match inotify.add_watch(&place, CHANGES | FOLDER) {
                Ok(bell) => {
                    // A folder that was renamed keeps its bell under its new name.
                    if let Some(former) = self.folders.insert(bell, folder.clone()) {
                        self.hung.remove(&former);
                    }
                    self.hung.insert(folder.clone());
                    fresh.insert(folder.clone());
                }
                // It is gone already, or is one that may not be read: a look says so.
                Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR | nix::errno::Errno::EACCES) => {}
                Err(_) => self.is_blind = true,
            }
        }
        fresh
    }
}
