package allinone_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/devstack"
)

// clientAt is a client whose connections come from the address.
func clientAt(address string) *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}}
}

// post sends JSON to the gateway's path below /api/v1/auth and returns the status and the cookies of the answer.
func post(
	ctx context.Context, c *http.Client, path string, body map[string]string, cookies ...*http.Cookie,
) (int, []*http.Cookie, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, running.BaseURL+"/api/v1/auth/"+path,
		bytes.NewReader(raw))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	for _, c := range cookies {
		req.AddCookie(c)
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, nil, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Cookies(), errors.Join(err, res.Body.Close())
}

// flood sends junk logins and junk refreshes from each address until ctx ends, and counts the answers by their status.
type flood struct {
	answers [600]atomic.Int64
	all     sync.WaitGroup
}

func (f *flood) start(ctx context.Context, address string, connections int) {
	for range connections {
		f.all.Go(func() {
			c := clientAt(address)
			defer c.CloseIdleConnections()
			for n := 0; ctx.Err() == nil; n++ {
				path, body := "login", map[string]string{
					"userId": "x" + strings.ToLower(rand.Text()[:12]), "password": "wrong-secret-horse",
				}
				if n%2 == 1 {
					path, body = "refresh", map[string]string{"refreshToken": "r1." + strings.Repeat("A", 70)}
				}
				if status, _, err := post(ctx, c, path, body); err == nil {
					f.answers[status].Add(1)
				}
			}
		})
	}
}

// TestAFloodOfJunkDoesNotKeepKnownDevicesOut: 100 connections of the customers' own address and of ten others send
// junk; 60 correct logins with known devices are all served. It runs alone, since the flood takes the processors, and
// from addresses that no other test uses, whose buckets it empties.
func TestAFloodOfJunkDoesNotKeepKnownDevicesOut(t *testing.T) { //nolint:paralleltest // see above
	needSystem(t)
	const address, accounts, each = "127.0.0.2", 6, 10
	customers := clientAt(address)
	defer customers.CloseIdleConnections()
	logins := make([]devstack.Login, accounts)
	devices := make([][]*http.Cookie, accounts)
	for i := range logins {
		logins[i] = newcomer(t)
		status, cookies, err := post(t.Context(), customers, "login", loginBody(logins[i]))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		devices[i] = cookies
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var junk flood
	junk.start(ctx, address, 50)
	for n := range 10 {
		junk.start(ctx, "127.0.0."+strconv.Itoa(3+n), 5)
	}
	require.Eventually(t, func() bool {
		return junk.answers[http.StatusTooManyRequests].Load()+junk.answers[http.StatusServiceUnavailable].Load() > 0
	}, time.Minute, 10*time.Millisecond, "the flood is more than can be hashed")
	var took []time.Duration
	for n := range accounts * each {
		began := time.Now()
		status, _, err := post(t.Context(), customers, "login", loginBody(logins[n%accounts]), devices[n%accounts]...)
		took = append(took, time.Since(began))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status, "login %d", n)
	}
	stop()
	junk.all.Wait()
	slices.Sort(took)
	t.Logf("%d logins: p50 %s, p99 %s", len(took), took[len(took)/2], took[(len(took)*99+99)/100-1])
	for status := range junk.answers {
		if n := junk.answers[status].Load(); n > 0 {
			t.Logf("junk answered %d: %d", status, n)
		}
	}
	require.Zero(t, junk.answers[http.StatusOK].Load())
}

func loginBody(l devstack.Login) map[string]string {
	return map[string]string{"userId": l.UserID, "password": l.Password}
}

// TestInvalidRefreshTokensSpendNoAllowance: more of them than the address may make calls in a minute, and its customers
// refresh all the same. Neither do refreshes use up what log-ins have.
func TestInvalidRefreshTokensSpendNoAllowance(t *testing.T) {
	t.Parallel()
	needSystem(t)
	c := clientAt("127.0.0.20")
	defer c.CloseIdleConnections()
	for n := range 650 {
		junk := []string{"x", "r1." + strings.Repeat("A", 70), "r1." + strings.Repeat("!", 70)}[n%3]
		status, _, err := post(t.Context(), c, "refresh", map[string]string{"refreshToken": junk})
		require.NoError(t, err)
		require.Equal(t, http.StatusUnauthorized, status, n)
	}
	who := newcomer(t)
	_, refresh, _ := enter(t, who)
	status, _, err := post(t.Context(), c, "refresh", map[string]string{"refreshToken": refresh})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	status, _, err = post(t.Context(), c, "login", loginBody(who))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
}
