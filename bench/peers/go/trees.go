// The fork-join rows: the problems of trees.h, with a goroutine for each call that could be one.
package main

import (
	"sync"
	"time"
)

func check(isRight bool) {
	if !isRight {
		panic("a wrong result")
	}
}

func msSince(start time.Time) []float64 {
	return []float64{time.Since(start).Seconds() * 1e3}
}

// forkedSum adds up what count calls give, each on a goroutine of its own.
func forkedSum(count int, call func(index int) int) int {
	var group sync.WaitGroup
	results := make([]int, count)
	group.Add(count)
	for i := range results {
		go func(i int) {
			results[i] = call(i)
			group.Done()
		}(i)
	}
	group.Wait()
	sum := 0
	for _, result := range results {
		sum += result
	}
	return sum
}

func fibForks(n int) int {
	before, forks := 0, 0
	for i := 2; i <= n; i++ {
		before, forks = forks, forks+before+1
	}
	return forks
}

func fib(n int) int {
	if n < 2 {
		return n
	}
	var group sync.WaitGroup
	var forked int
	group.Add(1)
	go func() {
		forked = fib(n - 1)
		group.Done()
	}()
	called := fib(n - 2)
	group.Wait()
	return forked + called
}

func runFib(count int) []float64 {
	n := 2
	for fibForks(n+1) <= count {
		n++
	}
	start := time.Now()
	result := fib(n)
	each := nsEach(start, fibForks(n))
	check(result == fibForks(n-1)+1)
	return each
}

const skynetForks = 10

func skynet(number, size int) int {
	if size == 1 {
		return number
	}
	part := size / skynetForks
	return forkedSum(skynetForks, func(i int) int { return skynet(number+i*part, part) })
}

func runSkynet(count int) []float64 {
	size := 1
	for size*skynetForks <= count {
		size *= skynetForks
	}
	start := time.Now()
	sum := skynet(0, size)
	ms := msSince(start)
	check(sum == size*(size-1)/2)
	return ms
}

const queensMax = 14

type board [queensMax]int8

// Calls and solutions of boards of 4 and more.
var queensSizes = []struct{ calls, solutions int }{{17, 2}, {54, 10}, {153, 4}, {552, 40}, {2057, 92}, {8394, 352},
	{35539, 724}, {166926, 2680}, {856189, 14200}, {4674890, 73712}}

func queenIsSafe(columns *board, row, column int) bool {
	for before := 0; before < row; before++ {
		apart := column - int(columns[before])
		if apart == 0 || apart == row-before || apart == before-row {
			return false
		}
	}
	return true
}

func queens(now board, row, n int) int {
	if row == n {
		return 1
	}
	safe := make([]int8, 0, queensMax)
	for column := 0; column < n; column++ {
		if queenIsSafe(&now, row, column) {
			safe = append(safe, int8(column))
		}
	}
	return forkedSum(len(safe), func(i int) int {
		next := now
		next[row] = safe[i]
		return queens(next, row+1, n)
	})
}

func runQueens(count int) []float64 {
	n := 4
	for n-3 < len(queensSizes) && queensSizes[n-3].calls <= count {
		n++
	}
	start := time.Now()
	solutions := queens(board{}, 0, n)
	ms := msSince(start)
	check(solutions == queensSizes[n-4].solutions)
	return ms
}

const (
	utsForks = 8
	utsRoots = 2000
	utsNodes = 612225
	utsSeed  = 2621
	utsOdds  = 2298464311584210176
)

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func utsChildren(node uint64, count int) int {
	return 1 + forkedSum(count, func(i int) int { return uts(mix(node + uint64(i+1)*0x9e3779b97f4a7c15)) })
}

func uts(node uint64) int {
	if node >= utsOdds {
		return 1
	}
	return utsChildren(node, utsForks)
}

func runUts(count int) []float64 {
	roots := count * utsRoots / utsNodes
	if roots < 1 {
		roots = 1
	}
	start := time.Now()
	nodes := utsChildren(utsSeed, roots)
	each := nsEach(start, nodes)
	check(roots != utsRoots || nodes == utsNodes)
	return each
}

// A tree of two calls each whose leaves sleep now and then.

const waitOneIn = 1000

// growWaiting gives the number of leaves that slept, or would have.
func growWaiting(first, leaves int, sleeps bool) int {
	if leaves > 1 {
		var group sync.WaitGroup
		var forked int
		half := leaves / 2
		group.Add(1)
		go func() {
			forked = growWaiting(first, half, sleeps)
			group.Done()
		}()
		called := growWaiting(first+half, leaves-half, sleeps)
		group.Wait()
		return forked + called
	}
	if mix(uint64(first)+1)%waitOneIn != 0 {
		return 0
	}
	if sleeps {
		time.Sleep(time.Millisecond)
	}
	return 1
}

func cpuNs(work func()) float64 {
	start := cpuTime()
	work()
	return float64((cpuTime() - start).Nanoseconds())
}

// Processor time of so many goroutines at once that sleep, or do nothing: the mean of ten times.
func tasksThat(sleep bool, count int) float64 {
	const times = 10
	return cpuNs(func() {
		for i := 0; i < times; i++ {
			forkedSum(count, func(int) int {
				if sleep {
					time.Sleep(time.Millisecond)
				}
				return 0
			})
		}
	}) / times
}

func runWaitingTree(leaves int) []float64 {
	var waits int
	without := cpuNs(func() { waits = growWaiting(0, leaves, false) })
	with := cpuNs(func() { check(growWaiting(0, leaves, true) == waits) })
	allWaits := tasksThat(true, waits) - tasksThat(false, waits)
	if waits == 0 {
		return []float64{without / float64(leaves), 0, with / float64(leaves), with / without}
	}
	return []float64{without / float64(leaves), allWaits / float64(waits), with / float64(leaves), with / (without + allWaits)}
}
