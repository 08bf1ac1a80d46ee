package vault

import (
	"encoding/json"
	"errors"
	"fmt"

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

// Seal answers version byte + ciphertext.
func (s sealer[T, R]) Seal(v T) ([]byte, error) {
	clear, err := json.Marshal(s.row(v))
	if err != nil {
		return nil, fmt.Errorf("vault: %s: %w", s.purpose, err)
	}
	sealed, err := s.vault.Seal(s.purpose, clear)
	if err != nil {
		return nil, err
	}
	return append([]byte{s.version}, sealed...), nil
}

// Open reads what Seal wrote.
func (s sealer[T, R]) Open(sealed []byte) (T, error) {
	var none T
	if len(sealed) == 0 || sealed[0] != s.version {
		return none, errVersion
	}
	clear, err := s.vault.Open(s.purpose, sealed[1:])
	if err != nil {
		return none, err
	}
	var row R
	if err := json.Unmarshal(clear, &row); err != nil {
		return none, fmt.Errorf("vault: %s: %w", s.purpose, err)
	}
	return s.noun(row)
}
