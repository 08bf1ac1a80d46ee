package personal

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// NFC returns the text in Normalization Form C (UAX #15). Every rule about a text, the count of its characters above
// all, is about its NFC: Apple's systems send 각 as three code points (NFD), others as one. What is no UTF-8 stays as
// it is.
func NFC(s string) string { return norm.NFC.String(s) }

// Skeleton returns what a text looks like to a person: without invisible characters, with compatible forms alike (NFKC:
// Ａ is A) and in lower case. It is for comparisons only.
func Skeleton(s string) string {
	seen := strings.Map(func(r rune) rune {
		if Invisible(r) {
			return -1
		}
		return r
	}, s)
	return strings.ToLower(norm.NFKC.String(seen))
}

// Invisible reports characters that show nothing and take no space: zero-width and other format characters, fillers,
// variation selectors (Default_Ignorable_Code_Point of UAX #44), and control characters. Blanks are none of them.
func Invisible(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) ||
		unicode.IsControl(r) && !unicode.IsSpace(r)
}

// Letters returns how many different letters, digits and signs a text shows: blanks, invisible characters, the marks on
// a letter and the case do not count.
func Letters(s string) int {
	different := map[rune]bool{}
	for _, r := range Skeleton(s) {
		const blankBraille = '\u2800'
		if !unicode.IsSpace(r) && !unicode.IsMark(r) && r != blankBraille {
			different[r] = true
		}
	}
	return len(different)
}
