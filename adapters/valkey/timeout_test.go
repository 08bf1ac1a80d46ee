package valkey_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/valkey"
	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/throttle"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// sick is a cache in memory with a fault, for tests under virtual time.
type sick struct {
	lost   bool                                 // connections hang
	refuse bool                                 // connections are refused
	answer func(command []string) (text string) // the response; "" = none, ever
	asked  atomic.Int64                         // commands after the handshake

	mu   sync.Mutex
	open []net.Conn
	over bool // the test has ended: a client that still reconnects is refused
}

func (s *sick) client(t *testing.T) *valkey.Client {
	t.Helper()
	client, err := valkey.Open(t.Context(), valkey.Config{Addr: "cache:6379", Mini: true}.Via(s.dial))
	require.NoError(t, err)
	t.Cleanup(func() {
		client.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.over = true
		for _, conn := range s.open {
			_ = conn.Close()
		}
	})
	return client
}

func (s *sick) dial(ctx context.Context, _ string, d *net.Dialer) (net.Conn, error) {
	switch {
	case s.refuse:
		return nil, errRefused
	case s.lost:
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(d.Timeout):
			return nil, errRefused
		}
	}
	here, there := net.Pipe()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, errRefused
	}
	s.open = append(s.open, there)
	go s.serve(there)
	return here, nil
}

func (s *sick) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	out := make(chan string, 1000)
	defer close(out)
	go func() {
		for text := range out {
			if text == hangUp {
				_ = conn.Close()
				continue
			}
			_, _ = io.WriteString(conn, text)
		}
	}()
	in := bufio.NewReader(conn)
	for {
		command, err := readCommand(in)
		if err != nil {
			return
		}
		if !handshake(command) {
			s.asked.Add(1)
		}
		out <- s.answer(command)
	}
}

const hangUp = "\x00hang up"

func handshake(command []string) bool { return command[0] == "CLIENT" || command[0] == "HELLO" }

func readCommand(in *bufio.Reader) ([]string, error) {
	size := func() (int, error) {
		text, err := in.ReadString('\n')
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(strings.TrimSpace(text[1:]))
	}
	n, err := size()
	words := make([]string, n)
	for i := range words {
		length, err := size()
		if err != nil {
			return nil, err
		}
		word := make([]byte, length+2)
		if _, err = io.ReadFull(in, word); err != nil {
			return nil, err
		}
		words[i] = string(word[:length])
	}
	return words, err
}

// healthyUntilAsked completes the handshake and replies to everything else with the text.
func healthyUntilAsked(text string) func([]string) string {
	return func(command []string) string {
		if handshake(command) {
			return "+OK\r\n"
		}
		return text
	}
}

var errRefused = errors.New("connection refused")

func sicknesses() map[string]*sick {
	silent := func([]string) string { return "" }
	return map[string]*sick{
		"refuses":                  {refuse: true},
		"no way to it":             {lost: true},
		"accepts, never answers":   {answer: silent},
		"lets in, never answers":   {answer: healthyUntilAsked("")},
		"hangs up":                 {answer: func([]string) string { return hangUp }},
		"lets in, hangs up":        {answer: healthyUntilAsked(hangUp)},
		"is a web server":          {answer: func([]string) string { return "HTTP/1.1 400 Bad Request\r\n\r\n" }},
		"lets in, answers garbage": {answer: healthyUntilAsked("\xff\xfe\x00garbage\r\n")},
		"half an answer":           {answer: healthyUntilAsked("*3\r\n$20\r\n0000")},
		"more announced":           {answer: healthyUntilAsked("*3\r\n$9999999\r\nabc")},
		"an error":                 {answer: healthyUntilAsked("-LOADING it is not ready yet\r\n")},
		"a number":                 {answer: healthyUntilAsked(":7\r\n")},
		"nothing":                  {answer: healthyUntilAsked("$-1\r\n")},
		"too few":                  {answer: healthyUntilAsked("*1\r\n$-1\r\n")},
		"other things":             {answer: healthyUntilAsked("*3\r\n$3\r\nabc\r\n:1\r\n$5\r\nabcde\r\n")},
		"foreign values": {
			answer: healthyUntilAsked("*3\r\n$1\r\ng\r\n$1\r\n0\r\n$30\r\n999999999999999999999999999999\r\n"),
		},
	}
}

