// Package vault keeps personal data unreadable at rest: AES-256-GCM through Tink (the key's id stands in the ciphertext), blind
// indexes by HMAC-SHA256, both keyed from one keyring file.
package vault

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Vault implements ports.Vault. It is safe for concurrent use.
type Vault struct {
	aead  tink.AEAD
	index []byte
}

// file is the keyring on disk, mode 0600. Protect it like the database: without it the data is lost, with it the data is open.
type file struct {
	AEAD  json.RawMessage `json:"aead"`
	Index []byte          `json:"index"`
}

// errKeyring hides what the keyring holds.
var errKeyring = errors.New("vault: the keyring is not readable")

// Open reads a keyring file.
func Open(path string) (*Vault, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return Parse(raw)
}

// Parse reads a keyring.
func Parse(raw []byte) (*Vault, error) {
	var f file
	if err := json.Unmarshal(raw, &f); err != nil || len(f.Index) != sha256.Size {
		return nil, errKeyring
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(f.AEAD)))
	if err != nil {
		return nil, errKeyring
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, errKeyring
	}
	return &Vault{aead: primitive, index: f.Index}, nil
}

// New answers a fresh keyring.
func New() ([]byte, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	var keys bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&keys)); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	f := file{AEAD: keys.Bytes(), Index: make([]byte, sha256.Size)}
	_, _ = rand.Read(f.Index)
	return json.Marshal(f)
}

// OpenOrCreate reads the keyring file and makes it first when there is none. Of several that start at once one makes it.
func OpenOrCreate(path string) (*Vault, error) {
	v, err := Open(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return v, err
	}
	raw, err := New()
	if err != nil {
		return nil, err
	}
	if err := place(path, raw); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return Open(path)
}

// place writes the whole file or nothing, and never over an existing one.
func place(path string, raw []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".keyring-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(raw)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Seal encrypts, bound to the purpose.
func (v *Vault) Seal(purpose string, clear []byte) ([]byte, error) {
	sealed, err := v.aead.Encrypt(clear, []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("vault: seal %s: %w", purpose, err)
	}
	return sealed, nil
}

// Open decrypts what Seal made for the purpose.
func (v *Vault) Open(purpose string, sealed []byte) ([]byte, error) {
	clear, err := v.aead.Decrypt(sealed, []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("vault: open %s: %w", purpose, err)
	}
	return clear, nil
}

// Index is the blind index of a value.
func (v *Vault) Index(purpose, value string) []byte {
	mac := hmac.New(sha256.New, v.index)
	_, _ = mac.Write([]byte(purpose + "\x00" + value))
	return mac.Sum(nil)
}
