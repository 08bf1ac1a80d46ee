package auth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/credentials"
	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/adapters/valkey/valkeytest"
	"phonebill/adapters/vault"
	compose "phonebill/cmd/internal/compose/auth"
	"phonebill/cmd/internal/compose/service"
	"phonebill/core/auth"
	"phonebill/core/auth/keys"
	"phonebill/core/personal"
	"phonebill/migrations"
	"phonebill/ports"
)

// quick makes a hash cheap: what is tested here is everything around it.
var quick = credentials.HashParams{MemoryKiB: 8, Passes: 1, Lanes: 1}

const password = "right-horse-1"

// site is several instances of the auth service on one database and one cache.
type site struct {
	instances []http.Handler
	db        *pgtest.DB
	keys      ports.Vault
	hash      personal.Secret
}

func open(t *testing.T, instances int, settings map[string]string) *site {
	t.Helper()
	addr, cachePassword, _ := valkeytest.New(t)
	s := &site{db: pgtest.New(t, migrations.Auth)}
	raw, err := vault.New()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "keyring.json")
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	s.keys, err = vault.Parse(raw)
	require.NoError(t, err)
	s.hash, err = credentials.NewHasher(quick).Hash(t.Context(), personal.NewSecret(password))
	require.NoError(t, err)
	env := map[string]string{
		"PHONEBILL_ENV": "development", "AUTH_DATABASE_URL": s.db.URL, "DATABASE_POOL_SIZE": "10",
		"INSTANCES": strconv.Itoa(instances), "KEYRING_FILE": path, "VALKEY_ADDR": addr, "VALKEY_PASSWORD": cachePassword,
		"ARGON2_MEMORY_KIB": strconv.Itoa(int(quick.MemoryKiB)), "ARGON2_PASSES": strconv.Itoa(int(quick.Passes)),
		"LOGIN_THROTTLE_PER_MINUTE": "0", "TRUSTED_PEERS": "192.0.2.1/32", // of httptest: the gateway
	}
	maps.Copy(env, settings)
	c, err := compose.Load(func(key string) string { return env[key] })
	require.NoError(t, err)
	for range instances {
		unit, err := compose.New(t.Context(), c, service.RealTools(slog.New(slog.DiscardHandler)))
		require.NoError(t, err)
		t.Cleanup(unit.Close)
		s.instances = append(s.instances, unit.Handler)
	}
	return s
}

func (s *site) account(t *testing.T, user string) {
	t.Helper()
	require.NoError(t, postgres.NewUsers(s.db.Pool, s.keys).Create(t.Context(), auth.User{
		UserID: auth.UserID(user), PasswordHash: s.hash, Status: auth.Active, Roles: []auth.Role{auth.Customer},
		CreatedAt: time.Now(),
	}))
}

// answer is what came of a login.
type answer struct {
	status     int
	code       string
	text       string
	retryAfter string
	cookie     string
}

// login asks one of the instances; headers are pairs.
func (s *site) login(t *testing.T, instance int, user, pass string, headers ...string) answer {
	t.Helper()
	body, err := json.Marshal(map[string]string{"userId": user, "password": pass})
	if err != nil {
		t.Error(err)
	}
	return s.post(t, instance, "/api/v1/auth/login", body, headers...)
}

func (s *site) post(t *testing.T, instance int, path string, body []byte, headers ...string) answer {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	s.instances[instance%len(s.instances)].ServeHTTP(rec, req)
	var envelope struct {
		Error struct{ Code, Message string }
	}
	raw, _ := io.ReadAll(rec.Body)
	if err := json.Unmarshal(raw, &envelope); err != nil {
		t.Errorf("no envelope: %s", raw)
	}
	cookie, _, _ := strings.Cut(rec.Header().Get("Set-Cookie"), ";")
	return answer{rec.Code, envelope.Error.Code, envelope.Error.Message, rec.Header().Get("Retry-After"), cookie}
}

// each runs do for 0..n-1 on some goroutines.
func each(goroutines, n int, do func(i int)) {
	var all sync.WaitGroup
	next := make(chan int)
	for range goroutines {
		all.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
}

// tally counts under a lock.
type tally struct {
	mu sync.Mutex
	m  map[string]int
}

func (c *tally) add(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[string]int{}
	}
	c.m[key]++
}

// fullSize reports whether these tests are to be as large as in `make drills`.
func fullSize() bool { return os.Getenv("DRILL_FULL") != "" }

