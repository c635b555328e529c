//! The cases with tokio. One worker is the single-threaded scheduler, more are the work-stealing one.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, Mutex, Notify};
use tokio::task::JoinHandle;

#[path = "../record.rs"]
mod record;
#[path = "../trees.rs"]
mod trees;
use record::{ms, ns_each, percentile, Case};

fn runtime(workers: usize) -> Runtime {
    let mut builder = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(workers).enable_time().build().unwrap()
}

/// The body runs as a task, on a worker, not on the thread that waits for it.
fn on_worker<F>(workers: usize, body: F) -> Vec<f64>
where
    F: Future<Output = Vec<f64>> + Send + 'static,
{
    let runtime = runtime(workers);
    let task = runtime.spawn(body);
    runtime.block_on(task).unwrap()
}

/// For trees, whatever the number of workers: newest first, where the other scheduler would hold whole generations.
fn on_stealing_worker<F>(workers: usize, body: F) -> Vec<f64>
where
    F: Future<Output = Vec<f64>> + Send + 'static,
{
    let runtime = Builder::new_multi_thread().worker_threads(workers).enable_time().build().unwrap();
    let task = runtime.spawn(body);
    runtime.block_on(task).unwrap()
}

async fn join_all(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        task.await.unwrap();
    }
}

fn spawn_join(workers: usize, count: usize) -> Vec<f64> {
    on_worker(workers, async move {
        let start = Instant::now();
        for _ in 0..count {
            tokio::spawn(async {}).await.unwrap();
        }
        vec![ns_each(start, count)]
    })
}

fn spawn_all(workers: usize, count: usize) -> Vec<f64> {
    on_worker(workers, async move {
        let mut tasks = Vec::with_capacity(count);
        let start = Instant::now();
        for _ in 0..count {
            tasks.push(tokio::spawn(async {}));
        }
        join_all(tasks).await;
        vec![ns_each(start, count), record::peak_bytes_each(count)]
    })
}

fn yield_now(workers: usize, count: usize) -> Vec<f64> {
    const TASKS: usize = 8;
    on_worker(workers, async move {
        let start = Instant::now();
        let one = || async move {
            for _ in 0..count / TASKS {
                tokio::task::yield_now().await;
            }
        };
        join_all((0..TASKS).map(|_| tokio::spawn(one())).collect()).await;
        vec![ns_each(start, count / TASKS * TASKS)]
    })
}

/// A hundred tasks take turns at a lock and yield after each.
fn mutex(workers: usize, count: usize) -> Vec<f64> {
    const TASKS: usize = 100;
    on_worker(workers, async move {
        let counter = Arc::new(Mutex::new(0));
        let one = |counter: Arc<Mutex<usize>>| async move {
            for _ in 0..count / TASKS {
                *counter.lock().await += 1;
                tokio::task::yield_now().await;
            }
        };
        let start = Instant::now();
        join_all((0..TASKS).map(|_| tokio::spawn(one(counter.clone()))).collect()).await;
        let ns = ns_each(start, count / TASKS * TASKS);
        assert_eq!(*counter.lock().await, count / TASKS * TASKS);
        vec![ns]
    })
}

/// A capacity of one is the least there is.
fn ping_pong(workers: usize, count: usize) -> Vec<f64> {
    on_worker(workers, async move {
        let (there, mut there_end) = mpsc::channel(1);
        let (back, mut back_end) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(item) = there_end.recv().await {
                back.send(item).await.unwrap();
            }
        });
        let start = Instant::now();
        for item in 0..count as u64 {
            there.send(item).await.unwrap();
            back_end.recv().await.unwrap();
        }
        vec![ns_each(start, count)]
    })
}

async fn produce(items: mpsc::Sender<u64>, count: usize) {
    for item in 0..count as u64 {
        items.send(item).await.unwrap();
    }
}

