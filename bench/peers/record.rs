//! What the programs in Rust share: settings, runs and records as in bench.h.
#![allow(dead_code)]

use std::time::Instant;

pub struct Case {
    pub name: &'static str,
    /// Row and unit of each value that `run` gives.
    pub rows: &'static [(&'static str, &'static str)],
    pub count: usize,
    /// No warm-up.
    pub cold: bool,
    /// One run a process.
    pub once: bool,
    pub run: fn(workers: usize, count: usize) -> Vec<f64>,
}

impl Case {
    /// A case that is warmed up and may be run again.
    pub const fn warm(
        name: &'static str,
        rows: &'static [(&'static str, &'static str)],
        count: usize,
        run: fn(usize, usize) -> Vec<f64>,
    ) -> Case {
        Case { name, rows, count, cold: false, once: false, run }
    }
}

pub fn ns_each(start: Instant, count: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / count as f64
}

pub fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// Sorts.
pub fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() * percent + 99) / 100).saturating_sub(1)]
}

pub fn rss_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

/// The most that ever was, for each of `count`.
pub fn peak_bytes_each(count: usize) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0 / count as f64
}

/// User and system time of this process so far.
pub fn cpu_ms() -> f64 {
    let mut ns = 0;
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        let schedstat = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        ns += schedstat.split(' ').next().unwrap().parse::<u64>().unwrap();
    }
    ns as f64 / 1e6
}

/// Waits until the runtime is asleep again, and at least until `done`.
pub fn pause_until(done: &dyn Fn() -> bool) {
    loop {
        std::thread::sleep(std::time::Duration::from_millis(2));
        if done() {
            return;
        }
    }
}

fn setting(name: &str, otherwise: f64) -> f64 {
    let value = std::env::var(name).ok().and_then(|text| text.parse().ok());
    value.filter(|&value| value > 0.0).unwrap_or(otherwise)
}

fn print_row(who: &str, workers: usize, row: (&str, &str), values: &mut [f64]) {
    values.sort_by(f64::total_cmp);
    let runs = values.len();
    println!(
        "{{\"row\":\"{}\",\"who\":\"{}\",\"workers\":{},\"unit\":\"{}\",\"median\":{:.3},\"min\":{:.3},\"max\":{:.3},\"runs\":{}}}",
        row.0, who, workers, row.1,
        (values[(runs - 1) / 2] + values[runs / 2]) / 2.0, values[0], values[runs - 1], runs
    );
}

fn measure(who: &str, case: &Case, workers: usize) {
    let count = ((case.count as f64 * setting("BENCH_SCALE", 1.0)) as usize).max(1);
    let runs = if case.once { 1 } else { setting("BENCH_RUNS", 5.0) as usize };
    if !case.cold && !case.once {
        (case.run)(workers, (count / 10).max(1));
    }
    let mut table = vec![Vec::new(); case.rows.len()];
    for _ in 0..runs {
        for (row, value) in (case.run)(workers, count).into_iter().enumerate() {
            table[row].push(value);
        }
    }
    for (row, values) in table.iter_mut().enumerate() {
        print_row(who, workers, case.rows[row], values);
    }
}

pub fn main(who: &str, cases: &[Case]) {
    let mut args = std::env::args().skip(1);
    let only = args.next();
    let workers = args.next().and_then(|text| text.parse().ok());
    let workers = workers.unwrap_or(setting("BENCH_WORKERS", 1.0) as usize);
    let mut found = false;
    for case in cases.iter().filter(|case| only.as_deref().map_or(true, |name| name == case.name)) {
        found = true;
        measure(who, case, workers);
    }
    if !found {
        eprintln!("{}: there is no case {:?} here", who, only.unwrap());
        std::process::exit(2);
    }
}
