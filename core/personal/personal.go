// Package personal holds types for personal data that print masked, so that a log line, an error or a debug dump leaks
// nothing by accident. Reveal is the only way to the clear value; a search for it finds all uses. It is also the one
// place for Unicode normalisation (NFC): it says when two texts that people typed are equal.
package personal

import (
	"fmt"
	"strings"
)

// Name is a person's name; it prints as 홍*동.
type Name struct{ clear string }

// NewName wraps a name, in NFC: its letters are what is masked.
func NewName(clear string) Name { return Name{NFC(clear)} }

// Reveal returns the clear name.
func (n Name) Reveal() string { return n.clear }

// String masks everything but the first and last letter.
func (n Name) String() string {
	r := []rune(n.clear)
	switch len(r) {
	case 0:
		return ""
	case 1, 2:
		return string(r[0]) + "*"
	default:
		return string(r[0]) + strings.Repeat("*", len(r)-2) + string(r[len(r)-1])
	}
}

// Format masks under every verb: a Stringer alone would leak under %d and its like.
func (n Name) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(n.String())) }

// MarshalText masks as well.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// Email is a mail address; it prints as h***@example.com.
type Email struct{ clear string }

// NewEmail wraps an address, in NFC.
func NewEmail(clear string) Email { return Email{NFC(clear)} }

// Reveal returns the clear address.
func (e Email) Reveal() string { return e.clear }

// String masks the local part but its first letter.
func (e Email) String() string {
	local, domain, found := strings.Cut(e.clear, "@")
	if !found || local == "" {
		return strings.Repeat("*", len([]rune(e.clear)))
	}
	return string([]rune(local)[0]) + "***@" + domain
}

// Format masks under every verb: a Stringer alone would leak under %d and its like.
func (e Email) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.String())) }

// MarshalText masks as well.
func (e Email) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Secret is a password, token or code on its way through the core; it prints as ***.
type Secret struct{ clear string }

// NewSecret wraps a secret.
func NewSecret(clear string) Secret { return Secret{clear} }

// Reveal returns the clear secret.
func (s Secret) Reveal() string { return s.clear }

// String never shows anything, not even the length.
func (s Secret) String() string { return "***" }

// Format masks under every verb: a Stringer alone would leak under %d and its like.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText masks as well.
func (s Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }
