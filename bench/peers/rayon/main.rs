//! rayon: tasks that cannot block. The spawn rows, the trees and the wake-up apply.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Instant;

#[path = "../record.rs"]
mod record;
#[path = "../trees.rs"]
mod trees;
use record::{ms, ns_each, percentile, Case};

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
        vec![ns_each(start, count), record::peak_bytes_each(count)]
    })
}

// Trees.

/// The sum of calls that are all forked, by halves: join() knows two at a time.
fn sum_of(first: usize, end: usize, call: &(impl Fn(usize) -> u64 + Sync)) -> u64 {
    match end - first {
        0 => 0,
        1 => call(first),
        count => {
            let middle = first + count / 2;
            let (left, right) = rayon::join(|| sum_of(first, middle, call), || sum_of(middle, end, call));
            left + right
        }
    }
}

fn fib(n: u32) -> u64 {
    if n < 2 {
        return n as u64;
    }
    let (left, right) = rayon::join(|| fib(n - 1), || fib(n - 2));
    left + right
}

fn run_fib(workers: usize, count: usize) -> Vec<f64> {
    let n = trees::fib_n(count);
    pool(workers).install(|| {
        let start = Instant::now();
        assert_eq!(fib(n), trees::fib_result(n));
        vec![ns_each(start, trees::fib_forks(n))]
    })
}

fn skynet(number: u64, size: u64) -> u64 {
    if size == 1 {
        return number;
    }
    let part = size / trees::SKYNET_FORKS;
    sum_of(0, trees::SKYNET_FORKS as usize, &|i| skynet(number + i as u64 * part, part))
}

fn run_skynet(workers: usize, count: usize) -> Vec<f64> {
    let size = trees::skynet_size(count);
    pool(workers).install(|| {
        let start = Instant::now();
        assert_eq!(skynet(0, size), trees::skynet_result(size));
        vec![ms(start)]
    })
}

fn queens(now: &trees::Board, row: usize, n: usize) -> u64 {
    if row == n {
        return 1;
    }
    let mut safe = [0; trees::QUEENS_MAX];
    let mut count = 0;
    for column in 0..n {
        if trees::queen_is_safe(now, row, column) {
            safe[count] = column as i8;
            count += 1;
        }
    }
    sum_of(0, count, &|i| {
        let mut next = *now;
        next[row] = safe[i];
        queens(&next, row + 1, n)
    })
}

fn run_queens(workers: usize, count: usize) -> Vec<f64> {
    let n = trees::queens_n(count);
    pool(workers).install(|| {
        let start = Instant::now();
        assert_eq!(queens(&[0; trees::QUEENS_MAX], 0, n), trees::queens_result(n));
        vec![ms(start)]
    })
}

fn uts_children(node: u64, count: u64) -> u64 {
    1 + sum_of(0, count as usize, &|i| uts(trees::uts_child(node, i as u64)))
}

fn uts(node: u64) -> u64 {
    match trees::uts_is_leaf(node) {
        true => 1,
        false => uts_children(node, trees::UTS_FORKS),
    }
}

fn run_uts(workers: usize, count: usize) -> Vec<f64> {
    let roots = trees::uts_roots(count);
    pool(workers).install(|| {
        let start = Instant::now();
        let nodes = uts_children(trees::UTS_SEED, roots);
        let ns = ns_each(start, nodes as usize);
        assert!(trees::uts_is_right(roots, nodes));
        vec![ns]
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
    Case::warm("spawn-join", &[("spawn-join", "ns")], 1_000_000, spawn_join),
    Case::warm("spawn-1m", &[("spawn-1m", "ns"), ("spawn-1m-bytes", "bytes")], 1_000_000, spawn_all),
    Case::warm("fib", &[("fib", "ns")], 9_227_464, run_fib),
    Case::warm("skynet", &[("skynet", "ms")], 1_000_000, run_skynet),
    Case::warm("nqueens", &[("nqueens", "ms")], 856_189, run_queens),
    Case::warm("uts", &[("uts", "ns")], trees::UTS_NODES, run_uts),
    Case {
        name: "foreign-wake",
        rows: &[("foreign-wake-p50", "us"), ("foreign-wake-p99", "us")],
        count: 500,
        cold: true,
        once: false,
        run: foreign_wake,
    },
];

fn main() {
    record::main("rayon", CASES);
}
