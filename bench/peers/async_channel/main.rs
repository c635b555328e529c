//! async-channel's channels between tokio's tasks: with several receivers, which tokio's own do not have.

use std::time::Instant;

use async_channel::{bounded, Receiver, Sender};
use tokio::runtime::Builder;

#[path = "../record.rs"]
mod record;
use record::{ns_each, Case};

/// The body runs as a task, on a worker, not on the thread that waits for it.
fn on_worker<F>(workers: usize, body: F) -> Vec<f64>
where
    F: std::future::Future<Output = f64> + Send + 'static,
{
    let mut builder = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(workers).build().unwrap();
    let task = runtime.spawn(body);
    vec![runtime.block_on(task).unwrap()]
}

/// A capacity of one is the least there is.
fn ping_pong(workers: usize, count: usize) -> Vec<f64> {
    on_worker(workers, async move {
        let (there, there_end) = bounded(1);
        let (back, back_end) = bounded(1);
        tokio::spawn(async move {
            while let Ok(item) = there_end.recv().await {
                back.send(item).await.unwrap();
            }
        });
        let start = Instant::now();
        for item in 0..count as u64 {
            there.send(item).await.unwrap();
            back_end.recv().await.unwrap();
        }
        ns_each(start, count)
    })
}

async fn produce(items: Sender<u64>, count: usize) {
    for item in 0..count as u64 {
        items.send(item).await.unwrap();
    }
}

async fn consume(items: Receiver<u64>) {
    while items.recv().await.is_ok() {}
}

fn move_items(tasks: usize, workers: usize, count: usize) -> Vec<f64> {
    on_worker(workers, async move {
        let (items, end) = bounded(128);
        let each = count / tasks;
        let mut running = Vec::new();
        let start = Instant::now();
        for _ in 0..tasks {
            running.push(tokio::spawn(consume(end.clone())));
            running.push(tokio::spawn(produce(items.clone(), each)));
        }
        drop(items);
        for task in running {
            task.await.unwrap();
        }
        ns_each(start, each * tasks)
    })
}

const CASES: &[Case] = &[
    Case::warm("chan-pingpong", &[("chan-pingpong", "ns")], 500_000, ping_pong),
    Case::warm("chan-1p1c-128", &[("chan-1p1c-128", "ns")], 2_000_000, |workers, count| move_items(1, workers, count)),
    Case::warm("chan-4p4c-128", &[("chan-4p4c-128", "ns")], 2_000_000, |workers, count| move_items(4, workers, count)),
];

fn main() {
    record::main("async-channel", CASES);
}