fn one_to_one(workers: usize, count: usize) -> Vec<f64> {
    on_worker(workers, async move {
        let (items, mut end) = mpsc::channel(128);
        let start = Instant::now();
        let consumer = tokio::spawn(async move { while end.recv().await.is_some() {} });
        tokio::spawn(produce(items, count)).await.unwrap();
        consumer.await.unwrap();
        vec![ns_each(start, count)]
    })
}

async fn consume_shared(end: Arc<Mutex<mpsc::Receiver<u64>>>) {
    while end.lock().await.recv().await.is_some() {}
}

/// These channels have one receiver: several consumers share it behind a lock.
fn many_to_many(workers: usize, count: usize) -> Vec<f64> {
    const TASKS: usize = 4;
    on_worker(workers, async move {
        let (items, end) = mpsc::channel(128);
        let end = Arc::new(Mutex::new(end));
        let mut tasks = Vec::new();
        let start = Instant::now();
        for _ in 0..TASKS {
            tasks.push(tokio::spawn(consume_shared(end.clone())));
            tasks.push(tokio::spawn(produce(items.clone(), count / TASKS)));
        }
        drop(items);
        join_all(tasks).await;
        vec![ns_each(start, count / TASKS * TASKS)]
    })
}

fn sleep_time(index: usize) -> Duration {
    Duration::from_millis((index * 7919 % 1000 + 1) as u64)
}

fn sleep_cost(workers: usize, count: usize) -> Vec<f64> {
    on_worker(workers, async move {
        let mut tasks = Vec::with_capacity(count);
        let (start, cpu_start) = (Instant::now(), record::cpu_ms());
        for i in 0..count {
            tasks.push(tokio::spawn(tokio::time::sleep(sleep_time(i))));
        }
        join_all(tasks).await;
        vec![start.elapsed().as_secs_f64() * 1e3, record::cpu_ms() - cpu_start]
    })
}

async fn one_sleep(duration: Duration) -> f64 {
    let deadline = Instant::now() + duration;
    tokio::time::sleep(duration).await;
    Instant::now().saturating_duration_since(deadline).as_nanos() as f64 / 1e3
}

fn sleep_late(workers: usize, count: usize) -> Vec<f64> {
    on_worker(workers, async move {
        let tasks: Vec<_> = (0..count).map(|i| tokio::spawn(one_sleep(sleep_time(i)))).collect();
        let mut late = Vec::with_capacity(count);
        for task in tasks {
            late.push(task.await.unwrap());
        }
        vec![percentile(&mut late, 99)]
    })
}

/// The single-threaded scheduler needs a thread to run on: here one worker is the other scheduler with one thread.
fn foreign_wake(workers: usize, count: usize) -> Vec<f64> {
    let runtime = Builder::new_multi_thread().worker_threads(workers).build().unwrap();
    let took_ns = Arc::new(AtomicU64::new(0));
    let arrived = Arc::new(AtomicBool::new(false));
    let mut late = Vec::with_capacity(count);
    for _ in 0..count {
        arrived.store(false, Ordering::Relaxed);
        let (took, flag) = (took_ns.clone(), arrived.clone());
        let sent = Instant::now();
        runtime.spawn(async move {
            took.store(sent.elapsed().as_nanos() as u64, Ordering::Relaxed);
            flag.store(true, Ordering::Release);
        });
        record::pause_until(&|| arrived.load(Ordering::Acquire));
        late.push(took_ns.load(Ordering::Relaxed) as f64 / 1e3);
    }
    vec![percentile(&mut late, 50), percentile(&mut late, 99)]
}

struct Gate {
    open: Notify,
    all_here: Notify,
    here: AtomicUsize,
}

async fn park(gate: Arc<Gate>, count: usize) {
    if gate.here.fetch_add(1, Ordering::AcqRel) + 1 == count {
        gate.all_here.notify_one();
    }
    gate.open.notified().await;
}

