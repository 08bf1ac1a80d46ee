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

// tick is what the kernel counts CPU time in.
const tick = 10 * time.Millisecond

// spending is who had used how much CPU time at a moment: ours by program, and the whole machine.
type spending struct {
	at      time.Time
	ours    map[string]int
	machine int // ticks, of all cores
}

// spent looks at this process and everything below it.
func spent() (spending, error) {
	s := spending{at: time.Now(), ours: map[string]int{}}
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
			s.ours[p.name] += p.ticks
		}
	}
	s.machine, err = busy()
	return s, err
}

// busy is how long the machine's cores have worked, for anybody.
func busy() (ticks int, err error) {
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

// since tells who used how much of a core since then, on average, the busiest first; and those that are not ours.
func since(then spending) (string, error) {
	now, err := spent()
	if err != nil {
		return "", err
	}
	cores := func(ticks int) float64 { return float64(time.Duration(ticks)*tick) / float64(now.at.Sub(then.at)) }
	used, mine := map[string]int{}, 0
	for name, ticks := range now.ours {
		used[name] = max(0, ticks-then.ours[name])
		mine += used[name]
	}
	names := slices.SortedFunc(maps.Keys(used), func(a, b string) int { return cmp.Compare(used[b], used[a]) })
	var parts []string
	for _, name := range names {
		if cores(used[name]) >= 0.005 {
			parts = append(parts, fmt.Sprintf("%s %.2f", name, cores(used[name])))
		}
	}
	others := max(0, now.machine-then.machine-mine)
	return fmt.Sprintf("cores used: %s; by others on this machine and the kernel: %.2f", strings.Join(parts, ", "), cores(others)), nil
}
