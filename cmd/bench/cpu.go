package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the kernel's unit of CPU time.
const tick = 10 * time.Millisecond

// cpuTimes is the CPU time used up to a moment, in ticks.
type cpuTimes struct {
	at       time.Time
	programs map[string]int // of this process and its descendants, by program
	machine  int            // ticks, of all cores
}

// cpuSnapshot reads the CPU times of this process and its descendants, and of the machine.
func cpuSnapshot() (cpuTimes, error) {
	s := cpuTimes{at: time.Now(), programs: map[string]int{}}
	all, err := processes()
	if err != nil {
		return s, err
	}
	below := map[int]bool{os.Getpid(): true}
	for grew := true; grew; {
		grew = false
		for _, p := range all {
			if !below[p.pid] && below[p.parent] {
				below[p.pid], grew = true, true
			}
		}
	}
	for _, p := range all {
		if below[p.pid] {
			s.programs[p.name] += p.ticks
		}
	}
	s.machine, err = machineTicks()
	return s, err
}

// cpuBelow returns how much CPU time a process and its descendants have used, in whole ticks; 0 without a process, and
// where there is no /proc.
func cpuBelow(pid int) (used time.Duration) {
	all, err := processes()
	if err != nil || pid == 0 {
		return 0
	}
	below := map[int]bool{pid: true}
	for grew := true; grew; {
		grew = false
		for _, p := range all {
			if !below[p.pid] && below[p.parent] {
				below[p.pid], grew = true, true
			}
		}
	}
	for _, p := range all {
		if below[p.pid] {
			used += time.Duration(p.ticks) * tick
		}
	}
	return used
}

// machineTicks returns how long the machine's cores have worked.
func machineTicks() (ticks int, err error) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	const idle, waiting, guest = 3, 4, 8 // proc(5); guests are counted among users
	for i, field := range strings.Fields(strings.TrimPrefix(first, "cpu")) {
		n, _ := strconv.Atoi(field)
		if i != idle && i != waiting && i < guest {
			ticks += n
		}
	}
	return ticks, nil
}

// cpuUsedSince describes how many cores each program has used since before, on average, the busiest first, and how many
// everything else on the machine has used.
func cpuUsedSince(before cpuTimes) (string, error) {
	now, err := cpuSnapshot()
	if err != nil {
		return "", err
	}
	cores := func(ticks int) float64 { return float64(time.Duration(ticks)*tick) / float64(now.at.Sub(before.at)) }
	used, mine := map[string]int{}, 0
	for name, ticks := range now.programs {
		used[name] = max(0, ticks-before.programs[name])
		mine += used[name]
	}
	names := slices.SortedFunc(maps.Keys(used), func(a, b string) int { return cmp.Compare(used[b], used[a]) })
	var parts []string
	for _, name := range names {
		if cores(used[name]) >= 0.005 {
			parts = append(parts, fmt.Sprintf("%s %.2f", name, cores(used[name])))
		}
	}
	others := max(0, now.machine-before.machine-mine)
	return fmt.Sprintf(
		"cores used: %s; by others on this machine and the kernel: %.2f",
		strings.Join(parts, ", "),
		cores(others),
	), nil
}