fn parked(workers: usize, count: usize) -> Vec<f64> {
    on_worker(workers, async move {
        let gate = Gate { open: Notify::new(), all_here: Notify::new(), here: AtomicUsize::new(0) };
        let gate = Arc::new(gate);
        let (before, start) = (record::rss_bytes(), Instant::now());
        for _ in 0..count {
            tokio::spawn(park(gate.clone(), count));
        }
        gate.all_here.notified().await;
        let ns = ns_each(start, count);
        let bytes = (record::rss_bytes() - before) / count as f64;
        gate.open.notify_waiters();
        vec![bytes, ns]
    })
}

// Trees. A future cannot contain itself, so each call's is boxed.

type Call = Pin<Box<dyn Future<Output = u64> + Send>>;

async fn sum(tasks: Vec<JoinHandle<u64>>) -> u64 {
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    sum
}

fn fib(n: u32) -> Call {
    Box::pin(async move {
        if n < 2 {
            return n as u64;
        }
        let forked = tokio::spawn(fib(n - 1));
        let called = fib(n - 2).await;
        forked.await.unwrap() + called
    })
}

fn run_fib(workers: usize, count: usize) -> Vec<f64> {
    let n = trees::fib_n(count);
    on_stealing_worker(workers, async move {
        let start = Instant::now();
        assert_eq!(fib(n).await, trees::fib_result(n));
        vec![ns_each(start, trees::fib_forks(n))]
    })
}

fn skynet(number: u64, size: u64) -> Call {
    Box::pin(async move {
        if size == 1 {
            return number;
        }
        let part = size / trees::SKYNET_FORKS;
        let fork = |i| tokio::spawn(skynet(number + i * part, part));
        sum((0..trees::SKYNET_FORKS).map(fork).collect()).await
    })
}

fn run_skynet(workers: usize, count: usize) -> Vec<f64> {
    let size = trees::skynet_size(count);
    on_stealing_worker(workers, async move {
        let start = Instant::now();
        assert_eq!(skynet(0, size).await, trees::skynet_result(size));
        vec![ms(start)]
    })
}

fn queens(now: trees::Board, row: usize, n: usize) -> Call {
    Box::pin(async move {
        if row == n {
            return 1;
        }
        let safe = (0..n).filter(|&column| trees::queen_is_safe(&now, row, column));
        let fork = |column: usize| {
            let mut next = now;
            next[row] = column as i8;
            tokio::spawn(queens(next, row + 1, n))
        };
        sum(safe.map(fork).collect()).await
    })
}

fn run_queens(workers: usize, count: usize) -> Vec<f64> {
    let n = trees::queens_n(count);
    on_stealing_worker(workers, async move {
        let start = Instant::now();
        assert_eq!(queens([0; trees::QUEENS_MAX], 0, n).await, trees::queens_result(n));
        vec![ms(start)]
    })
}

async fn uts_children(node: u64, count: u64) -> u64 {
    1 + sum((0..count).map(|i| tokio::spawn(uts(trees::uts_child(node, i)))).collect()).await
}

fn uts(node: u64) -> Call {
    Box::pin(async move {
        match trees::uts_is_leaf(node) {
            true => 1,
            false => uts_children(node, trees::UTS_FORKS).await,
        }
    })
}

fn run_uts(workers: usize, count: usize) -> Vec<f64> {
    let roots = trees::uts_roots(count);
    on_stealing_worker(workers, async move {
        let start = Instant::now();
        let nodes = uts_children(trees::UTS_SEED, roots).await;
        let ns = ns_each(start, nodes as usize);
        assert!(trees::uts_is_right(roots, nodes));
        vec![ns]
    })
}

