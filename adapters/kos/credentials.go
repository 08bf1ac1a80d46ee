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

// Credentials are the keys that KOS knows us by: one, or during a rotation two, of which one is used at a time. One that KOS refuses gives
// way to the other. They are safe for concurrent use.
//
// A rotation: the operator writes the new key below the old one; KOS is told to accept both; KOS is told to refuse the old one, and the
// first call that hears it goes over to the new one; the old line is deleted. Nothing is restarted, no call is lost.
type Credentials struct {
	file string // empty = fixed
	now  ports.Clock
	log  *slog.Logger

	mu     sync.Mutex
	keys   []personal.Secret
	used   int       // index into keys
	looked time.Time // at the file
}

// lookAgain is how often a file of keys is looked at, at most.
const lookAgain = 5 * time.Second

// mostKeys are live at a time: the current one and its successor.
const mostKeys = 2

// errKeys says what is wrong with keys, and never shows them.
var errKeys = errors.New("kos: one or two keys are needed, each a line of printable characters without blanks")

// FixedCredentials are one or two keys for good.
func FixedCredentials(keys ...string) (*Credentials, error) {
	held, err := parseKeys(strings.Join(keys, "\n"))
	return &Credentials{keys: held}, err
}

// OpenCredentials reads one or two keys from the lines of a file. It is read again every 5 s at most while calls are made, and when KOS
// refuses a key. A file that cannot be read later leaves the keys as they are.
func OpenCredentials(file string, now ports.Clock, log *slog.Logger) (*Credentials, error) {
	c := &Credentials{file: file, now: now, log: log, looked: now()}
	err := c.read()
	return c, err
}

// key answers the one to use now.
func (c *Credentials) key() personal.Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file != "" && c.now().Sub(c.looked) >= lookAgain {
		c.look()
	}
	return c.keys[c.used]
}

// refused says that KOS does not know the key. Later calls use the other one, if there is one; the answer tells whether it is another key
// that they use, so that asking again makes sense.
func (c *Credentials) refused(key personal.Secret) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file != "" {
		c.look()
	}
	if c.keys[c.used] == key { // else somebody was faster
		c.used = (c.used + 1) % len(c.keys)
	}
	return c.keys[c.used] != key
}

// look reads the file again. The caller holds mu.
func (c *Credentials) look() {
	c.looked = c.now()
	if err := c.read(); err != nil {
		c.log.Error("the file of KOS keys is not usable: the keys stay as they were", slog.Any("error", err))
	}
}

// read takes the keys from the file and goes on using the one in use if it is still there. The caller holds mu, or nobody else knows c.
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

func parseKeys(said string) ([]personal.Secret, error) {
	var keys []personal.Secret
	for text := range strings.Lines(said) {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, errKeys
		}
		keys = append(keys, personal.NewSecret(text))
	}
	if len(keys) == 0 || len(keys) > mostKeys {
		return nil, errKeys
	}
	return keys, nil
}
