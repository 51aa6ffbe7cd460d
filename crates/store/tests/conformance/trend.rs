//! Figures over time, and the backlog, on every engine.

use bartizan_core::posture::shard;
use bartizan_core::severity::Severity;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::trend::{Figures, Step};
use bartizan_core::verdict::{Reason, Verdict};
use bartizan_core::vulnerability::matching;
use bartizan_store::Store;
use bartizan_store::matching::{Matched, Progress};
use bartizan_store::report::Report;

use crate::matching::found;
use crate::posture::take_in;
use crate::suite::{NOW, builds, commit, enrol, later, report, secret, tuple};

/// How much of the backlog is open, and how much ended, after all that waits is taken in.
async fn backlog(store: &Store) -> (u64, u64) {
    take_in(store).await;
    let backlog = store.backlog().await.unwrap();
    (backlog.open, backlog.ended)
}

/// What a feed says of the first build: these vulnerabilities affect it.
async fn judge(store: &Store, ids: &[&str], at: u32) {
    let affected = matching::Verdict::Affected;
    let matches = ids.iter().map(|id| found(id, "openssl", affected, Severity::High)).collect();
    let matched = [Matched { tuple: 0, covered: true, matches }];
    store.put_matches(&matched, &secret("feeds"), Progress::Part, later(at)).await.unwrap();
}

pub(crate) async fn a_backlog_is_what_first_sight_brought_and_ends_by_what_is_seen(store: Store) {
    let (one, two) = (enrol(&store, 1).await, enrol(&store, 2).await);
    let looks = [("r1", Verdict::NotMet), ("r2", Verdict::NotMet), ("r3", Verdict::Met)];
    let brings = |of| Report { tuples: builds([tuple("openssl")]), ..of };
    commit(&store, brings(report(&one, 1, &looks))).await;
    assert_eq!(backlog(&store).await, (2, 0));
    judge(&store, &["CVE-2024-1", "CVE-2024-2"], 2).await;
    assert_eq!(backlog(&store).await, (4, 0), "the first feed finds what was there");
    judge(&store, &["CVE-2024-1", "CVE-2024-2", "CVE-2024-3"], 3).await;
    assert_eq!(backlog(&store).await, (4, 0), "news is no backlog");
    // What is not met later, and what came later, is none either.
    commit(&store, report(&one, 4, &[("r1", Verdict::Unknown(Reason::Denied)), ("r3", Verdict::NotMet)]))
        .await;
    commit(&store, report(&two, 5, &[("r1", Verdict::Met)])).await;
    commit(&store, Report { tuples: builds([tuple("bash")]), ..report(&two, 6, &[]) }).await;
    commit(&store, brings(report(&two, 7, &[]))).await;
    assert_eq!(backlog(&store).await, (4, 0), "unknown closes nothing");
    commit(&store, report(&one, 8, &[("r1", Verdict::Met)])).await;
    assert_eq!(backlog(&store).await, (3, 1));
    commit(&store, Report { tuples: builds([tuple("bash")]), ..report(&one, 9, &[]) }).await;
    assert_eq!(backlog(&store).await, (1, 3));
    let stamps = store.backlog().await.unwrap();
    assert_eq!((stamps.first, stamps.last), (Some(later(1)), Some(later(6))));
    // Built anew, the figures are what they were, and nothing ends a second time.
    assert_eq!(shard(one.number), shard(two.number));
    store.drop_index().await.unwrap();
    assert_eq!(store.backlog().await.unwrap().open, 0);
    assert_eq!(backlog(&store).await, (1, 3));
    assert_eq!(store.backlog().await.unwrap(), stamps);
}

fn figures(not_met: u64) -> Figures {
    Figures { not_met, ..Figures::default() }
}

async fn told(store: &Store, step: Step, from: Timestamp) -> Vec<(i64, u64)> {
    let samples = store.trend(step, from).await.unwrap();
    let steps = |at: Timestamp| (at.as_millis() - NOW.as_millis()).div_euclid(step.length().as_millis());
    samples.iter().map(|sample| (steps(sample.start), sample.figures.not_met)).collect()
}

pub(crate) async fn the_last_figures_of_a_step_are_kept_and_hold_on(store: Store) {
    assert_eq!(store.trend_span().await.unwrap(), None);
    // 2023-11-14T22:13:20Z.
    for (after, not_met) in [(0, 5), (10, 4), (3_600, 3)] {
        store.put_trend(later(after), &figures(not_met)).await.unwrap();
    }
    // Who comes late overwrites nothing.
    store.put_trend(later(5), &figures(9)).await.unwrap();
    assert_eq!(told(&store, Step::Minute, NOW).await, [(-1, 4), (59, 3)]);
    assert_eq!(told(&store, Step::Hour, NOW).await, [(-1, 4), (0, 3)]);
    assert_eq!(told(&store, Step::Day, NOW).await, [(-1, 3)]);
    assert_eq!(told(&store, Step::Minute, later(1_800)).await, [(-1, 4), (59, 3)], "the one before holds on");
    assert_eq!(store.trend_span().await.unwrap(), Some((later(10), later(3_600))));
    // Three hours later the minutes of then are gone, but for the last, which holds on.
    store.put_trend(later(4 * 3_600), &figures(2)).await.unwrap();
    assert_eq!(told(&store, Step::Minute, later(3_600)).await, [(59, 3), (239, 2)]);
    let all = store.trend(Step::Minute, NOW.minus(Duration::from_days(1))).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(told(&store, Step::Hour, NOW).await.len(), 3);
}

pub(crate) async fn a_store_that_only_reads_changes_nothing(store: Store) {
    let reads = store.reads_only();
    let refused = reads.put_trend(NOW, &figures(1)).await.unwrap_err();
    assert!(matches!(refused, bartizan_store::Error::ReadsOnly(_)), "{refused}");
    assert_eq!(reads.trend_span().await.unwrap(), None);
    store.put_trend(NOW, &figures(1)).await.unwrap();
    assert_eq!(reads.trend_span().await.unwrap(), Some((NOW, NOW)));
}
