package devservers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
)

// MinMajor is the oldest PostgreSQL that phonebill supports (ADR 27).
const MinMajor = 15

// FindBinaries finds the folder of PostgreSQL's server programs (postgres, initdb), version 15 or newer. It looks in
// $PG_BINDIR (when set, nowhere else), then in extra, then where Debian, Fedora and Homebrew put them, then in PATH;
// among Debian's the newest version wins. scripts/deps.sh looks in the same places.
func FindBinaries(extra ...string) (string, error) {
	found, err := installations(extra)
	if err != nil {
		return "", err
	}
	return found[0].dir, nil
}

type installation struct {
	dir   string
	major int
}

// installations lists what is installed, best first; at least one, or an error that says what to do.
func installations(extra []string) ([]installation, error) {
	if dir := os.Getenv("PG_BINDIR"); dir != "" {
		major, err := majorOf(dir)
		if err != nil {
			return nil, fmt.Errorf("PG_BINDIR: %w", err)
		}
		return []installation{{dir, major}}, nil
	}
	var found []installation
	for _, dir := range candidates(extra) {
		if major, err := majorOf(dir); err == nil {
			found = append(found, installation{dir, major})
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no PostgreSQL server programs of version %d or newer: run scripts/deps.sh, or set PG_BINDIR",
			MinMajor)
	}
	return found, nil
}

func candidates(extra []string) []string {
	var dirs []string
	for _, dir := range extra {
		if abs, err := filepath.Abs(dir); err == nil && dir != "" {
			dirs = append(dirs, abs)
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin", "/var/lib/phonebill/pg/bin",
	} {
		matches, _ := filepath.Glob(pattern) // the only error is a bad pattern
		sort.Sort(sort.Reverse(sort.StringSlice(matches)))
		dirs = append(dirs, matches...)
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	return dirs
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

func majorOf(dir string) (int, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return 0, fmt.Errorf("no initdb in %s: %w", dir, err)
	}
	out, err := exec.CommandContext(context.Background(), filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("%s/postgres --version: %w", dir, err)
	}
	match := versionLine.FindSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("%s/postgres --version says %q", dir, out)
	}
	major, err := strconv.Atoi(string(match[1]))
	if err != nil {
		return 0, fmt.Errorf("%s/postgres --version says %q: %w", dir, out, err)
	}
	if major < MinMajor {
		return 0, fmt.Errorf("%s is PostgreSQL %d, %d or newer is needed", dir, major, MinMajor)
	}
	return major, nil
}

var errOtherVersion = errors.New("the data was made by another major version of PostgreSQL")

// choose takes the binaries of the major version of the data that exists (PostgreSQL reads no other), else the best.
func choose(found []installation, dataVersion int) (installation, error) {
	if dataVersion == 0 {
		return found[0], nil
	}
	for _, i := range found {
		if i.major == dataVersion {
			return i, nil
		}
	}
	return installation{}, fmt.Errorf("%w: data %d, found only %d in %s; install PostgreSQL %d, or move the data away",
		errOtherVersion, dataVersion, found[0].major, found[0].dir, dataVersion)
}
