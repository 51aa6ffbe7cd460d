//! A machine with systemd as its first process: namespaces of its own over this host's files, which stay as
//! they are.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bartizan_core::fact::unit::State;
use bartizan_probe::unit::state;

/// How long it may take to boot.
const LIMIT: Duration = Duration::from_secs(60);

/// Run in fresh namespaces: an overlay over the root whose changes lie in memory, then systemd. Everything it
/// mounts is gone with the namespace.
const BOOT: &str = r#"
set -e
mount --make-rprivate /
mount -t tmpfs machine "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay machine -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
root="$1/root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount -t tmpfs dev "$root/dev"
for name in null zero full random urandom tty; do
    touch "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts devpts "$root/dev/pts" -o newinstance
ln -s /proc/self/fd "$root/dev/fd"
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\n' > "$root/etc/systemd/journald.conf.d/test.conf"
mount -t tmpfs run "$root/run"
mount -t tmpfs tmp "$root/tmp"
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    chroot "$root" /lib/systemd/systemd --system --unit=basic.target --log-target=null
"#;

/// What it takes; without one of them the tests here are left out.
const NEEDED: [&str; 5] = [
    "/lib/systemd/systemd",
    "/usr/bin/dbus-daemon",
    "/usr/bin/journalctl",
    "/usr/bin/unshare",
    "/usr/bin/nsenter",
];

/// A running machine.
pub(crate) struct Machine {
    unshare: Child,
    first: u32,
    _folder: tempfile::TempDir,
}

impl Machine {
    /// Boots one, until its bus answers; none, said with the reason, where that can't be had here.
    pub(crate) fn boot() -> Option<Machine> {
        if let Some(missing) = NEEDED.iter().find(|path| !PathBuf::from(path).exists()) {
            println!("left out: no machine with systemd can be booted here: {missing} is missing");
            return None;
        }
        if !nix::unistd::geteuid().is_root() {
            println!("left out: booting a machine with systemd takes root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("/usr/bin/unshare");
        command.args(["--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc", "--cgroup"]);
        command.args(["/bin/sh", "-c", BOOT, "boot"]).arg(folder.path());
        let unshare = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut machine = Machine { unshare, first: 0, _folder: folder };
        let started = Instant::now();
        while started.elapsed() < LIMIT {
            if let Some(status) = machine.unshare.try_wait().unwrap() {
                println!("left out: a machine with systemd does not boot here: {status}");
                return None;
            }
            machine.first = machine.first_process().unwrap_or_default();
            let states = state::read_at(&machine.bus());
            if states.is_ok_and(|states| states.of("basic.target") == State::Active) {
                return Some(machine);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("a machine with systemd was started, and its bus did not answer");
    }

    /// The address of its system bus.
    pub(crate) fn bus(&self) -> String {
        format!("unix:path={}", self.path("/run/dbus/system_bus_socket").display())
    }

    /// A path inside it, seen from here.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.first))
    }

    /// Runs a program inside.
    pub(crate) fn run(&self, words: &[&str]) -> std::process::ExitStatus {
        let mut command = Command::new("/usr/bin/nsenter");
        command.arg(format!("--target={}", self.first)).args(["--all", "--root", "--wd=/", "--"]);
        command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
    }

    fn first_process(&self) -> Option<u32> {
        let parent = self.unshare.id();
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With the first process of its namespace, the kernel ends all the others.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}
