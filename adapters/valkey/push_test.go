package valkey_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/valkey"
	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/personal"
)

// listener is an instance that listens.
type listener struct {
	*valkey.Push
	received memory.RevocationPush
	pulls    atomic.Int64
}

func listen(t *testing.T, c *valkey.Client, log *cache, token string) *listener {
	t.Helper()
	push, err := valkey.NewPush(c, personal.NewSecret(token), log.log)
	require.NoError(t, err)
	e := &listener{Push: push}
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		e.Listen(ctx, &e.received, func(context.Context) error { e.pulls.Add(1); return nil })
	})
	t.Cleanup(func() { stop(); done.Wait() })
	return e
}

// client connects without metrics, so that many may be in one test.
func (c *cache) client(t *testing.T) *valkey.Client {
	t.Helper()
	return c.connect(t, func(*valkey.Config) {})
}

func (e *listener) awaitPulls(t *testing.T, n int64) {
	t.Helper()
	require.Eventually(t, func() bool { return e.pulls.Load() >= n }, 20*time.Second, 5*time.Millisecond)
}

var endedSessions = []auth.Revocation{{SessionID: id.ID{15: 1}, Why: auth.EndedByNewerDevice},
	{UserID: "hong1234", Epoch: 3}}

func TestEverySubscriberReceivesAPush(t *testing.T) {
	t.Parallel()
	c := open(t)
	one, two := listen(t, c.client(t), c, "s3cret"), listen(t, c.client(t), c, "s3cret")
	one.awaitPulls(t, 1)
	two.awaitPulls(t, 1)
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	one.Push.Push(gone, endedSessions...)
	one.Push.Push(t.Context())
	for _, e := range []*listener{one, two} {
		require.Eventually(t, func() bool { return len(e.received.Pushed()) == 2 }, 20*time.Second, 5*time.Millisecond)
		require.ElementsMatch(t, endedSessions, e.received.Pushed())
	}
	many := make([]auth.Revocation, 1234)
	for n := range many {
		many[n].SessionID = id.ID{13: 1, 14: byte(n >> 8), 15: byte(n)}
	}
	require.Eventually(t, func() bool { // a busy machine may lose some: at most once
		one.Push.Push(t.Context(), many...)
		received := map[auth.Revocation]bool{}
		for _, r := range two.received.Pushed() {
			received[r] = true
		}
		return len(received) == len(endedSessions)+len(many)
	}, 20*time.Second, 100*time.Millisecond)
}

func TestListenReconnectsAndCatchesUp(t *testing.T) {
	t.Parallel()
	c := open(t)
	metrics := prometheus.NewRegistry()
	client := c.connect(t, func(cfg *valkey.Config) { cfg.Metrics = metrics })
	e := listen(t, client, c, "s3cret")
	e.awaitPulls(t, 1)
	require.InDelta(t, 1, gauge(t, metrics, "revocation_push_listening"), 0)
	speaker, err := valkey.NewPush(c.connect(t, direct), personal.NewSecret("s3cret"), c.log)
	require.NoError(t, err)
	for n := range int64(2) {
		c.wire.cut()
		require.Eventually(t, func() bool { return gauge(t, metrics, "revocation_push_listening") == 0 }, 20*time.Second,
			5*time.Millisecond)
		speaker.Push(t.Context(), endedSessions...) // no instance is subscribed
		e.Push.Push(t.Context(), endedSessions...)  // not connected
		c.wire.flow()
		e.awaitPulls(t, n+2)
		require.Empty(t, e.received.Pushed())
	}
	speaker.Push(t.Context(), endedSessions...)
	require.Eventually(t, func() bool { return len(e.received.Pushed()) == 2 }, 20*time.Second, 5*time.Millisecond)
	require.Equal(t, 1, strings.Count(c.logged.String(), "could not be pushed"), "once in a while")
	_, err = valkey.NewPush(client, personal.Secret{}, c.log)
	require.Error(t, err, "one per registry")
}

func gauge(t *testing.T, metrics *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := metrics.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}

