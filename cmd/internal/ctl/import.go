package ctl

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"phonebill/adapters/customercsv"
	compose "phonebill/cmd/internal/compose/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/auth/bulkimport"
)

const importHelp = `Load customers in bulk from a CSV file (RFC 4180, UTF-8 or CP949) with a header and
one customer a record. Columns, in any order:
user_id, password, password_hash, name, phone, email, customer_id, lines, permissions.
user_id, name and one of password and password_hash (argon2id, PHC form) must be there; lines and
permissions are separated by ";".

Rows are stored in batches, whole or not at all. Run the command again after an interruption: ids that are
there already are skipped before anything is hashed. Refused rows are listed with their line and reason in a
file beside, imp.refused.csv for imp.csv (without passwords), and the exit code is 2.`

func (c Console) importUsers() *cobra.Command {
	var why string
	return reason(&cobra.Command{
		Use: "import FILE.csv", Short: "Load customers in bulk from a CSV file",
		Long:    importHelp,
		Example: `  phonebillctl users import customers.csv --reason "first customers moved over"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				file, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer func() { _ = file.Close() }()
				return c.load(cmd, a, by, file, why)
			})
		},
	}, &why)
}

func (c Console) load(cmd *cobra.Command, a *compose.Admin, by admin.Caller, file *os.File, why string) (err error) {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	rows, err := customercsv.NewReader(file)
	if err != nil {
		return err
	}
	refusedPath := strings.TrimSuffix(file.Name(), filepath.Ext(file.Name())) + ".refused.csv"
	refused, err := os.OpenFile(refusedPath, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(refused)
	report, err := customercsv.NewReport(buffered)
	if err != nil {
		return errors.Join(err, refused.Close())
	}
	progress := newProgress(c.Err, info.Size(), c.lang)
	done, err := a.Intake.Run(cmd.Context(), bulkimport.Load{
		By: by.Name, Source: filepath.Base(file.Name()), Reason: why, Refused: report.Add,
		Progress: func(r bulkimport.Result) { progress.reached(r, rows.Consumed()) },
	}, rows.Rows())
	err = errors.Join(err, rows.Err(), report.Flush(), buffered.Flush(), refused.Close())
	progress.end()
	if done.Refused == 0 {
		err = errors.Join(err, os.Remove(refusedPath))
	}
	if cmd.Context().Err() != nil {
		err = failf("interrupted: whole batches are stored, run the command again to go on")
	}
	said := c.said(nil, "%d read, %d added, %d there already, %d refused\n", done.Read, done.Added,
		done.Skipped, done.Refused)
	switch {
	case err != nil || said != nil:
		return errors.Join(err, said)
	case done.Refused > 0:
		return failf("%w: see %s", ErrPartly, refusedPath)
	}
	return nil
}

// redrawInterval is how often the line of progress is written, also while a batch is hashed.
const redrawInterval = time.Second

// progress is one line that is written over, from the start on. Safe for concurrent use.
type progress struct {
	lang lang
	out  io.Writer
	size int64 // of the file; 0 = not known
	stop chan struct{}
	over sync.WaitGroup

	mu    sync.Mutex
	began time.Time
	now   point
	base  point // where the last row was that was there already: such rows take no time and foretell nothing
}

// point is how far the load is.
type point struct {
	bulkimport.Result
	bytes int64 // of the file, of rows that are done
	at    time.Time
}

func newProgress(out io.Writer, size int64, l lang) *progress {
	now := time.Now()
	p := &progress{
		lang: l, out: out, size: size, stop: make(chan struct{}), began: now, now: point{at: now}, base: point{at: now},
	}
	p.over.Go(p.keepShowing)
	return p
}

func (p *progress) keepShowing() {
	tick := time.NewTicker(redrawInterval)
	defer tick.Stop()
	for {
		p.show(time.Now())
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
	}
}

// reached reports that a batch is done, which ends that many bytes into the file.
func (p *progress) reached(r bulkimport.Result, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	skipped := p.now.Skipped
	p.now = point{r, bytes, time.Now()}
	if r.Skipped > skipped {
		p.base = p.now
	}
}

func (p *progress) show(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.now.Result
	// or it is not shown
	_, _ = fmt.Fprintf(p.out, p.lang.text("\r%d rows, %d added, %d there already, %d refused, %.0f rows/s, %s left   "),
		r.Read, r.Added, r.Skipped, r.Refused, float64(r.Read)/max(now.Sub(p.began).Seconds(), 0.001), p.left(now))
}

// left is when the rest is done at the pace of the rows that took work; "?" as long as there was none.
func (p *progress) left(now time.Time) string {
	done, rest := p.now.bytes-p.base.bytes, p.size-p.now.bytes
	switch {
	case rest <= 0 && p.size > 0:
		return "0s"
	case done <= 0 || p.size == 0:
		return "?"
	}
	left := time.Duration(float64(p.now.at.Sub(p.base.at))*float64(rest)/float64(done)) - now.Sub(p.now.at)
	return max(left.Round(time.Second), time.Second).String()
}

// end writes the last figures and ends the line.
func (p *progress) end() {
	close(p.stop)
	p.over.Wait()
	p.show(time.Now())
	_, _ = fmt.Fprintln(p.out)
}
