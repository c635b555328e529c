//! rayon's parallel iterators and sorts. Their closures cannot block. There is no scan.

use rayon::prelude::*;
use std::time::Instant;

#[path = "../record.rs"]
mod record;
use record::{ns_each, Case};

fn inside<R: Send>(workers: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap().install(work)
}

fn doubles(count: usize) -> Vec<f64> {
    (0..count).map(|i| (i % 1000) as f64).collect()
}

/// One step of Vigna's splitmix64.
fn number(index: u64) -> u64 {
    let mut z = (index + 1).wrapping_mul(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
    z ^ (z >> 31)
}

#[derive(Clone, Copy)]
struct Record {
    key: u64,
    _rest: [u8; 56],
}

fn light(item: &mut f64) {
    *item = *item * 0.5 + 1.0;
}

fn heavy(item: &mut f64) {
    for _ in 0..32 {
        *item = *item * 0.999 + 1.0 / (1.0 + *item * *item);
    }
}

fn for_each(workers: usize, count: usize, length: usize, work: fn(&mut f64)) -> Vec<f64> {
    let mut items = doubles(count);
    inside(workers, || {
        let start = Instant::now();
        items.par_iter_mut().with_max_len(length).for_each(work);
        vec![ns_each(start, count)]
    })
}

fn for_light(workers: usize, count: usize) -> Vec<f64> {
    let mut items = doubles(count);
    inside(workers, || {
        let start = Instant::now();
        items.par_iter_mut().for_each(|item| light(item));
        vec![ns_each(start, count)]
    })
}

fn for_heavy(workers: usize, count: usize) -> Vec<f64> {
    for_each(workers, count, usize::MAX, heavy)
}

fn for_piece(workers: usize, count: usize) -> Vec<f64> {
    for_each(workers, count, 1, light)
}

fn reduce(workers: usize, count: usize) -> Vec<f64> {
    let items = doubles(count);
    inside(workers, || {
        let start = Instant::now();
        let sum: f64 = items.par_iter().sum();
        assert!(sum > 0.0);
        vec![ns_each(start, count)]
    })
}

fn sort_int(workers: usize, count: usize) -> Vec<f64> {
    let mut items: Vec<i32> = (0..count).map(|i| number(i as u64) as i32).collect();
    inside(workers, || {
        let start = Instant::now();
        items.par_sort_unstable();
        vec![ns_each(start, count)]
    })
}

fn sort_int_stable(workers: usize, count: usize) -> Vec<f64> {
    let mut items: Vec<i32> = (0..count).map(|i| number(i as u64) as i32).collect();
    inside(workers, || {
        let start = Instant::now();
        items.par_sort();
        vec![ns_each(start, count)]
    })
}

fn records(count: usize) -> Vec<Record> {
    (0..count).map(|i| Record { key: number(i as u64), _rest: [0; 56] }).collect()
}

fn sort_record(workers: usize, count: usize) -> Vec<f64> {
    let mut items = records(count);
    inside(workers, || {
        let start = Instant::now();
        items.par_sort_unstable_by(|left, right| left.key.cmp(&right.key));
        vec![ns_each(start, count)]
    })
}

fn sort_record_stable(workers: usize, count: usize) -> Vec<f64> {
    let mut items = records(count);
    inside(workers, || {
        let start = Instant::now();
        items.par_sort_by(|left, right| left.key.cmp(&right.key));
        vec![ns_each(start, count)]
    })
}

const CASES: &[Case] = &[
    Case::warm("for-light", &[("for-light", "ns")], 10_000_000, for_light),
    Case::warm("for-heavy", &[("for-heavy", "ns")], 2_000_000, for_heavy),
    Case::warm("for-piece", &[("for-piece", "ns")], 10_000_000, for_piece),
    Case::warm("reduce", &[("reduce", "ns")], 10_000_000, reduce),
    Case::warm("sort-int", &[("sort-int", "ns")], 4_000_000, sort_int),
    Case::warm("sort-int-stable", &[("sort-int-stable", "ns")], 4_000_000, sort_int_stable),
    Case::warm("sort-record", &[("sort-record", "ns")], 1_000_000, sort_record),
    Case::warm("sort-record-stable", &[("sort-record-stable", "ns")], 1_000_000, sort_record_stable),
];

fn main() {
    record::main("rayon", CASES);
}