const (
	maxCallTime = 50 * time.Millisecond // what a slow or dead cache may cost a call (S-CACHE-WAIT)
	maxRest     = 500 * time.Millisecond
)

// TestASickCacheCostsLittleAndIsNoError calls everything that uses the cache with every fault: the store's value is
// returned, in less than 50 ms per cache call.
func TestASickCacheCostsLittleAndIsNoError(t *testing.T) {
	t.Parallel()
	for name, s := range sicknesses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := s.client(t)
				for _, pause := range []time.Duration{0, 10 * time.Millisecond, maxRest + time.Millisecond, 3 * time.Second} {
					time.Sleep(pause)
					callEverything(t, client)
				}
			})
		})
	}
}

func callEverything(t *testing.T, client *valkey.Client) {
	t.Helper()
	log, v, ctx := slog.New(slog.DiscardHandler), memory.Vault{}, t.Context()
	epochs := &memory.Epochs{}
	bills := valkey.NewCachedBills(client, &memory.Bills{Epochs: epochs}, epochs, v, &memory.Sealer[bill.Copy]{}, log)
	customers := valkey.NewCachedCustomers(
		client, &memory.Customers{Epochs: epochs}, epochs, v, &memory.Sealer[product.CustomerCopy]{}, log)
	plans := valkey.NewCachedPlans(client, &memory.Plans{}, &memory.Sealer[product.PlansCopy]{}, log)
	sessions := valkey.NewCachedSessions(client, &memory.Sessions{}, v, log)
	limits := valkey.NewThrottle(client, v, log)
	sid := id.ID{15: 1}
	for _, c := range []struct {
		name      string
		call      func() error
		questions int // to the cache
	}{
		{"put bill", func() error { return bills.Put(ctx, copyAt(1)) }, 1},
		{"bill", func() error {
			got, err := bills.Latest(ctx, one(), portstest.Month())
			require.Equal(t, copyAt(1).Version, got.Version)
			return err
		}, 1},
		{"put customer", func() error {
			return customers.Put(ctx, product.CustomerCopy{Customer: portstest.Customer(one()), AsOf: start})
		}, 1},
		{"customer", func() error { _, err := customers.Latest(ctx, one()); return err }, 1},
		{"put plans", func() error { return plans.Put(ctx, portstest.PlansCopies()[0]) }, 1},
		{"plans", func() error { _, err := plans.Latest(ctx); return err }, 1},
		{"new session", func() error {
			_, err := sessions.Create(ctx, auth.Session{ID: sid}, auth.DefaultSessions())
			return err
		}, 1},
		{"session", func() error { _, err := sessions.Get(ctx, sid); return err }, 2},
		{"log out", func() error {
			_, err := sessions.Change(ctx, sid, func(s auth.Session) auth.Session { return s.Revoke(start) })
			return err
		}, 1},
		{"throttle", func() error { limits.Take(ctx, "192.0.2.1", throttle.Logins(600), start); return nil }, 1},
	} {
		began := time.Now()
		require.NoError(t, c.call(), c.name)
		require.Less(t, time.Since(began), time.Duration(c.questions)*maxCallTime, c.name)
	}
	began := time.Now()
	require.NoError(t, valkey.NewCachedEpochs(client, epochs, v, log).Raise(ctx, one(), start))
	require.LessOrEqual(t, time.Since(began), valkey.PulledWithin+maxCallTime)
}

func cachedPlans(c *valkey.Client) ports.Plans {
	return valkey.NewCachedPlans(c, &memory.Plans{}, &memory.Sealer[product.PlansCopy]{}, slog.New(slog.DiscardHandler))
}