func TestAJammedCacheDelaysALogoutLittle(t *testing.T) {
	t.Parallel()
	c := open(t)
	push, err := valkey.NewPush(c.client(t), personal.Secret{}, c.log)
	require.NoError(t, err)
	c.wire.jam()
	done := make(chan struct{})
	go func() { push.Push(t.Context(), endedSessions...); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		require.FailNow(t, "it waits for a cache that does not answer")
	}
	offline, err := valkey.Open(t.Context(), valkey.Config{Addr: "127.0.0.1:1"})
	require.NoError(t, err)
	t.Cleanup(offline.Close)
	push, err = valkey.NewPush(offline, personal.Secret{}, c.log)
	require.NoError(t, err)
	push.Push(t.Context(), endedSessions...)
}

// sealed makes a message by hand.
func sealed(channel, key, body string) string {
	m := hmac.New(sha256.New, []byte(key))
	_, _ = m.Write([]byte(channel + "\n" + body))
	return "v1." + base64.RawURLEncoding.EncodeToString(m.Sum(nil)) + "." + body
}

func TestForgedAndGarbledMessagesAreRefused(t *testing.T) {
	t.Parallel()
	c := open(t)
	e := listen(t, c.client(t), c, "s3cret")
	e.awaitPulls(t, 1)
	channel := c.namespace + ":revocations:v1"
	good := `{"sessions":["00000000-0000-0000-0000-000000000001"]}`
	for _, message := range []string{
		"", "v1.", "v1..", "v2." + sealed(channel, "s3cret", good)[3:], sealed(channel, "", good),
		sealed("other:revocations:v1", "s3cret", good), sealed(channel, "s3cret", good) + " ", sealed(channel, "s3cret", "{"),
		sealed(channel, "s3cret", `{"sessions":["1"]}`),
		sealed(channel, "s3cret",
			`{"sessions":["00000000-0000-0000-0000-000000000002"],"users":[{"userId":"a b","epoch":1}]}`),
		sealed(channel, "s3cret", `{"users":[{"userId":"hong1234","epoch":"x"}]}`), strings.Repeat("x", 300<<10), "\x00\xff",
		sealed(channel, "s3cret",
			`{"sessions":[`+strings.TrimSuffix(strings.Repeat(fmt.Sprintf("%q,", id.ID{1}), 8000), ",")+`]}`),
	} {
		require.NoError(t, c.raw.Do(t.Context(), c.raw.B().Publish().Channel(channel).Message(message).Build()).Error())
	}
	require.NoError(t,
		c.raw.Do(t.Context(), c.raw.B().Publish().Channel(channel).Message(sealed(channel, "s3cret", good)).Build()).Error())
	require.Eventually(t, func() bool { return len(e.received.Pushed()) > 0 }, 20*time.Second, 5*time.Millisecond)
	require.Equal(t, []auth.Revocation{{SessionID: id.ID{15: 1}}}, e.received.Pushed(), "the good one alone")
}

func TestPushThroughMiniredis(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	c := &cache{logged: &logged{}}
	client := func() *valkey.Client {
		client, err := valkey.Open(t.Context(), valkey.Config{Addr: server.Addr(), Mini: true})
		require.NoError(t, err)
		t.Cleanup(client.Close)
		return client
	}
	c.log = c.logged.logger()
	one, two := listen(t, client(), c, ""), listen(t, client(), c, "")
	one.awaitPulls(t, 1)
	two.awaitPulls(t, 1)
	one.Push.Push(t.Context(), endedSessions...)
	require.Eventually(t, func() bool { return len(two.received.Pushed()) == 2 }, 20*time.Second, 5*time.Millisecond)
}

// FuzzMessage signs anything as one of ours would: it is read whole or refused, and never a panic.
func FuzzMessage(f *testing.F) {
	for _, body := range []string{
		`{}`, `{"sessions":["00000000-0000-0000-0000-000000000001"]}`, `{"users":[{"userId":"hong1234","epoch":3}]}`, `[`, ``,
	} {
		f.Add(body)
	}
	client, err := valkey.Open(f.Context(), valkey.Config{Addr: "127.0.0.1:1"})
	require.NoError(f, err)
	f.Cleanup(client.Close)
	push, err := valkey.NewPush(client, personal.NewSecret("s3cret"), nil)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body string) {
		_, err := valkey.Decode(push, body)
		require.Error(t, err, "unsigned")
		ended, err := valkey.Decode(push, sealed("phonebill:revocations:v1", "s3cret", body))
		for _, r := range ended {
			require.NoError(t, err)
			require.NotEqual(t, r.SessionID.IsZero(), r.UserID == "", "one or the other")
		}
	})
}
