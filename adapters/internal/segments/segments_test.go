package segments_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/internal/segments"
)

var small = segments.Options{Max: 400, Segment: 100}

// open returns the log and what it held, as "number:record".
func open(t *testing.T, dir string, o segments.Options) (*segments.Log, []string, segments.Report) {
	t.Helper()
	var held []string
	l, found, err := segments.Open(dir, o, func(record []byte, in uint64) error {
		held = append(held, fmt.Sprintf("%d:%s", in, record))
		return nil
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l, held, found
}

func add(t *testing.T, l *segments.Log, records ...string) uint64 {
	t.Helper()
	raw := make([][]byte, len(records))
	for i, r := range records {
		raw[i] = []byte(r)
	}
	in, err := l.Append(raw)
	require.NoError(t, err)
	return in
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	require.NoError(t, err)
	return names
}

func TestRecordsComeBackInOrderUntilTheyAreDoneWith(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "deep", "spool")
	l, held, found := open(t, dir, small)
	require.Empty(t, held)
	require.Zero(t, found)
	long := string(bytes.Repeat([]byte("x"), 100))
	require.EqualValues(t, 1, add(t, l, "a", "", long))
	require.EqualValues(t, 2, add(t, l, "b"))
	require.EqualValues(t, 2, add(t, l, "c"))
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	_, err := l.Append([][]byte{{1}})
	require.Error(t, err)

	l, held, found = open(t, dir, small)
	require.Equal(t, []string{"1:a", "1:", "1:" + long, "2:b", "2:c"}, held)
	require.Zero(t, found)
	require.EqualValues(t, 3, add(t, l, "d"), "nothing is written behind what a crash may have torn")
	require.NoError(t, l.Done(1, 2))
	require.Len(t, files(t, dir), 3)
	require.NoError(t, l.Done(1, 1))
	require.NoError(t, l.Done(2, 2))
	require.NoError(t, l.Done(9, 1))
	require.Len(t, files(t, dir), 1)
	require.NoError(t, l.Done(3, 1))
	require.Empty(t, files(t, dir))
	require.Zero(t, l.Size())
	require.EqualValues(t, 4, add(t, l, "e"))
}

func TestFull(t *testing.T) {
	t.Parallel()
	l, _, _ := open(t, t.TempDir(), small)
	record := string(make([]byte, 92))
	for range 4 {
		add(t, l, record)
	}
	require.EqualValues(t, 400, l.Size())
	_, err := l.Append([][]byte{{1}})
	require.ErrorIs(t, err, segments.ErrFull)
	require.NoError(t, l.Done(1, 1))
	add(t, l, record)
}

func TestADirectoryHasOneOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, _, _ := open(t, dir, small)
	_, _, err := segments.Open(dir, small, nil)
	require.ErrorIs(t, err, segments.ErrInUse)
	require.NoError(t, l.Close())
	open(t, dir, small)
}

// TestAbandonedDoesNotTakeTheDirectory: several may call it at once, and no directory in use is read.
func TestAbandonedDoesNotTakeTheDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, _, _ := open(t, dir, small)
	add(t, l, "a", "b")
	_, err := segments.Abandoned(dir)
	require.ErrorIs(t, err, segments.ErrInUse)
	size := l.Size()
	require.NoError(t, l.Close())
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			abandoned, err := segments.Abandoned(dir)
			assert.NoError(t, err)
			assert.Equal(t, size, abandoned)
		})
	}
	all.Wait()
	_, records, _ := open(t, dir, small)
	require.Len(t, records, 2)
	_, err = segments.Abandoned(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestADirectoryIsReleasedAtOnce though another process, such as a child that is just being started, still holds its
// lock open.
func TestADirectoryIsReleasedAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, _, _ := open(t, dir, small)
	held := map[int]bool{}
	links, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == filepath.Join(dir, "lock") {
			n, err := strconv.Atoi(filepath.Base(link))
			require.NoError(t, err)
			twin, err := syscall.Dup(n)
			require.NoError(t, err)
			held[twin] = true
		}
	}
	if len(held) == 0 {
		t.Skip("needs a system that shows open files under /proc")
	}
	require.NoError(t, l.Close())
	open(t, dir, small)
	for fd := range held {
		require.NoError(t, syscall.Close(fd))
	}
}

