use std::fs;
use std::os::unix::fs::PermissionsExt;

use bartizan_core::document;

use super::*;

const DOCUMENT: &str = "
kind: Drift
name: host
spec:
  watches:
    - id: access
      files: [/etc/passwd]
      severity: high
      summary: who may log in
    - id: configuration
      files: ['/etc/**']
      except: ['/etc/**/*.swp']
      severity: medium
      summary: configuration
";

fn watches(text: &str) -> Vec<Watches> {
    let documents = document::parse("d.yaml", text).unwrap();
    documents.iter().map(|document| Watches::from_document(document).unwrap()).collect()
}

fn explained(object: &str, after: Option<&str>, at: i64) -> Explained {
    Explained { object: object.to_owned(), after: after.map(str::to_owned), at: Timestamp::from_millis(at) }
}

/// A host with two files, and what its agent keeps.
struct Host {
    folder: tempfile::TempDir,
    now: Timestamp,
}

impl Host {
    fn new() -> Host {
        let host = Host { folder: tempfile::tempdir().unwrap(), now: Timestamp::from_millis(1_000_000) };
        host.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
        host.write("etc/hosts", "127.0.0.1 localhost\n");
        host
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn watch(&self, kept: Option<Kept>) -> Watch {
        let root = Root::at(self.folder.path().join("root")).unwrap();
        let mut watch = Watch::new(&root, kept, Some(self.folder.path().join("texts")));
        watch.assign(watches(DOCUMENT));
        watch
    }

    /// What is noticed at a look, and at another one a second later.
    fn looks(&mut self, watch: &mut Watch) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..2 {
            self.now = self.now.plus(Duration::from_secs(1));
            told.extend(watch.step(self.now).noticed.into_iter().map(line));
        }
        told
    }
}

fn line(noticed: Noticed) -> String {
    let state = if noticed.state == State::Firing { "+" } else { "-" };
    format!("{state} {} {}: {}", noticed.subject, noticed.object, noticed.summary)
}

#[test]
fn first_sight_is_no_drift_and_a_modification_is_one_until_it_is_undone() {
    let mut host = Host::new();
    let mut watch = host.watch(None);
    let first = watch.step(host.now);
    assert!(first.noticed.is_empty() && first.kept.is_some());
    assert_eq!(first.section.unwrap().body.objects, 3);
    host.write("etc/hosts", "127.0.0.1 localhost\n10.0.0.1 evil\n");
    let told = "+ configuration /etc/hosts: /etc/hosts was modified, and no change explains it";
    assert_eq!(host.looks(&mut watch), [told]);
    assert!(host.looks(&mut watch).is_empty(), "it is told once");
    host.write("etc/hosts", "127.0.0.1 localhost\n");
    let over = "- configuration /etc/hosts: /etc/hosts stands as it was accounted for";
    assert_eq!(host.looks(&mut watch), [over]);
}

#[test]
fn what_comes_and_what_goes_drifts_and_belongs_to_its_watch() {
    let mut host = Host::new();
    let mut watch = host.watch(None);
    watch.step(host.now);
    fs::remove_file(host.path("etc/passwd")).unwrap();
    host.write("etc/new/deep/file", "x\n");
    host.write("etc/new/editor.swp", "x\n");
    let told = host.looks(&mut watch);
    assert_eq!(told.len(), 4, "{told:#?}");
    assert!(told[0].starts_with("+ configuration /etc/new: /etc/new is new"), "{told:#?}");
    assert!(told[3].starts_with("+ access /etc/passwd: /etc/passwd is gone"), "{told:#?}");
}

#[test]
fn what_stands_for_a_moment_only_is_not_told() {
    let mut host = Host::new();
    let mut watch = host.watch(None);
    watch.step(host.now);
    host.write("etc/hosts", "aside\n");
    assert!(watch.step(host.now).noticed.is_empty());
    host.write("etc/hosts", "127.0.0.1 localhost\n");
    assert!(host.looks(&mut watch).is_empty());
}

#[test]
fn what_our_own_order_sets_is_accounted_for_and_what_else_changes_meanwhile_is_not() {
    let mut host = Host::new();
    let mut watch = host.watch(None);
    watch.step(host.now);
    watch.expect(vec![Object::file("/etc/hosts")]);
    host.write("etc/hosts", "set by an order\n");
    host.write("etc/passwd", "eve:x:0:0::/:/bin/sh\n");
    watch.over();
    let told = host.looks(&mut watch);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("/etc/passwd"), "{told:#?}");
    host.write("etc/hosts", "and again, by nobody\n");
    let told = host.looks(&mut watch);
    let expected = "+ configuration /etc/hosts: /etc/hosts was modified, and no change explains it";
    assert_eq!(told, [expected]);
}

#[test]
fn what_a_person_explains_is_over_as_it_stands_and_as_nothing_else() {
    let mut host = Host::new();
    let mut watch = host.watch(None);
    watch.step(host.now);
    host.write("etc/hosts", "10.0.0.1 tuned\n");
    assert_eq!(host.looks(&mut watch).len(), 1);
    let drift = watch.kept.told[0].drift.clone();
    watch.explain(vec![explained(&drift.object, Some("as it never stood"), 1)]);
    assert!(host.looks(&mut watch).is_empty());
    watch.explain(vec![explained(&drift.object, drift.after.as_deref(), 2)]);
    let over = "- configuration /etc/hosts: /etc/hosts stands as it was accounted for";
    assert_eq!(host.looks(&mut watch), [over]);
    // The explanation holds once: what stands so again after an order set something else drifts again.
    watch.expect(vec![Object::file("/etc/hosts")]);
    host.write("etc/hosts", "set by an order\n");
    watch.over();
    assert!(host.looks(&mut watch).is_empty());
    host.write("etc/hosts", "10.0.0.1 tuned\n");
    let told = "+ configuration /etc/hosts: /etc/hosts was modified, and no change explains it";
    assert_eq!(host.looks(&mut watch), [told]);
}