// TestASlowCacheRests: of all callers one pays for it each half second.
func TestASlowCacheRests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sick{answer: healthyUntilAsked("")}
		client := s.client(t)
		plans := cachedPlans(client)
		begin := func() time.Duration {
			began := time.Now()
			_, err := plans.Latest(t.Context())
			require.Error(t, err)
			return time.Since(began)
		}
		require.Positive(t, begin(), "the first one pays")
		for range 3 {
			asked := s.asked.Load()
			for range 100 {
				require.Zero(t, begin())
			}
			require.Equal(t, asked, s.asked.Load())
			time.Sleep(maxRest)
			paid := make(chan time.Duration, 20)
			for range cap(paid) {
				go func() { paid <- begin() }()
			}
			var payers int
			for range cap(paid) {
				if <-paid > 0 {
					payers++
				}
			}
			require.Equal(t, 1, payers, "one tries for all")
		}
	})
}

// TestACancelledTryLeavesItToTheNextCaller: it says nothing about the cache.
func TestACancelledTryLeavesItToTheNextCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sick{answer: healthyUntilAsked("")}
		client := s.client(t)
		plans := cachedPlans(client)
		begin := func(timeout time.Duration) time.Duration {
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			began := time.Now()
			_, err := plans.Latest(ctx)
			require.Error(t, err)
			return time.Since(began)
		}
		begin(time.Minute)
		time.Sleep(maxRest)
		for range 3 {
			require.Equal(t, time.Millisecond, begin(time.Millisecond))
		}
		require.Greater(t, begin(time.Minute), time.Millisecond)
		require.Zero(t, begin(time.Minute))
	})
}

// TestASlowHandshakeEndsInTheBackground: connecting takes longer than any caller's timeout, so the client does it
// beside.
func TestASlowHandshakeEndsInTheBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var up, reached atomic.Bool
		s := &sick{answer: func(command []string) string {
			switch {
			case handshake(command):
				time.Sleep(60 * time.Millisecond)
				return "+OK\r\n"
			case up.Load():
				reached.Store(true)
				return "*3\r\n$-1\r\n$-1\r\n$-1\r\n"
			}
			return hangUp
		}}
		client := s.client(t)
		plans := cachedPlans(client)
		_, _ = plans.Latest(t.Context())
		up.Store(true)
		for tries := 0; !reached.Load() && tries < 10; tries++ {
			time.Sleep(maxRest + time.Millisecond)
			_, _ = plans.Latest(t.Context())
		}
		require.True(t, reached.Load())
		time.Sleep(time.Second) // the last handshakes end
	})
}

// TestACallDoesNotWaitForAnothersConnection: a listener is connecting, which may take a second.
func TestACallDoesNotWaitForAnothersConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		s := &sick{answer: func(command []string) string {
			if broken.Load() {
				return ""
			}
			return healthyUntilAsked(hangUp)(command)
		}}
		client := s.client(t)
		broken.Store(true)
		plans := cachedPlans(client)
		_, err := plans.Latest(t.Context()) // breaks the connection
		require.Error(t, err)
		time.Sleep(maxRest)
		pinged := make(chan error, 1)
		go func() { pinged <- client.Ping(context.Background()) }() //nolint:usetesting // without an end of its own
		synctest.Wait()
		began := time.Now()
		_, err = plans.Latest(t.Context())
		require.Error(t, err)
		require.Less(t, time.Since(began), maxCallTime)
		require.Error(t, <-pinged)
	})
}

// TestASlowCacheCostsItsTimeoutOnce: a miss makes three cache calls, and each takes nearly all of the timeout.
func TestASlowCacheCostsItsTimeoutOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sick{answer: func(command []string) string {
			if handshake(command) {
				return "+OK\r\n"
			}
			time.Sleep(35 * time.Millisecond)
			switch command[0] {
			case "HMGET":
				return "*3\r\n$-1\r\n$-1\r\n$-1\r\n"
			case "EVALSHA", "EVAL":
				return "$3\r\nabc\r\n"
			}
			return "+PONG\r\n"
		}}
		client := s.client(t)
		time.Sleep(time.Second)
		epochs, v := &memory.Epochs{}, memory.Vault{}
		bills := valkey.NewCachedBills(
			client, &memory.Bills{Epochs: epochs}, epochs, v, &memory.Sealer[bill.Copy]{}, slog.New(slog.DiscardHandler))
		for range 3 {
			began := time.Now()
			_, err := bills.Latest(t.Context(), one(), portstest.Month())
			require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
			require.Less(t, time.Since(began), maxCallTime)
		}
		time.Sleep(time.Second)
	})
}
