package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file reads /proc, so it works on Linux only; elsewhere measurements that need it fail.

// process is one of a system's. CPU is in ticks of 10 ms.
type process struct {
	pid, parent int
	name        string // of its program
	ticks       int
	rss, anon   int // KiB; anon is what is not the program's file, which processes of one program share
}

// serviceNames are the programs of the services; simulators, PostgreSQL and the cache are not among them.
var serviceNames = []string{"auth", "bill-inquiry", "product-change", "gateway"}

// services returns the service processes below the process pid, with their own children (the password hashers).
func services(pid int) ([]process, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	below := map[int]bool{}
	var found []process
	for grew := true; grew; {
		grew = false
		for _, p := range all {
			if below[p.pid] || p.parent != pid && !below[p.parent] || !slices.Contains(serviceNames, p.name) {
				continue
			}
			below[p.pid], grew = true, true
			found = append(found, p)
		}
	}
	if len(found) < len(serviceNames) {
		return nil, fmt.Errorf("bench: found %d service processes below %d", len(found), pid)
	}
	return found, nil
}

func processes() ([]process, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(dirs) == 0 {
		return nil, fmt.Errorf("bench: no /proc to read: %w", err)
	}
	var all []process
	for _, dir := range dirs {
		if p, ok := readProcess(dir); ok { // else it ended meanwhile
			all = append(all, p)
		}
	}
	return all, nil
}

func readProcess(dir string) (p process, ok bool) {
	stat, err1 := os.ReadFile(filepath.Join(dir, "stat"))
	status, err2 := os.ReadFile(filepath.Join(dir, "status"))
	program, err3 := os.Readlink(filepath.Join(dir, "exe"))
	if err1 != nil || err2 != nil || err3 != nil {
		return p, false
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // what is before is the pid and a name that may hold anything
	fields := strings.Fields(rest)
	const parent, user, system = 1, 11, 12 // proc(5), counted from the state
	if len(fields) <= system {
		return p, false
	}
	p.pid, _ = strconv.Atoi(filepath.Base(dir))
	p.parent, _ = strconv.Atoi(fields[parent])
	u, _ := strconv.Atoi(fields[user])
	s, _ := strconv.Atoi(fields[system])
	p.ticks, p.name = u+s, filepath.Base(program)
	if strings.HasPrefix(p.name, "redis-") || strings.HasPrefix(p.name, "valkey-") {
		p.name = "cache" // one program of many names
	}
	for line := range strings.Lines(string(status)) {
		for key, into := range map[string]*int{"VmRSS:": &p.rss, "RssAnon:": &p.anon} {
			if value, found := strings.CutPrefix(line, key); found {
				*into, _ = strconv.Atoi(strings.Fields(value)[0])
			}
		}
	}
	return p, true
}

// cpuOf returns how much CPU time the services have used.
func cpuOf(pid int) (time.Duration, error) {
	all, err := services(pid)
	ticks := 0
	for _, p := range all {
		ticks += p.ticks
	}
	return time.Duration(ticks) * 10 * time.Millisecond, err
}

// footprint is the peak memory of all services together, and of each at that moment, in MiB.
type footprint struct {
	most float64
	anon float64
	each map[string]float64
	err  error
}

// watchMemory samples every second until the returned function is called, which returns the peak.
func watchMemory(ctx context.Context, pid int) func() footprint {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan footprint)
	go func() {
		var m footprint
		for m.err == nil {
			m.err = m.sample(pid)
			select {
			case <-ctx.Done():
				done <- m
				return
			case <-time.After(time.Second):
			}
		}
		done <- m
	}()
	return func() footprint { cancel(); return <-done }
}

// sample reads the memory of the services and keeps the peak.
func (m *footprint) sample(pid int) error {
	all, err := services(pid)
	if err != nil {
		return err
	}
	sum, anon, each := 0.0, 0.0, map[string]float64{}
	for _, p := range all {
		mib := float64(p.rss) / 1024
		sum += mib
		anon += float64(p.anon) / 1024
		each[p.name] += mib
	}
	if sum > m.most {
		m.most, m.anon, m.each = sum, anon, each
	}
	return nil
}

// summary describes the peak by program.
func (m *footprint) summary() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m.each)) {
		parts = append(parts, fmt.Sprintf("%s %.0f", name, m.each[name]))
	}
	return fmt.Sprintf("%s; %.0f of %.0f are not the programs' own files", strings.Join(parts, ", "), m.anon, m.most)
}
