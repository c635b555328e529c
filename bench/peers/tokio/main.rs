//! The cases with tokio. One worker is the single-threaded scheduler, more are the work-stealing one.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, Mutex, Notify};
use tokio::task::JoinHandle;

#[path = "../record.rs"]
mod record;
use record::{ns_each, percentile, Case};

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
    F: std::future::Future<Output = Vec<f64>> + Send + 'static,
{
    let runtime = runtime(workers);
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
        vec![ns_each(start, count)]
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

const CASES: &[Case] = &[
    Case::ns("spawn-join", &[("spawn-join", "ns")], 1_000_000, spawn_join),
    Case::ns("spawn-1m", &[("spawn-1m", "ns")], 1_000_000, spawn_all),
    Case::ns("yield", &[("yield", "ns")], 2_000_000, yield_now),
    Case::ns("chan-pingpong", &[("chan-pingpong", "ns")], 500_000, ping_pong),
    Case::ns("chan-1p1c-128", &[("chan-1p1c-128", "ns")], 2_000_000, one_to_one),
    Case::ns("chan-4p4c-128", &[("chan-4p4c-128", "ns")], 2_000_000, many_to_many),
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
        count: 1_000,
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
