// Package keys is about the keys that tokens and other systems are known by. SigningKeys rotates the keys that sign
// tokens: a new key is published before it signs, by schedule or by command, and an old one is published until the last
// token that it signed has expired. Registry checks the service keys of other systems that call for their users: only
// with a valid one are the address and the user agent of the end user taken from the request.
package keys

import (
	"context"
	"errors"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/ports"
)

// SigningKeys rotates the keys. All fields are required; it is safe for concurrent use by any number of instances.
type SigningKeys struct {
	Keys     ports.SigningKeys
	Make     ports.KeyMaker
	Schedule auth.KeySchedule
	Now      ports.Clock
}

// State is what a key is for now.
type State string

// The states of a key.
const (
	Next     State = "NEXT"     // published, signs from ActiveAt on
	Signing  State = "SIGNING"  // signs
	Previous State = "PREVIOUS" // its tokens are valid, it does not sign any more
	Over     State = "OVER"     // retired, or superseded so long ago that no token of it lives
)

// Key is a signing key without its secret.
type Key struct {
	KeyID                          string
	State                          State
	CreatedAt, ActiveAt, RetiredAt time.Time // RetiredAt is zero while the key is not retired
}

// List returns all keys, newest first.
func (s *SigningKeys) List(ctx context.Context) ([]Key, error) {
	held, err := s.Keys.List(ctx)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	states := map[string]State{}
	for _, k := range s.Schedule.Published(held, now) {
		states[k.KeyID] = Previous
		if k.ActiveAt.After(now) {
			states[k.KeyID] = Next
		}
	}
	if signer, ok := s.Schedule.Signer(held, now); ok {
		states[signer.KeyID] = Signing
	}
	out := make([]Key, len(held))
	for i, k := range held {
		out[i] = Key{KeyID: k.KeyID, State: Over, CreatedAt: k.CreatedAt, ActiveAt: k.ActiveAt, RetiredAt: k.RetiredAt}
		if state, ok := states[k.KeyID]; ok {
			out[i].State = state
		}
	}
	return out, nil
}

// Step makes the next key when it is due and returns 1, else 0. When another instance made it first there is nothing to
// do.
func (s *SigningKeys) Step(ctx context.Context) (int, error) {
	held, err := s.Keys.List(ctx)
	if err != nil {
		return 0, err
	}
	begins, due := s.Schedule.Due(held, s.Now())
	if !due {
		return 0, nil
	}
	_, err = s.add(ctx, held, begins)
	if errors.Is(err, fault.New(fault.StateConflict)) {
		return 0, nil
	}
	return 1, err
}

// Rotate makes the next key now, whatever the schedule: it is published at once and signs after the lead, and the
// tokens of the key before stay valid. While a next key waits already, that one is returned.
func (s *SigningKeys) Rotate(ctx context.Context) (Key, error) {
	held, err := s.Keys.List(ctx)
	if err != nil {
		return Key{}, err
	}
	now := s.Now()
	if k, waits := s.Schedule.Pending(held, now); waits {
		return Key{KeyID: k.KeyID, State: Next, CreatedAt: k.CreatedAt, ActiveAt: k.ActiveAt}, nil
	}
	begins := now.Add(s.Schedule.Lead)
	if _, ok := s.Schedule.Signer(held, now); !ok {
		begins = now
	}
	return s.add(ctx, held, begins)
}

// RotateNow is for a key that may have leaked: a new key signs at once and all others are retired, so that every token
// of theirs is refused within a second; sessions live on and get new tokens by refreshing. CONFLICT when keys are
// rotated elsewhere at the same time: nothing has changed. After any other error some of the others may not be retired
// yet. Call it again either way.
func (s *SigningKeys) RotateNow(ctx context.Context) (Key, error) {
	held, err := s.Keys.List(ctx)
	if err != nil {
		return Key{}, err
	}
	fresh, err := s.add(ctx, held, s.Now())
	if err != nil {
		return Key{}, err
	}
	for _, k := range held {
		err = errors.Join(err, s.Keys.Retire(ctx, k.KeyID, fresh.ActiveAt))
	}
	return fresh, err
}

func (s *SigningKeys) add(ctx context.Context, held []auth.SigningKey, begins time.Time) (Key, error) {
	newest := ""
	if len(held) > 0 {
		newest = held[0].KeyID
	}
	k := s.Make()
	k.CreatedAt, k.ActiveAt = s.Now(), begins
	if err := s.Keys.AddNext(ctx, k, newest); err != nil {
		return Key{}, err
	}
	state := Next
	if !begins.After(k.CreatedAt) {
		state = Signing
	}
	return Key{KeyID: k.KeyID, State: state, CreatedAt: k.CreatedAt, ActiveAt: begins}, nil
}