// TestAnyPrefixOfAFileGivesWholeRecords: a crash may cut a file anywhere, and leave zeros or rubbish where the rest
// should be.
func TestAnyPrefixOfAFileGivesWholeRecords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, _, _ := open(t, dir, segments.Options{})
	add(t, l, "first", "second")
	content, err := os.ReadFile(files(t, dir)[0])
	require.NoError(t, err)
	for cut := range content {
		for name, rest := range map[string][]byte{"cut": nil, "zeros": make([]byte, 40),
			"rubbish": bytes.Repeat([]byte{0xa5}, 40)} {
			dir := t.TempDir()
			torn := append(bytes.Clone(content[:cut]), rest...)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "0000000000000001.log"), torn, 0o600))
			_, held, found := open(t, dir, segments.Options{})
			var want []string
			if cut >= 8+len("first") {
				want = []string{"1:first"}
			}
			require.Equal(t, want, held, "%s at %d", name, cut)
			if len(torn) > 0 && cut != 8+len("first") {
				require.Equal(t, 1, found.Torn)
				require.Zero(t, found.Damaged)
			}
		}
	}
}

func TestADamagedRecordCostsNoOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, _, _ := open(t, dir, segments.Options{})
	add(t, l, "first", "second", "third")
	require.NoError(t, l.Close())
	content, err := os.ReadFile(files(t, dir)[0])
	require.NoError(t, err)
	content[8+5+8] ^= 1
	require.NoError(t, os.WriteFile(files(t, dir)[0], content, 0o600))
	_, held, found := open(t, dir, segments.Options{})
	require.Equal(t, []string{"1:first", "1:third"}, held)
	require.Equal(t, segments.Report{Damaged: 1, Aside: 1}, found)
}

// TestDamagedFilesAreKept: a file with damage is kept even when no whole record of it is left.
func TestDamagedFilesAreKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flip []int
		held []string
		want segments.Report
	}{
		"all records": {[]int{8, 8 + 5 + 8}, nil, segments.Report{Torn: 1, Aside: 1}},
		"one of them": {[]int{8}, []string{"1:second"}, segments.Report{Damaged: 1, Aside: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l, _, _ := open(t, dir, segments.Options{})
			add(t, l, "first", "second")
			require.NoError(t, l.Close())
			file := files(t, dir)[0]
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, at := range c.flip {
				content[at] ^= 1
			}
			require.NoError(t, os.WriteFile(file, content, 0o600))
			l, held, found := open(t, dir, segments.Options{})
			require.Equal(t, c.held, held)
			require.Equal(t, c.want, found)
			require.NoError(t, l.Close())
			l, held, _ = open(t, dir, segments.Options{})
			require.Equal(t, c.held, held, "opened again")
			require.NoError(t, l.Done(1, len(held)))
			require.Empty(t, files(t, dir))
			kept, err := os.ReadFile(file + ".damaged")
			require.NoError(t, err)
			require.Equal(t, content, kept)
			add(t, l, "next")
		})
	}
}

func TestTroubleOfTheDisk(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, _, err := segments.Open(filepath.Join(file, "dir"), small, nil)
	require.Error(t, err)

	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "lock"), 0o700))
	_, _, err = segments.Open(dir, small, nil)
	require.Error(t, err)

	for _, name := range []string{"x.log", "0000000000000001.log"} {
		dir = t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		_, _, err = segments.Open(dir, small, nil)
		require.Error(t, err, "other files are not touched")
	}

	dir = t.TempDir()
	l, _, _ := open(t, dir, small)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "0000000000000001.log"), 0o700))
	_, err = l.Append([][]byte{{1}})
	require.Error(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, "0000000000000001.log")))
	require.EqualValues(t, 1, add(t, l, "a"), "later it goes on")
	require.NoError(t, l.Close())

	refused := errors.New("refused")
	_, _, err = segments.Open(dir, small, func([]byte, uint64) error { return refused })
	require.ErrorIs(t, err, refused)
}