/// A tree of two calls each whose leaves sleep now and then. Gives the number of leaves that did.
fn waiting_tree(first: u64, leaves: u64, sleeps: bool) -> Call {
    Box::pin(async move {
        if leaves > 1 {
            let half = leaves / 2;
            let forked = tokio::spawn(waiting_tree(first, half, sleeps));
            let called = waiting_tree(first + half, leaves - half, sleeps).await;
            return forked.await.unwrap() + called;
        }
        let waits = trees::leaf_waits(first);
        if waits && sleeps {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        waits as u64
    })
}

/// Processor time of so many tasks at once that sleep, or do nothing: the mean of ten times.
async fn tasks_that(sleep: bool, count: u64) -> f64 {
    const TIMES: usize = 10;
    let one = || async move {
        if sleep {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let start = record::cpu_ms();
    for _ in 0..TIMES {
        join_all((0..count).map(|_| tokio::spawn(one())).collect()).await;
    }
    (record::cpu_ms() - start) * 1e6 / TIMES as f64
}

fn run_waiting_tree(workers: usize, count: usize) -> Vec<f64> {
    on_stealing_worker(workers, async move {
        let leaves = count as u64;
        let start = record::cpu_ms();
        let waits = waiting_tree(0, leaves, false).await;
        let without_ns = (record::cpu_ms() - start) * 1e6;
        let start = record::cpu_ms();
        assert_eq!(waiting_tree(0, leaves, true).await, waits);
        let with_ns = (record::cpu_ms() - start) * 1e6;
        let all_waits_ns = tasks_that(true, waits).await - tasks_that(false, waits).await;
        vec![
            without_ns / leaves as f64,
            all_waits_ns / waits.max(1) as f64,
            with_ns / leaves as f64,
            with_ns / (without_ns + all_waits_ns),
        ]
    })
}

const TREE_ROWS: &[(&str, &str)] = &[
    ("tree-sleep-without", "ns"),
    ("tree-sleep-wait", "ns"),
    ("tree-sleep-with", "ns"),
    ("tree-sleep-ratio", "x"),
];

const CASES: &[Case] = &[
    Case::warm("spawn-join", &[("spawn-join", "ns")], 1_000_000, spawn_join),
    Case::warm("spawn-1m", &[("spawn-1m", "ns"), ("spawn-1m-bytes", "bytes")], 1_000_000, spawn_all),
    Case::warm("yield", &[("yield", "ns")], 2_000_000, yield_now),
    Case::warm("mutex", &[("mutex", "ns")], 1_000_000, mutex),
    Case::warm("fib", &[("fib", "ns")], 832_039, run_fib),
    Case::warm("skynet", &[("skynet", "ms")], 1_000_000, run_skynet),
    Case::warm("nqueens", &[("nqueens", "ms")], 856_189, run_queens),
    Case::warm("uts", &[("uts", "ns")], trees::UTS_NODES, run_uts),
    Case::warm("tree-sleep", TREE_ROWS, 1 << 18, run_waiting_tree),
    Case::warm("chan-pingpong", &[("chan-pingpong", "ns")], 500_000, ping_pong),
    Case::warm("chan-1p1c-128", &[("chan-1p1c-128", "ns")], 2_000_000, one_to_one),
    Case::warm("chan-4p4c-128", &[("chan-4p4c-128", "ns")], 2_000_000, many_to_many),
    Case {
        name: "sleep-1m",
        rows: &[("sleep-1m-wall", "ms"), ("sleep-1m-cpu", "ms")],
        count: 1_000_000,
        cold: true,
        once: false,
        run: sleep_cost,
    },
    Case {
        name: "sleep-20k-p99",
        rows: &[("sleep-20k-p99", "us")],
        count: 20_000,
        cold: true,
        once: false,
        run: sleep_late,
    },
    Case {
        name: "foreign-wake",
        rows: &[("foreign-wake-p50", "us"), ("foreign-wake-p99", "us")],
        count: 500,
        cold: true,
        once: false,
        run: foreign_wake,
    },
    Case {
        name: "parked-1m",
        rows: &[("parked-1m-bytes", "bytes"), ("parked-1m-ns", "ns")],
        count: 1_000_000,
        cold: false,
        once: true,
        run: parked,
    },
];

fn main() {
    record::main("tokio", CASES);
}
