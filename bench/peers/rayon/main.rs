//! rayon: tasks that cannot block. The spawn rows and the wake-up apply.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Instant;

#[path = "../record.rs"]
mod record;
use record::{ns_each, percentile, Case};

fn pool(workers: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap()
}

fn spawn_join(workers: usize, count: usize) -> Vec<f64> {
    pool(workers).install(|| {
        let start = Instant::now();
        for _ in 0..count {
            rayon::scope(|scope| scope.spawn(|_| {}));
        }
        vec![ns_each(start, count)]
    })
}

fn spawn_all(workers: usize, count: usize) -> Vec<f64> {
    pool(workers).install(|| {
        let start = Instant::now();
        rayon::scope(|scope| {
            for _ in 0..count {
                scope.spawn(|_| {});
            }
        });
        vec![ns_each(start, count)]
    })
}

fn foreign_wake(workers: usize, count: usize) -> Vec<f64> {
    let pool = pool(workers);
    let took_ns = Arc::new(AtomicU64::new(0));
    let arrived = Arc::new(AtomicBool::new(false));
    let mut late = Vec::with_capacity(count);
    for _ in 0..count {
        arrived.store(false, Ordering::Relaxed);
        let (took, flag) = (took_ns.clone(), arrived.clone());
        let sent = Instant::now();
        pool.spawn(move || {
            took.store(sent.elapsed().as_nanos() as u64, Ordering::Relaxed);
            flag.store(true, Ordering::Release);
        });
        record::pause_until(&|| arrived.load(Ordering::Acquire));
        late.push(took_ns.load(Ordering::Relaxed) as f64 / 1e3);
    }
    vec![percentile(&mut late, 50), percentile(&mut late, 99)]
}

const CASES: &[Case] = &[
    Case::ns("spawn-join", &[("spawn-join", "ns")], 1_000_000, spawn_join),
    Case::ns("spawn-1m", &[("spawn-1m", "ns")], 1_000_000, spawn_all),
    Case {
        name: "foreign-wake",
        rows: &[("foreign-wake-p50", "us"), ("foreign-wake-p99", "us")],
        count: 1_000,
        cold: true,
        once: false,
        run: foreign_wake,
    },
];

fn main() {
    record::main("rayon", CASES);
}
