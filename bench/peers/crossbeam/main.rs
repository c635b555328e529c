//! crossbeam's channels between threads, one thread for each producer and each consumer.

use std::thread;
use std::time::Instant;

use crossbeam_channel::{bounded, Receiver, Sender};

#[path = "../record.rs"]
mod record;
use record::{ns_each, Case};

fn ping_pong(_workers: usize, count: usize) -> Vec<f64> {
    let (there, there_end) = bounded(0);
    let (back, back_end) = bounded(0);
    let echo = thread::spawn(move || there_end.iter().for_each(|item: u64| back.send(item).unwrap()));
    let start = Instant::now();
    for item in 0..count as u64 {
        there.send(item).unwrap();
        back_end.recv().unwrap();
    }
    let result = ns_each(start, count);
    drop(there);
    echo.join().unwrap();
    vec![result]
}

fn produce(items: Sender<u64>, count: usize) {
    for item in 0..count as u64 {
        items.send(item).unwrap();
    }
}

fn consume(items: Receiver<u64>) {
    while items.recv().is_ok() {}
}

fn move_items(tasks: usize, capacity: usize, count: usize) -> Vec<f64> {
    let (items, end) = bounded(capacity);
    let each = count / tasks;
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..tasks {
            let (items, end) = (items.clone(), end.clone());
            scope.spawn(move || consume(end));
            scope.spawn(move || produce(items, each));
        }
        drop(items);
    });
    vec![ns_each(start, each * tasks)]
}

const CASES: &[Case] = &[
    Case::warm("chan-pingpong", &[("chan-pingpong", "ns")], 50_000, ping_pong),
    Case::warm("chan-1p1c-0", &[("chan-1p1c-0", "ns")], 500_000, |_, count| move_items(1, 0, count)),
    Case::warm("chan-1p1c-128", &[("chan-1p1c-128", "ns")], 2_000_000, |_, count| move_items(1, 128, count)),
    Case::warm("chan-4p4c-0", &[("chan-4p4c-0", "ns")], 500_000, |_, count| move_items(4, 0, count)),
    Case::warm("chan-4p4c-128", &[("chan-4p4c-128", "ns")], 2_000_000, |_, count| move_items(4, 128, count)),
];

fn main() {
    record::main("crossbeam", CASES);
}