// TestGuessersLockNoOwnerOut is R8: many guesses from 500 addresses on 100 accounts, over two instances, none of them
// throttled. No account has a sixth look, no owner is kept out of a known device, and unknown ids are answered alike.
func TestGuessersLockNoOwnerOut(t *testing.T) {
	t.Parallel()
	const accounts, addresses = 100, 500
	guesses := 2_000
	if fullSize() {
		guesses = 10_000
	}
	s := open(t, 2, map[string]string{"LOGIN_THROTTLE_PER_MINUTE": "600"})
	names, cookies := make([]string, accounts), make([]string, accounts)
	for i := range names {
		names[i] = fmt.Sprintf("owner-%03d", i)
		if i%10 == 9 { // nobody: no account, no owner
			continue
		}
		s.account(t, names[i])
		first := s.login(t, i, names[i], password, "X-Forwarded-For", "198.51.100.7")
		require.Equal(t, http.StatusOK, first.status)
		cookies[i] = first.cookie
	}
	var seen tally
	each(16, guesses, func(i int) {
		from := i % addresses
		got := s.login(t, i/7, names[i%accounts], "wrong-horse-1", "X-Forwarded-For",
			fmt.Sprintf("203.0.%d.%d", from/250, from%250+1))
		seen.add(names[i%accounts] + " " + got.code + " " + got.text)
		if i%97 == 0 && cookies[i%accounts] != "" { // an owner in the midst of it
			mine := s.login(t, i, names[i%accounts], password, "Cookie", cookies[i%accounts], "X-Forwarded-For", "198.51.100.8")
			if mine.status != http.StatusOK {
				t.Errorf("an owner is kept out: %+v", mine)
			}
		}
	})
	for i, name := range names {
		require.Equal(t, 4, seen.m[name+" AUTH_001 ID 또는 비밀번호를 확인해주세요"], name)
		require.Equal(t, 1, seen.m[name+" AUTH_002 5회 연속 실패하여 30분간 계정이 잠금되었습니다."], name)
		require.Equal(t, guesses/accounts-5, seen.m[name+" AUTH_003 계정이 잠금되었습니다. 30분 후 다시 시도해주세요."], name)
		require.Equal(t, "AUTH_003", s.login(t, i, name, password).code, "a new device waits")
		if cookies[i] != "" {
			require.Equal(t, http.StatusOK, s.login(t, i, name, password, "Cookie", cookies[i]).status, "the known one does not")
		}
	}
}

func TestParallelLoginsOverTwoInstances(t *testing.T) {
	t.Parallel()
	s := open(t, 2, nil)
	s.account(t, "hong-1")
	var wrong, right tally
	each(50, 50, func(i int) { right.add(fmt.Sprint(s.login(t, i, "hong-1", password).status)) })
	require.Equal(t, map[string]int{"200": 50}, right.m, "the right password never locks its owner out")
	each(100, 100, func(i int) { wrong.add(s.login(t, i, "hong-1", "wrong-horse-1").code) })
	require.Equal(t, map[string]int{"AUTH_001": 4, "AUTH_002": 1, "AUTH_003": 95}, wrong.m)
}

func TestUnlockExpiryAndSuccessEachReset(t *testing.T) {
	t.Parallel()
	s := open(t, 1, nil)
	s.account(t, "hong-1")
	fail := func(n int) (last answer) {
		for range n {
			last = s.login(t, 0, "hong-1", "wrong-horse-1")
		}
		return last
	}
	for range 2 {
		require.Equal(t, "AUTH_001", fail(4).code)
		require.Equal(t, http.StatusOK, s.login(t, 0, "hong-1", password).status, "success resets")
	}
	require.Equal(t, "AUTH_002", fail(5).code)
	_, err := s.db.Admin.Exec(t.Context(),
		`UPDATE login_attempts SET locked_until = now() - interval '1 s' WHERE locked_until IS NOT NULL`)
	require.NoError(t, err)
	require.Equal(t, "AUTH_001", fail(4).code, "expiry resets")
	require.Equal(t, "AUTH_002", fail(1).code)
	require.Equal(t, "AUTH_003", s.login(t, 0, "hong-1", password).code)
	require.NoError(t, postgres.NewGuesses(s.db.Pool, s.keys, auth.DefaultLockout()).Clear(t.Context(), "hong-1"))
	require.Equal(t, http.StatusOK, s.login(t, 0, "hong-1", password).status, "an unlock resets")
}

