package memory

import (
	"context"
	"sync"

	"phonebill/core/auth"
	"phonebill/core/line"
)

// Bindings implements ports.Bindings. The zero value is ready.
type Bindings struct {
	mu    sync.Mutex
	bound map[binding]string
}

type binding struct {
	account auth.UserID
	line    line.Number
}

// Bind binds once.
func (b *Bindings) Bind(_ context.Context, account auth.UserID, n line.Number, customer string) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := binding{account, n}
	if b.bound == nil {
		b.bound = map[binding]string{}
	}
	if _, bound := b.bound[key]; !bound {
		b.bound[key] = customer
	}
	return b.bound[key] == customer, nil
}
