// The cases in Go. Usage and settings are those of bench.h.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// How long the runtime is left alone between two wake-ups.
const idle = 2 * time.Millisecond

// The process that busyFd starts, and how long it lets a moment take to be read.
const (
	shooterName = "shoot-moments"
	busyPause   = 20 * time.Millisecond
)

type row struct{ name, unit string }

type benchCase struct {
	name  string
	rows  []row
	count int
	cold  bool // no warm-up
	once  bool // one run a process
	run   func(count int) []float64
}

func nsEach(start time.Time, count int) []float64 {
	return []float64{float64(time.Since(start).Nanoseconds()) / float64(count)}
}

func spawnJoin(count int) []float64 {
	var group sync.WaitGroup
	start := time.Now()
	for i := 0; i < count; i++ {
		group.Add(1)
		go group.Done()
		group.Wait()
	}
	return nsEach(start, count)
}

func spawnAll(count int) []float64 {
	var group sync.WaitGroup
	start := time.Now()
	group.Add(count)
	for i := 0; i < count; i++ {
		go group.Done()
	}
	group.Wait()
	return append(nsEach(start, count), peakBytes()/float64(count))
}

func peakBytes() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Maxrss) * 1024
}

func yield(count int) []float64 {
	const tasks = 8
	var group sync.WaitGroup
	group.Add(tasks)
	start := time.Now()
	for i := 0; i < tasks; i++ {
		go func() {
			for turn := 0; turn < count/tasks; turn++ {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
	return nsEach(start, count/tasks*tasks)
}

func mutex(count int) []float64 {
	const tasks = 100
	var lock sync.Mutex
	var group sync.WaitGroup
	counter, each := 0, count/tasks
	group.Add(tasks)
	start := time.Now()
	for i := 0; i < tasks; i++ {
		go func() {
			for turn := 0; turn < each; turn++ {
				lock.Lock()
				counter++
				lock.Unlock()
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
	result := nsEach(start, each*tasks)
	check(counter == each*tasks)
	return result
}

func pingPong(count int) []float64 {
	there, back := make(chan uint64), make(chan uint64)
	go func() {
		for item := range there {
			back <- item
		}
	}()
	start := time.Now()
	for i := 0; i < count; i++ {
		there <- uint64(i)
		<-back
	}
	result := nsEach(start, count)
	close(there)
	return result
}

func moveItems(tasks, capacity int) func(count int) []float64 {
	return func(count int) []float64 {
		items := make(chan uint64, capacity)
		each := count / tasks
		var makers, takers sync.WaitGroup
		makers.Add(tasks)
		takers.Add(tasks)
		start := time.Now()
		for i := 0; i < tasks; i++ {
			go func() {
				for range items {
				}
				takers.Done()
			}()
			go func() {
				for item := 0; item < each; item++ {
					items <- uint64(item)
				}
				makers.Done()
			}()
		}
		makers.Wait()
		close(items)
		takers.Wait()
		return nsEach(start, each*tasks)
	}
}

func sleepTime(index int) time.Duration {
	return time.Duration(index*7919%1000+1) * time.Millisecond
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func sleepCost(count int) []float64 {
	var group sync.WaitGroup
	group.Add(count)
	start, cpuStart := time.Now(), cpuTime()
	for i := 0; i < count; i++ {
		go func(i int) {
			time.Sleep(sleepTime(i))
			group.Done()
		}(i)
	}
	group.Wait()
	return []float64{time.Since(start).Seconds() * 1e3, (cpuTime() - cpuStart).Seconds() * 1e3}
}

// percentile sorts.
func percentile(values []float64, percent int) float64 {
	sort.Float64s(values)
	rank := (len(values)*percent + 99) / 100
	if rank > 0 {
		rank--
	}
	return values[rank]
}

func sleepLate(count int) []float64 {
	late := make([]float64, count)
	var group sync.WaitGroup
	group.Add(count)
	for i := 0; i < count; i++ {
		go func(i int) {
			deadline := time.Now().Add(sleepTime(i))
			time.Sleep(sleepTime(i))
			late[i] = float64(time.Since(deadline).Nanoseconds()) / 1e3
			group.Done()
		}(i)
	}
	group.Wait()
	return []float64{percentile(late, 99)}
}

// Go has no thread that is foreign to it without cgo, whose call would be measured too. The nearest thing is a
// goroutine with a thread to itself: when it goes to sleep, its processor is handed to a thread that has to be woken.
func foreignWake(count int) []float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	late := make([]float64, count)
	for i := range late {
		var arrived atomic.Bool
		var took time.Duration
		sent := time.Now()
		go func() {
			took = time.Since(sent)
			arrived.Store(true)
		}()
		for time.Sleep(idle); !arrived.Load(); time.Sleep(idle) {
		}
		late[i] = float64(took.Nanoseconds()) / 1e3
	}
	return []float64{percentile(late, 50), percentile(late, 99)}
}

// clockNs is the clock that all processes share; Go's own has a base of its own.
func clockNs() int64 {
	var now syscall.Timespec
	const monotonic = 1
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, monotonic, uintptr(unsafe.Pointer(&now)), 0)
	return now.Nano()
}

// shootMoments writes the present moment to its standard output, again and again. It is a process of its own: a
// goroutine would wait for a processor just as those do whose lateness is measured.
func shootMoments(count int) {
	for i := 0; i < count; i++ {
		time.Sleep(idle)
		binary.Write(os.Stdout, binary.LittleEndian, clockNs())
		time.Sleep(busyPause)
	}
}

// busyFd reads such moments while a goroutine for each processor computes.
func busyFd(count int) []float64 {
	var isOver atomic.Bool
	for i := 0; i < runtime.GOMAXPROCS(0); i++ {
		go func() {
			for !isOver.Load() {
			}
		}()
	}
	shooter := exec.Command("/proc/self/exe", shooterName, strconv.Itoa(count))
	moments, err := shooter.StdoutPipe()
	check(err == nil && shooter.Start() == nil)
	late := make([]float64, count)
	for i := range late {
		var sent int64
		check(binary.Read(moments, binary.LittleEndian, &sent) == nil)
		late[i] = float64(clockNs()-sent) / 1e3
	}
	isOver.Store(true)
	check(shooter.Wait() == nil)
	return []float64{percentile(late, 50), percentile(late, 99)}
}

func rssBytes() float64 {
	var size, resident int
	text, _ := os.ReadFile("/proc/self/statm")
	fmt.Sscan(string(text), &size, &resident)
	return float64(resident * os.Getpagesize())
}

func parked(count int) []float64 {
	gate, allHere := make(chan struct{}), make(chan struct{})
	var here atomic.Int64
	var group sync.WaitGroup
	group.Add(count)
	before, start := rssBytes(), time.Now()
	for i := 0; i < count; i++ {
		go func() {
			if here.Add(1) == int64(count) {
				close(allHere)
			}
			<-gate
			group.Done()
		}()
	}
	<-allHere
	ns := nsEach(start, count)
	bytes := (rssBytes() - before) / float64(count)
	close(gate)
	group.Wait()
	return append([]float64{bytes}, ns...)
}

var cases = []benchCase{
	{name: "spawn-join", count: 1000000, run: spawnJoin},
	{name: "spawn-1m", count: 1000000, run: spawnAll, rows: []row{{"spawn-1m", "ns"}, {"spawn-1m-bytes", "bytes"}}},
	{name: "yield", count: 2000000, run: yield},
	{name: "mutex", count: 1000000, run: mutex},
	{name: "fib", count: 317810, run: runFib},
	{name: "skynet", count: 1000000, run: runSkynet, rows: []row{{"skynet", "ms"}}},
	{name: "nqueens", count: 856189, run: runQueens, rows: []row{{"nqueens", "ms"}}},
	{name: "uts", count: utsNodes, run: runUts},
	{name: "tree-sleep", count: 1 << 18, run: runWaitingTree,
		rows: []row{{"tree-sleep-without", "ns"}, {"tree-sleep-wait", "ns"}, {"tree-sleep-with", "ns"}, {"tree-sleep-ratio", "x"}}},
	{name: "chan-pingpong", count: 500000, run: pingPong},
	{name: "chan-1p1c-0", count: 1000000, run: moveItems(1, 0)},
	{name: "chan-1p1c-128", count: 2000000, run: moveItems(1, 128)},
	{name: "chan-4p4c-0", count: 1000000, run: moveItems(4, 0)},
	{name: "chan-4p4c-128", count: 2000000, run: moveItems(4, 128)},
	{name: "sleep-1m", count: 1000000, cold: true, run: sleepCost,
		rows: []row{{"sleep-1m-wall", "ms"}, {"sleep-1m-cpu", "ms"}}},
	{name: "sleep-20k-p99", count: 20000, cold: true, run: sleepLate, rows: []row{{"sleep-20k-p99", "us"}}},
	{name: "foreign-wake", count: 500, cold: true, run: foreignWake,
		rows: []row{{"foreign-wake-p50", "us"}, {"foreign-wake-p99", "us"}}},
	{name: "busy-fd", count: 100, cold: true, run: busyFd,
		rows: []row{{"busy-fd-p50", "us"}, {"busy-fd-p99", "us"}}},
	{name: "parked-1m", count: 1000000, once: true, run: parked,
		rows: []row{{"parked-1m-bytes", "bytes"}, {"parked-1m-ns", "ns"}}},
}

func setting(name string, otherwise float64) float64 {
	value, err := strconv.ParseFloat(os.Getenv(name), 64)
	if err != nil || value <= 0 {
		return otherwise
	}
	return value
}

func measure(c *benchCase, workers int) {
	count := int(float64(c.count) * setting("BENCH_SCALE", 1))
	runs := int(setting("BENCH_RUNS", 5))
	if c.once {
		runs = 1
	}
	if c.rows == nil {
		c.rows = []row{{c.name, "ns"}}
	}
	runtime.GOMAXPROCS(workers)
	if !c.cold && !c.once {
		c.run(count / 10)
	}
	table := make([][]float64, len(c.rows))
	for i := 0; i < runs; i++ {
		for r, value := range c.run(count) {
			table[r] = append(table[r], value)
		}
	}
	for r, values := range table {
		sort.Float64s(values)
		fmt.Printf(`{"row":"%s","who":"Go","workers":%d,"unit":"%s","median":%.3f,"min":%.3f,"max":%.3f,"runs":%d}`+"\n",
			c.rows[r].name, workers, c.rows[r].unit, (values[(runs-1)/2]+values[runs/2])/2, values[0], values[runs-1], runs)
	}
}

func main() {
	workers := int(setting("BENCH_WORKERS", 1))
	only := ""
	if len(os.Args) > 1 {
		only = os.Args[1]
	}
	if len(os.Args) > 2 {
		workers, _ = strconv.Atoi(os.Args[2])
	}
	if only == shooterName {
		shootMoments(workers)
		return
	}
	found := false
	for i := range cases {
		if only == "" || only == cases[i].name {
			found = true
			measure(&cases[i], workers)
		}
	}
	if !found {
		fmt.Fprintf(os.Stderr, "Go: there is no case %q here\n", only)
		os.Exit(2)
	}
}
