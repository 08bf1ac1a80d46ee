package memory

import (
	"context"
	"sync"
	"time"

	"phonebill/core/freshness"
	"phonebill/core/line"
	"phonebill/ports"
)

// Epochs implements ports.Epochs and ports.RaisedEpochs. Vault makes the indexes; nil = Vault{}.
type Epochs struct {
	Vault ports.Vault
	mu    sync.Mutex
	m     map[line.Number]raised
}

// raised is an epoch and when it was stored.
type raised struct{ epoch, at time.Time }

// Raise sets the epoch unless the stored one is newer.
func (e *Epochs) Raise(_ context.Context, n line.Number, at time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.m == nil {
		e.m = map[line.Number]raised{}
	}
	if e.m[n].epoch.Before(at) {
		e.m[n] = raised{at, time.Now()}
	}
	return nil
}

// Of returns the line's epoch.
func (e *Epochs) Of(_ context.Context, n line.Number) (time.Time, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.m[n].epoch, nil
}

// Raised returns what was stored since.
func (e *Epochs) Raised(_ context.Context, since time.Time) ([]freshness.Raise, time.Time, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	vault := e.Vault
	if vault == nil {
		vault = Vault{}
	}
	var out []freshness.Raise
	for n, r := range e.m {
		if !r.at.Before(since) {
			out = append(out, freshness.Raise{Line: vault.Index(ports.LineIndex, n.Digits()), Epoch: r.epoch})
		}
	}
	return out, time.Now(), nil
}
