package mvnoap

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"phonebill/core/personal"
	"phonebill/ports"
)

// Secrets are what notifications are signed with: one, or during a rotation two, of which each signs every notification. They are safe
// for concurrent use.
//
// A rotation: the operator writes the new secret below the old one; the MVNO takes it instead of the old one whenever it suits it; the
// old line is deleted. Nothing is restarted, and no notification is rejected.
type Secrets struct {
	file string // empty = fixed
	now  ports.Clock
	log  *slog.Logger

	mu     sync.Mutex
	keys   []*standardwebhooks.Webhook
	readAt time.Time // at the file
}

// lookAgain is how often a file of secrets is looked at, at most.
const rereadInterval = 5 * time.Second

// mostSecrets are live at a time: the current one and its successor.
const maxSecrets = 2

// errSecrets says what is wrong with secrets, and never shows them.
var errSecrets = errors.New("mvnoap: one or two secrets are needed, each whsec_ and base64")

// FixedSecrets are one or two secrets for good; in one text they are separated by a comma or a blank.
func FixedSecrets(secrets ...personal.Secret) (*Secrets, error) {
	var said []string
	for _, s := range secrets {
		said = append(said, s.Reveal())
	}
	keys, err := parseSecrets(strings.Join(said, "\n"))
	return &Secrets{keys: keys}, err
}

// OpenSecrets reads one or two secrets from the lines of a file. It is read again every 5 s at most while results are told. A file that
// cannot be read later leaves the secrets as they are.
func OpenSecrets(file string, now ports.Clock, log *slog.Logger) (*Secrets, error) {
	s := &Secrets{file: file, now: now, log: log, readAt: now()}
	err := s.read()
	return s, err
}

// live answers those that sign now.
func (s *Secrets) live() []*standardwebhooks.Webhook {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == "" || s.now().Sub(s.readAt) < rereadInterval {
		return s.keys
	}
	s.readAt = s.now()
	if err := s.read(); err != nil {
		s.log.Error("the file of the MVNO AP server's secrets is not usable: the secrets stay as they were", slog.Any("error", err))
	}
	return s.keys
}

// read takes the secrets from the file. The caller holds mu, or nobody else knows s.
func (s *Secrets) read() error {
	raw, err := os.ReadFile(s.file)
	if err != nil {
		return err
	}
	keys, err := parseSecrets(string(raw))
	if err == nil {
		s.keys = keys
	}
	return err
}

func parseSecrets(said string) ([]*standardwebhooks.Webhook, error) {
	var keys []*standardwebhooks.Webhook
	for _, secret := range strings.FieldsFunc(said, func(r rune) bool { return r == ',' || r <= ' ' }) {
		key, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return nil, errSecrets
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 || len(keys) > maxSecrets {
		return nil, errSecrets
	}
	return keys, nil
}
