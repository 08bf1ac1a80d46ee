package vault

import (
	"encoding/json"
	"errors"
	"fmt"

	"phonebill/core/sealing"
	"phonebill/ports"
)

// sealer implements ports.Sealer: noun -> row (tagged, versioned JSON) -> ciphertext. The row types are in rows_*.go.
type sealer[T, R any] struct {
	vault   ports.Vault
	purpose string
	version byte
	row     func(T) R
	noun    func(R) (T, error)
}

var errVersion = errors.New("vault: stored form of an unknown version")

// Seal returns version byte + ciphertext.
func (s sealer[T, R]) Seal(at sealing.Place, v T) ([]byte, error) {
	clear, err := json.Marshal(s.row(v))
	if err != nil {
		return nil, fmt.Errorf("vault: %s: %w", s.purpose, err)
	}
	sealed, err := s.vault.Seal(s.place(at, s.version), clear)
	if err != nil {
		return nil, err
	}
	return append([]byte{s.version}, sealed...), nil
}

// Open reads what Seal wrote.
func (s sealer[T, R]) Open(at sealing.Place, sealed []byte) (T, error) {
	var none T
	if len(sealed) == 0 || sealed[0] != s.version {
		return none, s.vault.Refuse(at, errVersion)
	}
	clear, err := s.vault.Open(s.place(at, sealed[0]), sealed[1:])
	if err != nil {
		return none, err
	}
	var row R
	if err := json.Unmarshal(clear, &row); err != nil {
		return none, fmt.Errorf("vault: %s: %w", s.purpose, err)
	}
	return s.noun(row)
}

// Reseal opens and seals what the stored form holds, whatever its version means.
func (s sealer[T, R]) Reseal(at sealing.Place, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, s.vault.Refuse(at, errVersion)
	}
	at = s.place(at, sealed[0])
	clear, err := s.vault.Open(at, sealed[1:])
	if err != nil {
		return nil, err
	}
	again, err := s.vault.Seal(at, clear)
	if err != nil {
		return nil, err
	}
	return append([]byte{sealed[0]}, again...), nil
}

// Bound checks the form behind the version byte.
func (s sealer[T, R]) Bound(sealed []byte) bool { return len(sealed) > 0 && sealing.Bound(sealed[1:]) }

// place returns where a stored form of the version stands. One of form Column is bound to the purpose, the same
// everywhere.
func (s sealer[T, R]) place(at sealing.Place, version byte) sealing.Place {
	at = at.Formerly(s.purpose)
	if at.Keyed() {
		at = at.And(s.purpose).And(string([]byte{version}))
	}
	return at
}
