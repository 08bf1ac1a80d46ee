package ctl

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"phonebill/adapters/customercsv"
	"phonebill/cmd/internal/compose"
	"phonebill/core/auth/admin"
	"phonebill/core/auth/intake"
)

func (c Console) importUsers() *cobra.Command {
	var why string
	return reason(&cobra.Command{
		Use: "import FILE.csv", Short: "Load customers in bulk from a CSV file", Args: cobra.ExactArgs(1),
		Long: `Load customers in bulk from a CSV file (UTF-8) with a header and one customer a line. Columns, in any order:
` + strings.Join(customercsv.Columns(), ", ") + `.
user_id, name and one of password and password_hash (argon2id, PHC form) must be there; lines and permissions are separated by ";".

Rows are stored in batches, whole or not at all. Run the command again after an interruption: ids that are there already are skipped before
anything is hashed. Refused rows are listed with their line and reason in FILE.refused.csv (without passwords), and the exit code is 2.`,
		Example: `  phonebillctl users import customers.csv --reason "1차 고객 이관"`,
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
	counted := &counter{in: file}
	rows, err := customercsv.NewReader(counted)
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
	progress := newProgress(c.Err, file, counted)
	done, err := a.Intake.Run(cmd.Context(), intake.Load{
		By: by.Name, Source: filepath.Base(file.Name()), Reason: why, Refused: report.Add, Progress: progress.show,
	}, rows.Rows())
	err = errors.Join(err, rows.Err(), report.Flush(), buffered.Flush(), refused.Close())
	progress.end()
	if done.Refused == 0 {
		err = errors.Join(err, os.Remove(refusedPath))
	}
	if cmd.Context().Err() != nil {
		err = errors.New("interrupted: whole batches are stored, run the command again to go on")
	}
	said := c.said(nil, "%d read, %d added, %d there already, %d refused\n", done.Read, done.Added, done.Skipped, done.Refused)
	switch {
	case err != nil || said != nil:
		return errors.Join(err, said)
	case done.Refused > 0:
		return fmt.Errorf("%w: see %s", ErrPartly, refusedPath)
	}
	return nil
}

// counter counts the bytes that were read: what an estimate of the end is made of.
type counter struct {
	in io.Reader
	n  int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	return n, err
}

// progress is one line that is written over.
type progress struct {
	out   io.Writer
	size  int64
	read  *counter
	began time.Time
	shown bool
}

func newProgress(out io.Writer, file *os.File, read *counter) *progress {
	p := &progress{out: out, read: read, began: time.Now()}
	if info, err := file.Stat(); err == nil {
		p.size = info.Size()
	}
	return p
}

func (p *progress) show(r intake.Result) {
	took := time.Since(p.began)
	eta := "?"
	if p.read.n > 0 && p.size > 0 {
		left := time.Duration(float64(took) * float64(max(0, p.size-p.read.n)) / float64(p.read.n))
		eta = left.Round(time.Second).String()
	}
	_, _ = fmt.Fprintf(p.out, "\r%d rows, %d added, %d there already, %d refused, %.0f rows/s, %s left   ",
		r.Read, r.Added, r.Skipped, r.Refused, float64(r.Read)/max(took.Seconds(), 0.001), eta) // to the terminal: nothing can be done
	p.shown = true
}

func (p *progress) end() {
	if p.shown {
		_, _ = fmt.Fprintln(p.out)
	}
}
