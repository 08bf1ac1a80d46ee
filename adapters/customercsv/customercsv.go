// Package customercsv reads customers from a CSV file (RFC 4180 with one record a line) for the bulk load, and writes the report of
// those that were refused. Both stream: memory does not grow with the file.
package customercsv

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"phonebill/core/auth"
	"phonebill/core/auth/intake"
	"phonebill/core/fault"
	"phonebill/core/personal"
)

// The columns. One of the two secrets must be there, the others but user_id and name may be missing; their order is free.
const (
	colUser        = "user_id"
	colPassword    = "password"
	colHash        = "password_hash"
	colName        = "name"
	colPhone       = "phone"
	colEmail       = "email"
	colCustomer    = "customer_id"
	colLines       = "lines"
	colPermissions = "permissions"
)

// Columns lists all of them.
func Columns() []string {
	return []string{colUser, colPassword, colHash, colName, colPhone, colEmail, colCustomer, colLines, colPermissions}
}

// longest is the longest line that is read, in bytes.
const longest = 64 << 10

// Reader reads customers.
type Reader struct {
	in      *bufio.Reader
	counted *counter
	columns map[string]int
	line    int
	trouble error
}

// NewReader reads the header. A byte order mark and the line ends of any system are taken as they come.
func NewReader(in io.Reader) (*Reader, error) {
	counted := &counter{in: in}
	r := &Reader{in: bufio.NewReaderSize(counted, longest), counted: counted, columns: map[string]int{}}
	text, whole, err := r.next()
	if err != nil {
		return nil, fmt.Errorf("the header cannot be read: %w", err)
	}
	names, err := split(strings.TrimPrefix(text, "\uFEFF"))
	if err != nil || !whole {
		return nil, errors.New("line 1 is no header")
	}
	for i, name := range names {
		name = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains(Columns(), name) {
			return nil, fmt.Errorf("line 1 is no header: column %d is none of %s", i+1, strings.Join(Columns(), ", "))
		}
		if _, twice := r.columns[name]; twice {
			return nil, fmt.Errorf("line 1 names the column %s twice", name)
		}
		r.columns[name] = i
	}
	for _, need := range []string{colUser, colName} {
		if !r.has(need) {
			return nil, fmt.Errorf("line 1 lacks the column %s", need)
		}
	}
	if !r.has(colPassword) && !r.has(colHash) {
		return nil, fmt.Errorf("line 1 lacks the column %s or %s", colPassword, colHash)
	}
	return r, nil
}

func (r *Reader) has(column string) bool { _, ok := r.columns[column]; return ok }

// Rows yields every row. Empty lines are passed over. What cannot be read of the file itself ends the rows and is answered by Err.
func (r *Reader) Rows() iter.Seq[intake.Row] {
	return func(yield func(intake.Row) bool) {
		for {
			text, whole, err := r.next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					r.trouble = fmt.Errorf("line %d cannot be read: %w", r.line, err)
				}
				return
			}
			if strings.TrimSpace(text) != "" && !yield(r.row(text, whole)) {
				return
			}
		}
	}
}

// Err is why the rows ended early; nil when they did not.
func (r *Reader) Err() error { return r.trouble }

// Consumed is how many bytes the header and the rows so far took, without what is only read ahead.
func (r *Reader) Consumed() int64 { return r.counted.n - int64(r.in.Buffered()) }

// counter counts the bytes that were read.
type counter struct {
	in io.Reader
	n  int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	return n, err
}

// next answers the next line without its end; whole is false when it was too long, and the rest of it is passed over.
func (r *Reader) next() (text string, whole bool, err error) {
	raw, more, err := r.in.ReadLine()
	if err != nil {
		return "", false, err
	}
	r.line++
	text, whole = string(raw), !more
	for more && err == nil {
		_, more, err = r.in.ReadLine()
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return strings.TrimSuffix(text, "\r"), whole, err
}

func (r *Reader) row(text string, whole bool) intake.Row {
	row := intake.Row{Line: r.line}
	fields, err := split(text)
	switch {
	case !whole:
		row.Bad = fault.InvalidField("line", "한 줄이 너무 깁니다")
	case !utf8.ValidString(text):
		row.Bad = fault.InvalidField("line", "UTF-8 형식이 아닙니다")
	case err != nil:
		row.Bad = fault.InvalidField("line", "CSV 형식이 올바르지 않습니다")
	case len(fields) != len(r.columns):
		row.Bad = fault.InvalidField("line", "열의 개수가 머리글과 다릅니다")
	default:
		r.fill(&row, fields)
	}
	return row
}

func (r *Reader) fill(row *intake.Row, fields []string) {
	clear := func(column string) string {
		if !r.has(column) {
			return ""
		}
		return fields[r.columns[column]]
	}
	trimmed := func(column string) string { return strings.TrimSpace(clear(column)) }
	row.UserID, row.Name, row.Phone, row.Email = trimmed(colUser), trimmed(colName), trimmed(colPhone), trimmed(colEmail)
	row.CustomerID, row.Lines, row.Permissions = trimmed(colCustomer), list(clear(colLines)), list(clear(colPermissions))
	row.Password, row.PasswordHash = personal.NewSecret(clear(colPassword)), personal.NewSecret(trimmed(colHash))
}

// list splits a field at semicolons.
func list(field string) []string {
	var out []string
	for _, s := range strings.Split(field, ";") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// split reads one line of CSV. A quote that is left open spoils its own line only.
func split(text string) ([]string, error) {
	c := csv.NewReader(strings.NewReader(text))
	c.FieldsPerRecord = -1
	return c.Read()
}

// Report writes the refused rows: their line, their id when it is one, and why. Nothing else of a row is repeated: columns may have
// slipped, and a password stand where something else belongs.
type Report struct{ out *csv.Writer }

// NewReport writes the header.
func NewReport(out io.Writer) (*Report, error) {
	w := csv.NewWriter(out)
	return &Report{w}, w.Write([]string{"line", colUser, "field", "reason"})
}

// Add writes one refused row.
func (r *Report) Add(row intake.Row, why error) error {
	user := row.UserID
	if _, err := auth.ParseUserID(user); err != nil || row.Bad != nil {
		user = ""
	}
	f := fault.From(why)
	field, reason := "", f.Message()
	if fields := f.Fields(); len(fields) > 0 {
		field, reason = fields[0].Name, fields[0].Reason
	}
	return r.out.Write([]string{strconv.Itoa(row.Line), user, field, reason})
}

// Flush writes out what is held back.
func (r *Report) Flush() error {
	r.out.Flush()
	return r.out.Error()
}
