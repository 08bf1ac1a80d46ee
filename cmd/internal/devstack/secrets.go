package devstack

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Secrets are generated once and kept in a 0600 file, so that a second start finds the same passwords.
type Secrets struct {
	path   string
	values map[string]string
}

// OpenSecrets reads the file; a missing one is an empty one.
func OpenSecrets(path string) (*Secrets, error) {
	s := &Secrets{path: path, values: map[string]string{}}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &s.values)
	}
	if err != nil {
		return nil, fmt.Errorf("secrets of the demo: %w", err)
	}
	return s, nil
}

// Get returns the secret of that name, making it with fresh when there is none yet.
func (s *Secrets) Get(name string, fresh func() string) (string, error) {
	if v, ok := s.values[name]; ok {
		return v, nil
	}
	s.values[name] = fresh()
	raw, err := json.MarshalIndent(s.values, "", "  ")
	if err != nil {
		return "", fmt.Errorf("secrets of the demo: %w", err)
	}
	return s.values[name], WriteFile(s.path, raw)
}

// WriteFile writes a 0600 file whole or not at all.
func WriteFile(path string, raw []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = tmp.Write(raw)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Token returns a random secret of 24 bytes.
func Token() string { return base64.RawURLEncoding.EncodeToString(random(24)) }

// WebhookSecret returns a secret in the form of Standard Webhooks.
func WebhookSecret() string { return "whsec_" + base64.StdEncoding.EncodeToString(random(24)) }

const letters = "abcdefghjkmnpqrstuvwxyz23456789" // nothing that is mistaken for something else

// Readable returns n letters and digits that a person can type.
func Readable(n int) string {
	var b strings.Builder
	for _, r := range random(n) {
		b.WriteByte(letters[int(r)%len(letters)])
	}
	return b.String()
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}
