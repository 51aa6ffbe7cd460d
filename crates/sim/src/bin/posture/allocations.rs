//! How often memory is taken on the paths that a fleet walks all day: requests are made first, and what the
//! server does with each is counted, one after another.
#![expect(
    unsafe_code,
    reason = "an allocator that counts is an unsafe trait's; all of it is handed to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::fleet::Fleet;
use crate::{Failure, days, say};

/// How many requests of each kind are counted.
const TIMES: u32 = 500;

static COUNTS: AtomicBool = AtomicBool::new(false);
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, counted while something is measured.
pub(crate) struct Counting;

fn count() {
    if COUNTS.load(Ordering::Relaxed) {
        TAKEN.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the trait's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the trait's contract.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the trait's contract.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// Counts unchanged check-ins, and reports in which some verdicts changed.
pub(crate) async fn show(fleet: &Fleet) -> Result<(), Failure> {
    fleet.settle().await?;
    let hosts = TIMES.min(fleet.population.hosts);
    let checkins = days::checkins(fleet, hosts).await?;
    let reports = days::later_reports(fleet, hosts)?;
    let rows = [
        ("allocations for an unchanged check-in", "/agent/v1/heartbeat", checkins),
        ("allocations for a report of ten changes", "/agent/v1/reports", reports),
    ];
    for (what, path, bodies) in rows {
        let mut requests = Vec::with_capacity(bodies.len());
        for (host, body) in bodies {
            requests.push(fleet.request(path, host, body)?);
        }
        let count = requests.len() as u64;
        TAKEN.store(0, Ordering::Relaxed);
        COUNTS.store(true, Ordering::Relaxed);
        for request in requests {
            fleet.answered(request).await?;
        }
        COUNTS.store(false, Ordering::Relaxed);
        let each = TAKEN.load(Ordering::Relaxed) / count.max(1);
        say(what, &format!("{each}, with decoding, answer, and what stages do meanwhile"));
    }
    Ok(())
}
