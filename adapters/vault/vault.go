// Package vault keeps personal data unreadable at rest: AES-256-GCM through Tink (the key's id stands in the
// ciphertext), blind indexes by HMAC-SHA256, both keyed from one keyring file. Begin with Vault (vault.go).
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
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"phonebill/core/fault"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// Vault implements ports.Vault. It is safe for concurrent use.
type Vault struct {
	aead   tink.AEAD
	index  []byte
	form   atomic.Int32 // sealing.Form
	forms  sync.Map     // sealing.Form by database, where it has one of its own
	report atomic.Pointer[func(at sealing.Place, why error)]
}

// ErrOldForm is what Open returns of a value that is bound to its column alone, where such values are refused.
var ErrOldForm = errors.New("vault: a value that is bound to its column alone is refused")

// errUnknownForm is why nothing is sealed before the database has said its form.
var errUnknownForm = errors.New("vault: the database has not said yet how values are sealed")

// again is the Retry-After of a form that is not known yet: it is asked for every few seconds.
const again = 2 * time.Second

// file is the keyring on disk, mode 0600. It must be protected like the database: without it the data is lost, with it
// the data is readable.
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
	v := &Vault{aead: primitive, index: f.Index}
	v.Obey(sealing.Row)
	return v, nil
}

// Obey sets the form that the vault writes and the least that it accepts; a new vault is of form Row.
func (v *Vault) Obey(form sealing.Form) { v.form.Store(int32(form)) } //nolint:gosec // 0..3

// ObeyIn is Obey for the places in one database; Obey is for those in no database that was named, such as the cache.
func (v *Vault) ObeyIn(database string, form sealing.Form) { v.forms.Store(database, form) }

func (v *Vault) formAt(at sealing.Place) sealing.Form {
	database, _, _ := strings.Cut(at.Name(), ".")
	if form, ok := v.forms.Load(database); ok {
		return form.(sealing.Form) //nolint:forcetypeassert // ObeyIn alone stores
	}
	return v.Form()
}

// Form returns what the vault obeys.
func (v *Vault) Form() sealing.Form { return sealing.Form(v.form.Load()) }

// Report is called with each value that does not open where it stands; by default nothing is.
func (v *Vault) Report(report func(at sealing.Place, why error)) { v.report.Store(&report) }

// Resealing returns the vault as the job that seals anew uses it: it obeys the form, and reports nothing.
func (v *Vault) Resealing(form sealing.Form) *Vault {
	r := &Vault{aead: v.aead, index: v.index}
	r.Obey(form)
	return r
}

// New returns a fresh keyring.
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

// OpenOrCreate reads the keyring file and makes it first when there is none. Of several that start at once one makes
// it.
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

// Seal encrypts: bound to the row, behind sealing.Mark, where the form requires it and the place has keys; else bound
// to the column. A place with keys whose form is not known yet is SERVICE_UNAVAILABLE.
func (v *Vault) Seal(at sealing.Place, clear []byte) ([]byte, error) {
	form := v.formAt(at)
	if at.Keyed() && form == sealing.Unknown {
		return nil, fault.New(fault.ServiceUnavailable).RetryIn(again).
			Because(fmt.Errorf("%w: %s", errUnknownForm, at.Name()))
	}
	bound := at.Keyed() && !form.Older()
	data := at.Column()
	if bound {
		data = at.Row()
	}
	sealed, err := v.aead.Encrypt(clear, data)
	if err != nil {
		return nil, fmt.Errorf("vault: seal %s: %w", at.Name(), err)
	}
	if bound {
		sealed = append(append(make([]byte, 0, len(sealed)+1), sealing.Mark), sealed...)
	}
	return sealed, nil
}

// Open decrypts what Seal made for the place, by one decryption whatever the form.
func (v *Vault) Open(at sealing.Place, sealed []byte) ([]byte, error) {
	var clear []byte
	var err error
	switch {
	case sealing.Bound(sealed):
		clear, err = v.aead.Decrypt(sealed[1:], at.Row())
	case at.Keyed() && v.formAt(at) == sealing.RowOnly:
		err = ErrOldForm
	default:
		clear, err = v.aead.Decrypt(sealed, at.Column())
	}
	if err != nil {
		return nil, v.Refuse(at, err)
	}
	return clear, nil
}

// Refuse reports that the value at the place does not belong there, and returns why. A value of an older form is not
// reported where its place has alerts off.
func (v *Vault) Refuse(at sealing.Place, why error) error {
	if report := v.report.Load(); report != nil && (!at.AlertsOff() || !errors.Is(why, ErrOldForm)) {
		(*report)(at, why)
	}
	return fmt.Errorf("vault: open %s: %w", at.Name(), why)
}

// Index returns the blind index of a value.
func (v *Vault) Index(purpose, value string) []byte {
	mac := hmac.New(sha256.New, v.index)
	_, _ = mac.Write([]byte(purpose + "\x00" + value))
	return mac.Sum(nil)
}

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
