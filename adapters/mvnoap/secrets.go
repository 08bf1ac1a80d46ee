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

// Secrets sign the notifications: one, or during a rotation two, of which each signs every notification. They are safe
// for concurrent use.
//
// A rotation: the operator writes the new secret below the old one; the MVNO replaces the old one by it at any time;
// the old line is deleted. Nothing is restarted, and no notification is rejected.
type Secrets struct {
	file string // empty = fixed
	now  ports.Clock
	log  *slog.Logger

	mu     sync.Mutex
	keys   []*standardwebhooks.Webhook
	readAt time.Time // at the file
}

// rereadInterval is the shortest time between two reads of a file of secrets.
const rereadInterval = 5 * time.Second

// maxSecrets are live at a time: the current one and its successor.
const maxSecrets = 2

// errSecrets describes what is wrong with secrets, and never shows them.
var errSecrets = errors.New("mvnoap: one or two secrets are needed, each whsec_ and base64")

// FixedSecrets returns one or two secrets that never change; in one text they are separated by a comma or a blank.
func FixedSecrets(secrets ...personal.Secret) (*Secrets, error) {
	var texts []string
	for _, s := range secrets {
		texts = append(texts, s.Reveal())
	}
	keys, err := parseSecrets(strings.Join(texts, "\n"))
	return &Secrets{keys: keys}, err
}

// OpenSecrets reads one or two secrets from the lines of a file. It is read again every 5 s at most while results are
// delivered. When the file cannot be read later, the secrets stay as they are.
func OpenSecrets(file string, now ports.Clock, log *slog.Logger) (*Secrets, error) {
	s := &Secrets{file: file, now: now, log: log, readAt: now()}
	err := s.read()
	return s, err
}

// live returns the secrets that sign now.
func (s *Secrets) live() []*standardwebhooks.Webhook {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == "" || s.now().Sub(s.readAt) < rereadInterval {
		return s.keys
	}
	s.readAt = s.now()
	if err := s.read(); err != nil {
		s.log.Error("the file of the MVNO AP server's secrets is not usable: the secrets stay as they were",
			slog.Any("error", err))
	}
	return s.keys
}

// read takes the secrets from the file. The caller holds mu, or s is not shared yet.
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

func parseSecrets(text string) ([]*standardwebhooks.Webhook, error) {
	var keys []*standardwebhooks.Webhook
	for _, secret := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r <= ' ' }) {
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
