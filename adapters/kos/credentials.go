package kos

import (
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"phonebill/core/personal"
	"phonebill/ports"
)

// Credentials are the keys that identify us to KOS: one, or two during a rotation, of which one is used at a time. When
// KOS refuses it, the other one is used from then on. Credentials is safe for concurrent use.
//
// A rotation: the operator writes the new key below the old one in the file; KOS is set to accept both; KOS is set to
// refuse the old one, and the first call that is refused switches to the new one; the operator deletes the old line.
// Nothing is restarted, no call is lost.
type Credentials struct {
	file string // empty = the keys never change
	now  ports.Clock
	log  *slog.Logger

	mu     sync.Mutex
	keys   []personal.Secret
	used   int       // index into keys
	readAt time.Time // when the file was read last
}

// rereadInterval is how often a file of keys is read, at most, unless KOS refuses a key.
const rereadInterval = 5 * time.Second

// maxKeys is how many keys are valid at a time: the current one and its successor.
const maxKeys = 2

// errKeys says what is wrong with keys without showing them.
var errKeys = errors.New("kos: one or two keys are needed, each a line of printable characters without blanks")

// FixedCredentials returns one or two keys that never change.
func FixedCredentials(keys ...string) (*Credentials, error) {
	parsed, err := parseKeys(strings.Join(keys, "\n"))
	return &Credentials{keys: parsed}, err
}

// OpenCredentials reads one or two keys from the lines of a file. While calls are made the file is read again, every 5
// s at most, and when KOS refuses a key. When it cannot be read then, the keys stay as they are.
func OpenCredentials(file string, now ports.Clock, log *slog.Logger) (*Credentials, error) {
	c := &Credentials{file: file, now: now, log: log, readAt: now()}
	err := c.read()
	return c, err
}

// key returns the key to use now.
func (c *Credentials) key() personal.Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file != "" && c.now().Sub(c.readAt) >= rereadInterval {
		c.reread()
	}
	return c.keys[c.used]
}

// refused records that KOS does not accept the key. Later calls use the other one, if there is one. It reports whether
// later calls use another key, so that trying again makes sense.
func (c *Credentials) refused(key personal.Secret) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file != "" {
		c.reread()
	}
	if c.keys[c.used] == key { // else a concurrent call has switched already
		c.used = (c.used + 1) % len(c.keys)
	}
	return c.keys[c.used] != key
}

// reread reads the file again and logs when that fails. The caller holds mu.
func (c *Credentials) reread() {
	c.readAt = c.now()
	if err := c.read(); err != nil {
		c.log.Error("the file of KOS keys is not usable: the keys stay as they were", slog.Any("error", err))
	}
}

// read reads the keys from the file and keeps using the current one if it is still there. The caller holds mu, unless c
// is not shared yet.
func (c *Credentials) read() error {
	raw, err := os.ReadFile(c.file)
	if err != nil {
		return err
	}
	keys, err := parseKeys(string(raw))
	if err != nil {
		return err
	}
	used := 0
	if len(c.keys) > 0 {
		used = max(0, slices.Index(keys, c.keys[c.used]))
	}
	c.keys, c.used = keys, used
	return nil
}

// parseKeys parses one or two keys, a line each. Blank lines are ignored.
func parseKeys(text string) ([]personal.Secret, error) {
	var keys []personal.Secret
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, errKeys
		}
		keys = append(keys, personal.NewSecret(line))
	}
	if len(keys) == 0 || len(keys) > maxKeys {
		return nil, errKeys
	}
	return keys, nil
}
