package customercsv

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/text/encoding/korean"
)

// charset is how a file encodes what is not ASCII. It is decided by the first such text and then the same for the whole
// file: each record for itself could be read as something else than was written. Commas, quotes and line ends are the
// same bytes in all of them.
type charset uint8

const (
	undecided charset = iota
	inUTF8
	inCP949 // what Korean Excel calls CSV; EUC-KR is a part of it
)

// decide settles the charset by a part of the file, which may end within a character.
func (c *charset) decide(part []byte) {
	if *c != undecided || !hasNonASCII(part) {
		return
	}
	const longestRune = 4
	for cut := range min(longestRune, len(part)) {
		if utf8.Valid(part[:len(part)-cut]) {
			*c = inUTF8
			return
		}
	}
	for cut := range min(2, len(part)) {
		if _, ok := fromCP949(part[:len(part)-cut]); ok {
			*c = inCP949
			return
		}
	}
}

// decode returns the text of a record; ok is false when its bytes are not of the file's charset.
func (c *charset) decode(raw []byte) (text string, ok bool) {
	c.decide(raw)
	if *c == inCP949 {
		return fromCP949(raw)
	}
	return string(raw), utf8.Valid(raw)
}

func fromCP949(raw []byte) (string, bool) {
	text, err := korean.EUCKR.NewDecoder().Bytes(raw)
	return string(text), err == nil && !bytes.ContainsRune(text, utf8.RuneError)
}

func hasNonASCII(part []byte) bool {
	return bytes.ContainsFunc(part, func(r rune) bool { return r >= utf8.RuneSelf })
}
