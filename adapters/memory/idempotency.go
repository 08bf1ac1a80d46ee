package memory

import (
	"context"
	"sync"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/request"
)

type keyOf struct {
	user auth.UserID
	key  request.Key
}

// IdempotencyKeys implements ports.IdempotencyKeys.
type IdempotencyKeys struct {
	mu sync.Mutex
	m  map[keyOf]request.KeyUse
}

// Claim stores the use, unless the key is taken.
func (k *IdempotencyKeys) Claim(
	_ context.Context, u request.KeyUse, since time.Time, instead id.ID,
) (request.KeyUse, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if first, err := k.used(u, since); err == nil && (instead.IsZero() || first.Request != instead) {
		return first, nil
	}
	k.put(u)
	return u, nil
}

// Release makes the key new again where it stands for the use's request.
func (k *IdempotencyKeys) Release(_ context.Context, u request.KeyUse) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.m[keyOf{u.User, u.Key}].Request == u.Request {
		delete(k.m, keyOf{u.User, u.Key})
	}
	return nil
}

// Forget drops old uses.
func (k *IdempotencyKeys) Forget(_ context.Context, before time.Time, n int) (dropped int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, u := range k.m {
		if u.At.Before(before) && dropped < n {
			delete(k.m, key)
			dropped++
		}
	}
	return dropped, nil
}

func (k *IdempotencyKeys) used(u request.KeyUse, since time.Time) (request.KeyUse, error) {
	if first, ok := k.m[keyOf{u.User, u.Key}]; ok && !first.At.Before(since) {
		return first.SeenBy(u), nil
	}
	return request.KeyUse{}, fault.New(fault.ResourceNotFound)
}

func (k *IdempotencyKeys) put(u request.KeyUse) {
	if k.m == nil {
		k.m = map[keyOf]request.KeyUse{}
	}
	k.m[keyOf{u.User, u.Key}] = u
}
