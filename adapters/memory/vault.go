package memory

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strconv"
	"strings"
	"sync"

	"phonebill/core/sealing"
)

// Vault implements ports.Vault without secrecy: it prefixes. For tests only.
type Vault struct{}

var errNotSealed = errors.New("memory vault: not sealed for this place")

// Seal prefixes with the place.
func (Vault) Seal(at sealing.Place, clear []byte) ([]byte, error) {
	return append(prefix(at), clear...), nil
}

// Open cuts the prefix off.
func (v Vault) Open(at sealing.Place, sealed []byte) ([]byte, error) {
	clear, ok := bytes.CutPrefix(sealed, prefix(at))
	if !ok {
		return nil, v.Refuse(at, errNotSealed)
	}
	return clear, nil
}

func prefix(at sealing.Place) []byte { return append(append([]byte("sealed:"), at.Row()...), ':') }

// Form is always Row.
func (Vault) Form() sealing.Form { return sealing.Row }

// Refuse returns why.
func (Vault) Refuse(_ sealing.Place, why error) error { return why }

// Index hashes.
func (Vault) Index(purpose, value string) []byte {
	sum := sha256.Sum256([]byte(purpose + "\x00" + value))
	return sum[:]
}

// Sealer implements ports.Sealer by remembering: the stored form is a handle.
type Sealer[T any] struct {
	mu   sync.Mutex
	kept []kept[T]
}

type kept[T any] struct {
	value T
	at    string
}

// Seal returns a handle.
func (s *Sealer[T]) Seal(at sealing.Place, v T) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, kept[T]{v, string(at.Row())})
	return []byte("#" + strconv.Itoa(len(s.kept)-1)), nil
}

// Open returns what the handle stands for.
func (s *Sealer[T]) Open(at sealing.Place, sealed []byte) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var zero T
	handle, ok := strings.CutPrefix(string(sealed), "#")
	n, err := strconv.Atoi(handle)
	if !ok || err != nil || n < 0 || n >= len(s.kept) || s.kept[n].at != string(at.Row()) {
		return zero, errNotSealed
	}
	return s.kept[n].value, nil
}

// Reseal returns the handle as it is.
func (s *Sealer[T]) Reseal(at sealing.Place, sealed []byte) ([]byte, error) {
	_, err := s.Open(at, sealed)
	return sealed, err
}

// Bound is always true.
func (*Sealer[T]) Bound([]byte) bool { return true }
