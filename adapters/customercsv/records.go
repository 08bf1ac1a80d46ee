package customercsv

import (
	"bufio"
	"errors"
	"io"
)

// longest is the longest record that is read, in bytes.
const longest = 64 << 10

// record is one record of a CSV file (RFC 4180) as it stands there, without its line end.
type record struct {
	raw     []byte // valid until the next record is read; cut off when the record is too long
	line    int    // where it begins; the first line is 1
	tooLong bool
}

// records splits a file into records. A line end within a quoted field belongs to the field: a reader that split at
// every line end would take part of a customer's name for a record of its own. A quote that is never closed makes the
// rest of the file one record, which is too long or not CSV, so that nothing after it is misread. Memory is bounded by
// longest.
type records struct {
	in     *bufio.Reader
	line   int // of the next record
	buffer []byte
}

func newRecords(in io.Reader) *records {
	return &records{in: bufio.NewReaderSize(in, longest), line: 1}
}

// peek returns the beginning of the file. An error of reading it is that of the first record.
func (r *records) peek() []byte {
	ahead, _ := r.in.Peek(longest)
	return ahead
}

func (r *records) buffered() int { return r.in.Buffered() }

// position is where in a record the reader is.
type position uint8

const (
	fieldStart  position = iota
	unquoted             // within a field that does not begin with a quote, or after the end of one that does
	quoted               // within quotes
	quoteInside          // after a quote within quotes: the end of the field, or the first half of a doubled quote
)

func (p position) after(b byte) position {
	switch {
	case p == quoted && b != '"':
		return quoted
	case p == quoted:
		return quoteInside
	case b == '"' && (p == fieldStart || p == quoteInside):
		return quoted
	case b == ',':
		return fieldStart
	default:
		return unquoted
	}
}

// next returns the next record; io.EOF after the last.
func (r *records) next() (record, error) {
	out, at := record{line: r.line}, fieldStart
	r.buffer = r.buffer[:0]
	for first := true; ; first = false {
		b, err := r.in.ReadByte()
		if errors.Is(err, io.EOF) && !first {
			break
		}
		if err != nil {
			return out, err
		}
		end := b == '\n' || b == '\r'
		if end {
			r.line++
			if b == '\r' {
				b = r.lineEnd()
			}
			if at != quoted {
				break
			}
		} else {
			at = at.after(b)
		}
		if len(r.buffer) < longest {
			r.buffer = append(r.buffer, b)
		} else {
			out.tooLong = true
		}
	}
	out.raw = r.buffer
	return out, nil
}

// lineEnd takes the line feed of a CRLF. Every line end counts as a line feed.
func (r *records) lineEnd() byte {
	if next, err := r.in.Peek(1); err == nil && next[0] == '\n' {
		_, _ = r.in.Discard(1)
	}
	return '\n'
}
