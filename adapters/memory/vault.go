package memory

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strconv"
	"strings"
	"sync"
)

// Vault implements ports.Vault without secrecy: it prefixes. For tests only.
type Vault struct{}

var errNotSealed = errors.New("memory vault: not sealed for this purpose")

// Seal prefixes with the purpose.
func (Vault) Seal(purpose string, clear []byte) ([]byte, error) {
	return append([]byte("sealed:"+purpose+":"), clear...), nil
}

// Open cuts the prefix off.
func (Vault) Open(purpose string, sealed []byte) ([]byte, error) {
	clear, ok := bytes.CutPrefix(sealed, []byte("sealed:"+purpose+":"))
	if !ok {
		return nil, errNotSealed
	}
	return clear, nil
}

// Index hashes.
func (Vault) Index(purpose, value string) []byte {
	sum := sha256.Sum256([]byte(purpose + "\x00" + value))
	return sum[:]
}

// Sealer implements ports.Sealer by remembering: the stored form is a handle.
type Sealer[T any] struct {
	mu   sync.Mutex
	kept []T
}

// Seal answers a handle.
func (s *Sealer[T]) Seal(v T) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, v)
	return []byte("#" + strconv.Itoa(len(s.kept)-1)), nil
}

// Open answers what the handle stands for.
func (s *Sealer[T]) Open(sealed []byte) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var zero T
	handle, ok := strings.CutPrefix(string(sealed), "#")
	n, err := strconv.Atoi(handle)
	if !ok || err != nil || n < 0 || n >= len(s.kept) {
		return zero, errNotSealed
	}
	return s.kept[n], nil
}
