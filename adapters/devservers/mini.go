package devservers

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// clockStep is how exactly keys expire in miniredis, whose clock stands still unless it is moved.
const clockStep = 100 * time.Millisecond

// startMini runs the in-process stand-in. Clients must use RESP2 without client-side caching; memory is not bounded.
func startMini() (*Cache, error) {
	mini := miniredis.NewMiniRedis()
	password := rand.Text()
	mini.RequireAuth(password)
	if err := mini.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("miniredis: %w", err)
	}
	done := make(chan struct{})
	quit := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(clockStep)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				mini.FastForward(clockStep)
			case <-quit:
				mini.Close()
				return
			}
		}
	}()
	return &Cache{
		addr: mini.Addr(), password: password, kind: "miniredis (in-process)", done: done,
		notice: "no valkey-server or redis-server here: the cache runs in this process (miniredis), fine for a look around, not for load",
		stop: func(context.Context) error {
			close(quit)
			<-done
			return nil
		},
	}, nil
}