func TestTheThrottleIsPerAddressAndOverAllInstances(t *testing.T) {
	t.Parallel()
	s := open(t, 2, map[string]string{"LOGIN_THROTTLE_PER_MINUTE": "5"})
	s.account(t, "hong-1")
	key, err := keys.MintServiceKey(t.Context(), postgres.NewServiceKeys(s.db.Pool), "mvno-ap", time.Now())
	require.NoError(t, err)
	for i := range 5 {
		require.Equal(t, http.StatusOK, s.login(t, i, "hong-1", password, "X-Forwarded-For",
			fmt.Sprintf("2001:db8::%d", i)).status)
	}
	for i := range 10 {
		got := s.login(t, i, "hong-1", "wrong-horse-1", "X-Forwarded-For", "2001:db8::9")
		require.Equal(t, http.StatusTooManyRequests, got.status, "the /64 is one caller")
		require.Equal(t, "RATE_LIMIT_EXCEEDED", got.code)
		require.NotEmpty(t, got.retryAfter)
		got = s.post(t, i, "/api/v1/auth/refresh", []byte(`{"refreshToken":"x"}`), "X-Forwarded-For", "2001:db8::9")
		require.Equal(t, http.StatusUnauthorized, got.status,
			"a malformed token takes nothing, and refresh has a limit of its own")
	}
	require.Equal(t, http.StatusOK, s.login(t, 0, "hong-1", password, "X-Forwarded-For", "2001:db8:0:1::9").status)
	for i := range 10 {
		got := s.login(t, i, "hong-1", password, "X-Forwarded-For", "2001:db8::9", "X-Service-Credential", key.Reveal())
		require.Equal(t, http.StatusOK, got.status, "a service is exempt")
	}
}

func TestOnlyAServiceIsBelieved(t *testing.T) {
	t.Parallel()
	s := open(t, 2, nil)
	s.account(t, "hong-1")
	stored := postgres.NewServiceKeys(s.db.Pool)
	mint := func() string {
		key, err := keys.MintServiceKey(t.Context(), stored, "mvno-ap", time.Now())
		require.NoError(t, err)
		return key.Reveal()
	}
	forwarded := []string{"X-End-User-Address", "203.0.113.9", "X-End-User-Agent", "customer-phone",
		"X-Forwarded-For", "198.51.100.1"}
	last := func() (ip, agent, service string) {
		require.NoError(t, s.db.Admin.QueryRow(t.Context(),
			`SELECT ip, user_agent, service FROM login_history ORDER BY id DESC LIMIT 1`).
			Scan(&ip, &agent, &service))
		return ip, agent, service
	}
	require.Equal(t, http.StatusOK, s.login(t, 0, "hong-1", password, forwarded...).status)
	ip, agent, service := last()
	require.Equal(t, []string{"198.51.100.1", "", ""}, []string{ip, agent, service})
	require.Equal(t, "UNAUTHORIZED",
		s.login(t, 0, "hong-1", password, append(forwarded, "X-Service-Credential", "pbs1.guess")...).code)

	one := mint()
	for i := range s.instances { // the second one has not been asked yet
		require.Eventually(t, func() bool {
			return s.login(t, i, "hong-1", password, append(forwarded, "X-Service-Credential", one)...).status == http.StatusOK
		}, 10*time.Second, 100*time.Millisecond, "a new key needs no restart")
	}
	ip, agent, service = last()
	require.Equal(t, []string{"203.0.113.9", "customer-phone", "mvno-ap"}, []string{ip, agent, service})
	bad := s.login(t, 0, "hong-1", password, "X-Service-Credential", one, "X-End-User-Address", "somewhere")
	require.Equal(t, "VALIDATION_ERROR", bad.code)
}

// TestResponseTimesRevealNothing compares logins with an unknown id to those with a wrong password, everything but the
// hash being as deployed: a cheap hash shows a difference better. The figures are for docs/bench.md.
func TestResponseTimesRevealNothing(t *testing.T) {
	t.Parallel()
	tries := 200
	if fullSize() {
		tries = 2_000
	}
	s := open(t, 1, nil)
	const each4 = 4
	took := map[bool][]time.Duration{}
	for i := range tries / each4 {
		s.account(t, fmt.Sprintf("known-%04d", i))
	}
	order := rand.New(rand.NewPCG(1, 2))
	for i := range tries {
		for _, known := range [][]bool{{true, false}, {false, true}}[order.IntN(2)] {
			user := fmt.Sprintf("nobod-%04d", i/each4)
			if known {
				user = fmt.Sprintf("known-%04d", i/each4)
			}
			began := time.Now()
			got := s.login(t, 0, user, "wrong-horse-1")
			took[known] = append(took[known], time.Since(began))
			require.Equal(t, "AUTH_001", got.code)
		}
	}
	for _, known := range []bool{true, false} {
		slices.Sort(took[known])
	}
	at := func(known bool, share float64) time.Duration { return took[known][int(share*float64(tries-1))] }
	t.Logf(
		"%d tries each: median wrong password %v, unknown id %v; p90 %v, %v; a wrong password takes longer in %.4f of "+
			"all pairs (0.5: "+
			"no difference can be seen)", tries, at(true, .5), at(false, .5), at(true, .9), at(false, .9),
		longer(took[true], took[false]))
}

// longer is the Mann-Whitney statistic U / (n·m) of two sorted samples: how often one of a is greater than one of b.
func longer(a, b []time.Duration) float64 {
	var wins int
	for _, x := range a {
		below, _ := slices.BinarySearch(b, x)
		wins += below
	}
	return float64(wins) / float64(len(a)*len(b))
}
