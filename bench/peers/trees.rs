//! The problems of the fork-join rows, as in trees.h: sizes and right answers.
#![allow(dead_code)]

pub fn fib_forks(n: u32) -> usize {
    let (mut before, mut forks) = (0, 0);
    for _ in 2..=n {
        (before, forks) = (forks, forks + before + 1);
    }
    forks
}

/// The greatest n whose tree has at most `forks` forks, and at least 2.
pub fn fib_n(forks: usize) -> u32 {
    (2..).find(|&n| fib_forks(n + 1) > forks).unwrap()
}

pub fn fib_result(n: u32) -> u64 {
    fib_forks(n - 1) as u64 + 1
}

pub const SKYNET_FORKS: u64 = 10;

/// The greatest power of ten that is not above `leaves`.
pub fn skynet_size(leaves: usize) -> u64 {
    let mut size = 1;
    while size * SKYNET_FORKS <= leaves as u64 {
        size *= SKYNET_FORKS;
    }
    size
}

pub fn skynet_result(size: u64) -> u64 {
    size * (size - 1) / 2
}

pub const QUEENS_MAX: usize = 14;
pub type Board = [i8; QUEENS_MAX];

/// Calls and solutions of boards of 4 and more.
const QUEENS_SIZES: [(usize, u64); 10] = [
    (17, 2),
    (54, 10),
    (153, 4),
    (552, 40),
    (2057, 92),
    (8394, 352),
    (35539, 724),
    (166926, 2680),
    (856189, 14200),
    (4674890, 73712),
];

/// The greatest board whose tree has at most `calls` calls, and at least 4.
pub fn queens_n(calls: usize) -> usize {
    3 + QUEENS_SIZES.iter().filter(|size| size.0 <= calls).count().max(1)
}

pub fn queens_result(n: usize) -> u64 {
    QUEENS_SIZES[n - 4].1
}

pub fn queen_is_safe(columns: &Board, row: usize, column: usize) -> bool {
    columns[..row].iter().enumerate().all(|(before, &at)| {
        let apart = (column as i8 - at).unsigned_abs() as usize;
        apart != 0 && apart != row - before
    })
}

pub const UTS_FORKS: u64 = 8;
pub const UTS_NODES: usize = 612_225;
pub const UTS_SEED: u64 = 2621;
const UTS_ROOTS: usize = 2000;
const UTS_ODDS: u64 = 2_298_464_311_584_210_176;

fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xbf58476d1ce4e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d049bb133111eb);
    x ^ x >> 31
}

pub fn uts_child(node: u64, index: u64) -> u64 {
    mix(node.wrapping_add((index + 1).wrapping_mul(0x9e3779b97f4a7c15)))
}

pub fn uts_is_leaf(node: u64) -> bool {
    node >= UTS_ODDS
}

pub fn uts_roots(nodes: usize) -> u64 {
    (nodes * UTS_ROOTS / UTS_NODES).max(1) as u64
}

/// Whether that many nodes came out where it is known how many there are.
pub fn uts_is_right(roots: u64, nodes: u64) -> bool {
    roots != UTS_ROOTS as u64 || nodes == UTS_NODES as u64
}

/// The tree whose leaves wait, now and then: which ones do.
pub const WAIT_ONE_IN: u64 = 1000;

pub fn leaf_waits(leaf: u64) -> bool {
    mix(leaf + 1) % WAIT_ONE_IN == 0
}
