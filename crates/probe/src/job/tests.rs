use super::*;
use crate::tree;

/// Schedule, user and program of each job.
fn shown(section: &Section<Jobs>) -> Vec<String> {
    section.body.jobs.iter().map(|job| format!("{} {} {}", job.schedule, job.user, job.program)).collect()
}

#[test]
fn crontabs_give_schedule_user_and_program_and_keep_no_secret() {
    let root = tree::root(&[
        (
            "etc/crontab",
            "SHELL=/bin/sh\n# m h\n17 *\t* * *\troot\tcd / && x\n@reboot www TOKEN=hunter2 /bin/y --key hunter2\n",
        ),
        ("etc/cron.d/job", "*/5 * * * * nobody /bin/z\n"),
        ("etc/cron.d/job.dpkg-old", "* * * * * root /bin/no\n"),
        ("var/spool/cron/crontabs/jane", "0 0 * * 0 backup.sh\n"),
    ]);
    let section = collect(&root);
    assert_eq!(
        shown(&section),
        ["*/5 * * * * nobody /bin/z", "17 * * * * root cd", "@reboot www /bin/y", "0 0 * * 0 jane backup.sh"]
    );
    assert!(!format!("{section:?}").contains("hunter2"));
    assert_eq!(section.unknown, []);
}

#[test]
fn another_command_is_another_digest() {
    let Line::Job(one) = entry("/f", "@daily a --x", Some("u")) else { panic!("no job") };
    let Line::Job(two) = entry("/f", "@daily a --y", Some("u")) else { panic!("no job") };
    assert_ne!(one.digest, two.digest);
    assert_eq!(one.program, two.program);
}

#[test]
fn a_line_without_a_command_is_broken() {
    let root = tree::root(&[("etc/crontab", "17 * * *\n")]);
    assert_eq!(collect(&root).unknown[0].reason, Reason::Unparsable);
}

#[test]
fn folders_of_scripts_and_anacron_are_jobs() {
    let root = tree::root(&[
        ("etc/cron.daily/dpkg", "#!/bin/sh\n"),
        ("etc/cron.daily/.placeholder", ""),
        ("etc/anacrontab", "HOME=/\n1\t5\tcron.daily\trun-parts /etc/cron.daily\n"),
    ]);
    assert_eq!(
        shown(&collect(&root)),
        ["every 1 days, 5 minutes late root run-parts", "daily root /etc/cron.daily/dpkg"]
    );
}

#[test]
fn a_timer_that_something_starts_is_a_job_with_its_services_user() {
    let timer = "[Timer]\nOnCalendar=daily\nOnBootSec=5min\n";
    let root = tree::root(&[
        ("usr/lib/systemd/system/a.timer", timer),
        ("usr/lib/systemd/system/a.service", "[Service]\nUser=www\n"),
        ("etc/systemd/system/timers.target.wants/a.timer", "-> /usr/lib/systemd/system/a.timer"),
        ("etc/systemd/system/a.timer.d/when.conf", "[Timer]\nOnCalendar=\nOnCalendar=weekly\n"),
        ("usr/lib/systemd/system/idle.timer", timer),
    ]);
    assert_eq!(shown(&collect(&root)), ["OnBootSec=5min; OnCalendar=weekly www a.service"]);
}

#[test]
fn an_at_job_tells_its_minute() {
    assert_eq!(at_time("a0000101c2d3e4"), Some(Timestamp::from_millis(0x01c2_d3e4 * 60_000)));
    for name in [".SEQ", "spool", "a0000101c2d3e", "a0000x01c2d3e4"] {
        assert_eq!(at_time(name), None, "{name}");
    }
}

#[test]
fn this_host_tells_the_same_twice() {
    tree::is_stable(|| collect(&Root::host()));
}