#[test]
fn what_happened_while_no_agent_ran_is_told_by_the_next_run() {
    let mut host = Host::new();
    let mut watch = host.watch(None);
    let kept = watch.step(host.now).kept.unwrap();
    drop(watch);
    host.write("etc/hosts", "10.0.0.1 evil\n");
    let kept: Kept = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
    let mut watch = host.watch(Some(kept));
    let mut told = host.looks(&mut watch);
    assert_eq!(told.len(), 1, "{told:#?}");
    // And what was told, and is undone while none runs, is over for the next.
    let kept = watch.kept.clone();
    host.write("etc/hosts", "127.0.0.1 localhost\n");
    let mut watch = host.watch(Some(kept));
    told = host.looks(&mut watch);
    assert_eq!(told, ["- configuration /etc/hosts: /etc/hosts stands as it was accounted for"]);
}

#[test]
fn what_another_document_begins_to_watch_is_no_news_and_what_none_watches_is_over() {
    let mut host = Host::new();
    host.write("srv/site", "x\n");
    let mut watch = host.watch(None);
    watch.step(host.now);
    let wider = DOCUMENT.replace("'/etc/**'", "'/etc/**', '/srv/**'");
    watch.assign(watches(&wider));
    assert!(host.looks(&mut watch).is_empty());
    host.write("srv/site", "y\n");
    assert_eq!(host.looks(&mut watch).len(), 1);
    watch.assign(watches(DOCUMENT));
    let told = host.looks(&mut watch);
    assert_eq!(told, ["- configuration /srv/site: /srv/site is not watched any more"]);
}

#[test]
fn what_only_some_may_read_is_told_without_its_lines_and_kept_nowhere() {
    let mut host = Host::new();
    host.write("etc/shadow", "root:$6$one:1::::::\n");
    fs::set_permissions(host.path("etc/shadow"), fs::Permissions::from_mode(0o640)).unwrap();
    let mut watch = host.watch(None);
    watch.step(host.now);
    fs::write(host.path("etc/shadow"), "root:$6$two:1::::::\n").unwrap();
    let told = host.looks(&mut watch);
    assert_eq!(told, ["+ configuration /etc/shadow: /etc/shadow was modified, and no change explains it"]);
    let texts = fs::read_dir(host.folder.path().join("texts")).unwrap();
    let held: Vec<String> = texts.map(|text| fs::read_to_string(text.unwrap().path()).unwrap()).collect();
    assert_eq!(held.len(), 2, "{held:?}");
    assert!(!held.iter().any(|text| text.contains("$6$")));
}

#[test]
fn a_look_costs_nothing_where_nothing_rang() {
    let mut host = Host::new();
    let mut watch = host.watch(None);
    watch.step(host.now);
    host.looks(&mut watch);
    // Changed without a sound: the file system of this root is looked at as a whole every five minutes.
    for _ in 0..100 {
        host.now = host.now.plus(Duration::from_secs(1));
        assert!(!watch.look(host.now));
    }
    host.now = host.now.plus(WHOLE_EVERY);
    assert!(watch.look(host.now));
}

#[test]
fn a_restart_absolves_nothing_before_it_is_known_what_is_watched() {
    let mut host = Host::new();
    let mut watch = host.watch(None);
    watch.step(host.now);
    host.write("etc/hosts", "10.0.0.1 evil\n");
    assert_eq!(host.looks(&mut watch).len(), 1);
    let root = Root::at(host.folder.path().join("root")).unwrap();
    let mut next = Watch::new(&root, Some(watch.kept.clone()), None);
    next.over();
    assert!(host.looks(&mut next).is_empty());
    next.assign(watches(DOCUMENT));
    assert!(host.looks(&mut next).is_empty());
    assert_eq!(next.kept.told, watch.kept.told);
}

#[test]
fn an_order_accounts_for_its_own_work_alone() {
    let mut host = Host::new();
    let mut watch = host.watch(None);
    watch.step(host.now);
    host.write("etc/hosts", "10.0.0.1 evil\n");
    assert_eq!(host.looks(&mut watch).len(), 1);
    watch.expect(vec![Object::file("/")]);
    host.write("etc/installed", "by a package\n");
    watch.over();
    assert!(host.looks(&mut watch).is_empty());
    let told: Vec<&str> = watch.kept.told.iter().map(|told| told.drift.object.as_str()).collect();
    assert_eq!(told, ["file:/etc/hosts"]);
}

#[test]
fn what_goes_on_changing_is_told_all_the_same() {
    let mut host = Host::new();
    let mut watch = host.watch(None);
    watch.step(host.now);
    let mut told = Vec::new();
    for number in 0..6 {
        host.write("etc/hosts", &format!("{number}\n"));
        host.now = host.now.plus(Duration::from_secs(1));
        told.extend(watch.step(host.now).noticed);
    }
    assert!(!told.is_empty());
}

#[test]
fn a_folder_that_took_another_ones_place_is_listened_to() {
    let mut host = Host::new();
    host.write("etc/cron.d/job", "x\n");
    let mut watch = host.watch(None);
    watch.step(host.now);
    host.looks(&mut watch);
    fs::rename(host.path("etc/cron.d"), host.path("aside")).unwrap();
    host.write("etc/cron.d/job", "x\n");
    host.looks(&mut watch);
    assert!(watch.kept.told.is_empty(), "{:?}", watch.kept.told);
    host.write("etc/cron.d/job", "evil\n");
    assert_eq!(host.looks(&mut watch).len(), 1);
}
