package lifecycle_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/id"
	"phonebill/core/request/lifecycle"

	"phonebill/ports"
)

var someRequest = id.ID{7}

// looker sees the request end after a while.
type looker struct {
	endsAt time.Time
	looks  int
	err    error
}

func (l *looker) look(context.Context) (string, bool, error) {
	l.looks++
	if time.Now().Before(l.endsAt) {
		return "open", false, l.err
	}
	return "over", true, l.err
}

func TestAPublishEndsTheWaitAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var board lifecycle.Board
		l, start := &looker{endsAt: time.Now().Add(300 * time.Millisecond)}, time.Now()
		time.AfterFunc(100*time.Millisecond, func() { board.Publish(someRequest) }) // something happened, but not the end
		time.AfterFunc(300*time.Millisecond, func() { board.Publish(someRequest) })
		seen, err := lifecycle.PollUntil(t.Context(), &board, someRequest, 25*time.Second, l.look)
		require.NoError(t, err)
		require.Equal(t, "over", seen)
		require.Equal(t, 300*time.Millisecond, time.Since(start))
		require.Equal(t, 3, l.looks)
	})
}

func TestWhatOthersStoreIsSeenWithinASweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, start := &looker{endsAt: time.Now().Add(2500 * time.Millisecond)}, time.Now()
		seen, err := lifecycle.PollUntil(t.Context(), &lifecycle.Board{}, someRequest, 25*time.Second, l.look)
		require.NoError(t, err)
		require.Equal(t, "over", seen)
		require.Equal(t, 3*time.Second, time.Since(start))
		require.Equal(t, 4, l.looks)
	})
}

func TestTheWaitEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wait time.Duration
		ctx  func(context.Context) context.Context
		err  error
		took time.Duration
	}{
		"at once": {wait: 0},
		"in time": {wait: 1500 * time.Millisecond, took: 1500 * time.Millisecond},
		"when the process leaves": {wait: time.Minute, took: 200 * time.Millisecond,
			ctx: func(ctx context.Context) context.Context {
				leaving := make(chan struct{})
				time.AfterFunc(200*time.Millisecond, func() { close(leaving) })
				return ports.WithShutdown(ctx, leaving)
			}},
		"when the client leaves": {wait: time.Minute, took: 200 * time.Millisecond, err: context.DeadlineExceeded,
			ctx: func(ctx context.Context) context.Context {
				ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
				context.AfterFunc(ctx, cancel)
				return ctx
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, start := t.Context(), time.Now()
				if c.ctx != nil {
					ctx = c.ctx(ctx)
				}
				seen, err := lifecycle.PollUntil(ctx, &lifecycle.Board{}, someRequest, c.wait,
					(&looker{endsAt: start.Add(time.Hour)}).look)
				require.ErrorIs(t, err, c.err)
				if c.err == nil {
					require.Equal(t, "open", seen)
				}
				require.Equal(t, c.took, time.Since(start))
			})
		})
	}
	errLook := errors.New("cannot look")
	_, err := lifecycle.PollUntil(t.Context(), &lifecycle.Board{}, someRequest, time.Minute, (&looker{err: errLook}).look)
	require.ErrorIs(t, err, errLook)
}
