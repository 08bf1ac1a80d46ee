// Package customercsv reads customers from a CSV file (RFC 4180) for the bulk import, and writes the report of those
// that were refused. Both stream: memory does not grow with the file.
package customercsv

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"phonebill/core/auth"
	"phonebill/core/auth/bulkimport"
	"phonebill/core/fault"
	"phonebill/core/personal"
)

// The columns. One of the two secrets must be there, the others but user_id and name may be missing; their order is
// free.
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

// Reader reads customers.
type Reader struct {
	in      *records
	counted *counter
	columns map[string]int
	chars   charset
	trouble error
}

// NewReader reads the header. A byte order mark and the line ends of any system (LF, CRLF, CR) are taken as they come.
// Text is UTF-8, or CP949 as Korean Excel writes it. UTF-16 is an error that says what to do.
func NewReader(in io.Reader) (*Reader, error) {
	counted := &counter{in: in}
	r := &Reader{in: newRecords(counted), counted: counted, columns: map[string]int{}}
	ahead := r.in.peek()
	if bytes.HasPrefix(ahead, []byte{0xFF, 0xFE}) || bytes.HasPrefix(ahead, []byte{0xFE, 0xFF}) ||
		bytes.IndexByte(ahead, 0) >= 0 {
		return nil, errors.New("the file is UTF-16 or no text: save it as CSV UTF-8")
	}
	r.chars.decide(ahead)
	first, err := r.in.next()
	if err != nil {
		return nil, fmt.Errorf("the header cannot be read: %w", err)
	}
	text, ok := r.chars.decode(first.raw)
	names, err := split(strings.TrimPrefix(text, "\uFEFF"))
	if err != nil || !ok || first.tooLong {
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

// Rows yields every row. Empty lines are skipped. An error of the file itself ends the rows and is returned by Err.
func (r *Reader) Rows() iter.Seq[bulkimport.Row] {
	return func(yield func(bulkimport.Row) bool) {
		for {
			read, err := r.in.next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					r.trouble = fmt.Errorf("line %d cannot be read: %w", read.line, err)
				}
				return
			}
			if len(bytes.TrimSpace(read.raw)) > 0 && !yield(r.row(read)) {
				return
			}
		}
	}
}

// Err returns why the rows ended early; nil when they did not.
func (r *Reader) Err() error { return r.trouble }

// Consumed returns how many bytes the header and the rows so far took, without what is only read ahead.
func (r *Reader) Consumed() int64 { return r.counted.n - int64(r.in.buffered()) }

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

func (r *Reader) row(read record) bulkimport.Row {
	row := bulkimport.Row{Line: read.line}
	text, ok := r.chars.decode(read.raw)
	fields, err := split(text)
	switch {
	case read.tooLong:
		row.Bad = fault.InvalidField("line", "레코드가 너무 깁니다. 닫히지 않은 따옴표가 있는지 확인해주세요")
	case !ok:
		row.Bad = fault.InvalidField("line", "UTF-8 또는 CP949 형식이 아니거나 두 형식이 섞여 있습니다")
	case err != nil:
		row.Bad = fault.InvalidField("line", "CSV 형식이 올바르지 않습니다")
	case len(fields) != len(r.columns):
		row.Bad = fault.InvalidField("line", "열의 개수가 머리글과 다릅니다")
	default:
		r.fill(&row, fields)
	}
	return row
}

func (r *Reader) fill(row *bulkimport.Row, fields []string) {
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

// split reads the fields of one record. Line ends within quotes belong to their field.
func split(text string) ([]string, error) {
	c := csv.NewReader(strings.NewReader(text))
	c.FieldsPerRecord = -1
	return c.Read()
}

// Report writes the refused rows: their line, their id when it is one, and why. Nothing else of a row is repeated:
// columns may have slipped, and a password may be in another column.
type Report struct{ out *csv.Writer }

// NewReport writes the header.
func NewReport(out io.Writer) (*Report, error) {
	w := csv.NewWriter(out)
	return &Report{w}, w.Write([]string{"line", colUser, "field", "reason"})
}

// Add writes one refused row.
func (r *Report) Add(row bulkimport.Row, why error) error {
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

// Flush writes out what is buffered.
func (r *Report) Flush() error {
	r.out.Flush()
	return r.out.Error()
}
