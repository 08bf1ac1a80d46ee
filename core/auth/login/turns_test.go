package login_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/login"
	"phonebill/core/auth/verify"
	"phonebill/core/fault"
	"phonebill/core/personal"
)

// slowCredentials takes its time, as a hash does.
type slowCredentials struct{ memory.Credentials }

func (c slowCredentials) Check(ctx context.Context, account auth.User, password personal.Secret) (bool, error) {
	time.Sleep(time.Second)
	return c.Credentials.Check(ctx, account, password)
}

// TestFewLoginsWorkAtATime: the others wait their turn, and get a Retry-After before their time is over; that is
// no guess.
func TestFewLoginsWorkAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Turns, w.Credentials = verify.NewHashQueue(1), slowCredentials{memory.Credentials{Hasher: w.hasher}}
		outcomes := make(chan error, 6)
		for range cap(outcomes) {
			go func() { _, err := w.try(t, "hong", "right-password"); outcomes <- err }()
		}
		synctest.Wait()
		start := time.Now()
		served := 0
		for range cap(outcomes) {
			if err := <-outcomes; err != nil {
				require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
				require.Equal(t, 2*time.Second, fault.From(err).RetryAfter())
				continue
			}
			served++
		}
		require.GreaterOrEqual(t, served, 3)
		require.Less(t, served, 6)
		require.Less(t, time.Since(start), 5*time.Second)
		require.Len(t, w.history.Events(), served, "without a turn there is no guess")
		gone, cancel := context.WithCancel(t.Context())
		go func() { _, _ = w.try(t, "hong", "right-password") }()
		synctest.Wait()
		cancel()
		_, err := w.Login(gone, login.Request{UserID: "hong", Password: personal.NewSecret("right-password")})
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), "a client that hangs up while it waits gets none")
		synctest.Wait()
		time.Sleep(2 * time.Second)
	})
}
