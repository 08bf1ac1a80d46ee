// Package e2e holds drills on real processes, from outside: start, load, kill, start again.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/devservers"
)

// demoFile is what a drill needs of .data/demo.json.
type demoFile struct {
	BaseURL   string            `json:"baseUrl"`
	Databases map[string]string `json:"databases"`
	Cache     struct{ Address, Password string }
	KOS       struct{ URL, Control string }
	MVNOAP    struct{ URL, Control string }
	Services  map[string]string
	Metrics   map[string]string
	Customers []struct{ UserID, Password, LineNumber, Scenario string }
	Operator  struct{ UserID, Password, TOTPSecret string }
}

// system is the all-in-one as a process.
type system struct {
	demoFile
	cmd  *exec.Cmd
	logs *bytes.Buffer
}

// eventTimeout is how long a drill waits for an event that has no promised time; a busy machine needs more than a quiet
// one.
const eventTimeout = time.Minute

// parallelDrills is how many drills run at once: most of them wait for timers, not for a processor.
const parallelDrills = 3

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue { // unless the caller has chosen
		if err := f.Value.Set(strconv.Itoa(parallelDrills)); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	_ = os.RemoveAll(binDir)
	os.Exit(code)
}

// binDir is where build puts the commands.
var binDir = filepath.Join(os.TempDir(), "phonebill-bin-"+strconv.Itoa(os.Getpid()))

// build compiles the commands once.
var build = sync.OnceValue(func() error {
	out, err := exec.Command("go", "build", "-o", binDir+"/", "../cmd/...").CombinedOutput()
	if err != nil {
		return errors.New(string(out))
	}
	return nil
})

func binaries(t *testing.T) string {
	t.Helper()
	if os.Getenv("PHONEBILL_TEST_REQUIRED") == "" {
		t.Skip("needs PostgreSQL and a cache: run `make test`")
	}
	require.NoError(t, build())
	return binDir
}

func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := devservers.TempDir("phonebill-drill-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// listeners are the addresses of the twelve listeners, any free port each.
func listeners(t *testing.T) []string {
	t.Helper()
	// Password hashes are cheap: what they cost is tested in adapters/credentials and measured by the bench (S6).
	// Drills drive few users hard.
	env := []string{"KOS_QUOTA_PER_MINUTE=0", "ARGON2_MEMORY_KIB=8", "ARGON2_PASSES=1", "RATE_LIMITS=DEFAULT=1000000"}
	for _, key := range []string{
		"GATEWAY_ADDR", "GATEWAY_INTERNAL_ADDR", "AUTH_ADDR", "AUTH_INTERNAL_ADDR", "BILL_ADDR", "BILL_INTERNAL_ADDR",
		"PRODUCT_ADDR",
		"PRODUCT_INTERNAL_ADDR", "KOS_ADDR", "KOS_CONTROL_ADDR", "MVNOAP_ADDR", "MVNOAP_CONTROL_ADDR",
	} {
		env = append(env, key+"="+free(t))
	}
	return env
}

// nextPort is below what systems give to outgoing connections (32768 and up), so that no drill's client takes what
// another's server is about to listen on. Each is given once.
var nextPort atomic.Int32

func free(t *testing.T) string {
	t.Helper()
	nextPort.CompareAndSwap(0, 20_000+int32(os.Getpid()%10_000))
	for nextPort.Load() < 32_000 {
		addr := "127.0.0.1:" + strconv.Itoa(int(nextPort.Add(1)))
		if ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr); err == nil {
			require.NoError(t, ln.Close())
			return addr
		}
	}
	require.FailNow(t, "no free port")
	return ""
}

// start runs the all-in-one and waits until it says that it is ready.
func start(t *testing.T, dir string, env []string, args ...string) *system {
	t.Helper()
	return startRelease(t, binaries(t), dir, env, args...)
}

// startRelease is start for the all-in-one of another release, whose binaries are in a folder.
func startRelease(t *testing.T, bin, dir string, env []string, args ...string) *system {
	t.Helper()
	s := &system{logs: &bytes.Buffer{}}
	s.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(bin, "phonebill"), args...)
	s.cmd.Env = append(os.Environ(), append(env, "PHONEBILL_DATA="+dir)...)
	s.cmd.Stderr = s.logs
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() { s.kill() })
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "phonebill is ready") {
				ready <- true
			}
		}
		ready <- false
	}()
	select {
	case ok := <-ready:
		if !ok {
			_ = s.cmd.Wait()
			require.FailNow(t, "the system ended before it was ready", s.logs.String())
		}
	case <-time.After(2 * eventTimeout):
		require.FailNow(t, "the system does not get ready")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "demo.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &s.demoFile))
	return s
}

func (s *system) kill() {
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	_ = s.cmd.Wait()
}

// interrupt is Ctrl-C; it returns the exit code.
func (s *system) interrupt(t *testing.T) int {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(os.Interrupt))
	_ = s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode()
}

func (s *system) call(ctx context.Context, method, path, token string, body any) (status int, data map[string]any,
	err error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.BaseURL+"/api/v1"+path, bytes.NewReader(raw))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil, err
	}
	var envelope struct{ Data map[string]any }
	err = json.Unmarshal(answer, &envelope)
	return res.StatusCode, envelope.Data, err
}

// login logs the nth normal customer in.
func (s *system) login(t *testing.T, nth int) (token, line string) {
	t.Helper()
	for _, c := range s.Customers {
		if c.Scenario != "normal" {
			continue
		}
		if nth == 0 {
			// On a busy machine the queue for hashing may be full: the customer is asked to come again.
			require.Eventually(t, func() bool {
				status, data, err := s.call(t.Context(), http.MethodPost, "/auth/login", "",
					map[string]string{"userId": c.UserID, "password": c.Password})
				require.NoError(t, err)
				if status == http.StatusServiceUnavailable {
					return false
				}
				require.Equal(t, http.StatusOK, status)
				token, _ = data["accessToken"].(string)
				return true
			}, eventTimeout, time.Second)
			return token, c.LineNumber
		}
		nth--
	}
	require.FailNow(t, "no such customer")
	return "", ""
}

// gone waits until no process listens at an address any more.
func gone(t *testing.T, addr string) {
	t.Helper()
	require.Eventually(t, func() bool {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, eventTimeout, 50*time.Millisecond, "a process still listens at %s", addr)
}

// TestKilledUnderLoad is the drill of the walking skeleton: SIGKILL under load, three times; no process is left behind,
// every acknowledged inquiry has its history row, every order becomes final and KOS applied it once.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	binaries(t)
	dir, env := dataDir(t), listeners(t)
	acknowledged := map[string]bool{}
	for range 3 {
		s := start(t, dir, env)
		token, line := s.login(t, 0)
		var mu sync.Mutex
		var load sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		for range 4 {
			load.Go(func() {
				for ctx.Err() == nil {
					status, data, err := s.call(ctx, http.MethodPost, "/bills/inquiry", token, map[string]string{"lineNumber": line})
					if id, ok := data["requestId"].(string); err == nil && ok && (status == 200 || status == 202) {
						mu.Lock()
						acknowledged[id] = true
						mu.Unlock()
					}
				}
			})
		}
		require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(acknowledged) > 50 }, eventTimeout,
			20*time.Millisecond)
		s.kill()
		stop()
		load.Wait()
		database, err := url.Parse(s.Databases["bill"])
		require.NoError(t, err)
		gone(t, database.Host)
		gone(t, s.Cache.Address)
	}

	s := start(t, dir, env)
	token, _ := s.login(t, 0)
	found := 0
	for page := 1; ; page++ {
		status, data, err := s.call(t.Context(), http.MethodGet, "/bills/history?size=100&page="+strconv.Itoa(page), token,
			nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		items, _ := data["items"].([]any)
		for _, item := range items {
			row, _ := item.(map[string]any)
			if id, _ := row["requestId"].(string); acknowledged[id] {
				found++
			}
		}
		if len(items) < 100 || page == 100 {
			break
		}
	}
	if len(acknowledged) < 10_000 { // the list ends at 10,000 rows
		require.Equal(t, len(acknowledged), found, "acknowledged inquiries without a history row")
	}
	require.Zero(t, s.interrupt(t), "Ctrl-C is a clean end")
	require.NoFileExists(t, filepath.Join(dir, "demo.json"))
}

// TestChangeCutOffByAKill kills the process while KOS is carrying a change out: after the next start the order becomes
// COMPLETED and KOS has it once.
func TestChangeCutOffByAKill(t *testing.T) {
	t.Parallel()
	binaries(t)
	dir, env := dataDir(t), listeners(t)
	s := start(t, dir, env)
	token, line := s.login(t, 1)
	wish := map[string]string{"lineNumber": line, "currentProductCode": "LTE-PREMIUM-001",
		"targetProductCode": "5G-PREMIUM-001"}
	cut := make(chan struct{})
	go func() {
		_, _, _ = s.call(context.WithoutCancel(t.Context()), http.MethodPost, "/products/change", token, wish)
		close(cut)
	}()
	require.Eventually(t, func() bool { return len(s.ledger(t)) == 1 }, eventTimeout, 20*time.Millisecond,
		"KOS never got the change")
	s.kill()
	<-cut

	s = start(t, dir, env)
	token, _ = s.login(t, 1)
	require.Eventually(t, func() bool {
		_, data, err := s.call(t.Context(), http.MethodGet, "/products/history", token, nil)
		items, _ := data["items"].([]any)
		if err != nil || len(items) != 1 {
			return false
		}
		row, _ := items[0].(map[string]any)
		return row["processStatus"] == "COMPLETED"
	}, 60*time.Second, 250*time.Millisecond, "S-RECOVERY: an order cut off by a crash is final within 60 s")
	require.Len(t, s.ledger(t), 1, "applied once")
	require.Zero(t, s.interrupt(t))
}

func (s *system) ledger(t *testing.T) (rows []map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.KOS.Control+"/control/ledger", http.NoBody)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, json.NewDecoder(res.Body).Decode(&rows))
	require.NoError(t, res.Body.Close())
	return rows
}

// TestSplitRunsTheJourney starts each service as its own process and drives the journey with the operator's tool.
func TestSplitRunsTheJourney(t *testing.T) {
	t.Parallel()
	bin := binaries(t)
	dir, env := dataDir(t), listeners(t)
	s := start(t, dir, append(env, "LOG_LEVEL=warn"), "-split")
	demo := exec.CommandContext(t.Context(), filepath.Join(bin, "phonebillctl"), "demo", "--file",
		filepath.Join(dir, "demo.json"))
	out, err := demo.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "all as they should be")
	again := exec.CommandContext(t.Context(), filepath.Join(bin, "phonebillctl"), "demo", "--file",
		filepath.Join(dir, "demo.json"))
	out, err = again.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "all as they should be")
	require.Contains(t, string(out), "left out: a copy of it is here since the last demo")
	for program, foreign := range map[string][]string{
		"kos-simulator":    {"DATABASE_URL", "INTERNAL_TOKEN", "KEYRING_FILE", "VALKEY_PASSWORD", "MVNOAP_SECRET"},
		"mvnoap-simulator": {"DATABASE_URL", "INTERNAL_TOKEN", "KEYRING_FILE", "VALKEY_PASSWORD", "KOS_TOKEN"},
		"gateway":          {"DATABASE_URL", "KEYRING_FILE", "MVNOAP_SECRET", "KOS_TOKEN"},
		"auth":             {"BILL_DATABASE_URL", "PRODUCT_DATABASE_URL", "KOS_DATABASE_URL", "MVNOAP_SECRET", "KOS_TOKEN"},
		"bill-inquiry":     {"AUTH_DATABASE_URL", "PRODUCT_DATABASE_URL"},
		"product-change":   {"AUTH_DATABASE_URL", "BILL_DATABASE_URL"},
	} {
		env, err := os.ReadFile("/proc/" + strconv.Itoa(childOf(t, s.cmd.Process.Pid,
			filepath.Join(bin, program))) + "/environ")
		require.NoError(t, err)
		require.Contains(t, string(env), "LOG_LEVEL=warn", "a harmless variable reaches %s", program)
		for _, secret := range foreign {
			require.NotContains(t, string(env), secret+"=", program)
		}
	}
	require.Zero(t, s.interrupt(t))
}

// TestAServiceThatDiesIsStartedAgain kills one service of the split system: the others go on, and it comes back by
// itself.
func TestAServiceThatDiesIsStartedAgain(t *testing.T) {
	t.Parallel()
	bin := binaries(t)
	s := start(t, dataDir(t), listeners(t), "-split")
	token, line := s.login(t, 0)
	require.NoError(t, syscall.Kill(childOf(t, s.cmd.Process.Pid, filepath.Join(bin, "bill-inquiry")), syscall.SIGKILL))
	status, _, err := s.call(t.Context(), http.MethodGet, "/auth/permissions", token, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, "the others go on")
	require.Eventually(t, func() bool {
		status, _, err := s.call(t.Context(), http.MethodPost, "/bills/inquiry", token, map[string]string{"lineNumber": line})
		return err == nil && status == http.StatusOK
	}, eventTimeout, 100*time.Millisecond, "the bill service does not come back")
	require.Zero(t, s.interrupt(t))
}

// childOf finds the child process that runs a program (Linux); one that is being started again is waited for.
func childOf(t *testing.T, parent int, program string) int {
	t.Helper()
	var found int
	require.Eventually(t, func() bool {
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return false
		}
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil {
				continue
			}
			exe, err := os.Readlink("/proc/" + e.Name() + "/exe") // none of a zombie
			if err != nil || exe != program {
				continue
			}
			stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
			_, after, _ := strings.Cut(string(stat), ") ")
			if fields := strings.Fields(after); err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
				found = pid
				return true
			}
		}
		return false
	}, eventTimeout, 20*time.Millisecond, "no such child: %s", program)
	return found
}

// TestWithoutTheCacheEverythingGoesOn kills the cache under the running system.
func TestWithoutTheCacheEverythingGoesOn(t *testing.T) {
	t.Parallel()
	binaries(t)
	s := start(t, dataDir(t), listeners(t))
	token, line := s.login(t, 0)
	ask := func() (int, any) {
		status, data, err := s.call(t.Context(), http.MethodPost, "/bills/inquiry", token,
			map[string]string{"lineNumber": line})
		require.NoError(t, err)
		return status, data["source"]
	}
	status, source := ask()
	require.Equal(t, []any{200, "KOS"}, []any{status, source})
	cache, err := net.ResolveTCPAddr("tcp", s.Cache.Address)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(listenerOf(t, cache.Port), syscall.SIGKILL))
	gone(t, s.Cache.Address)
	status, source = ask()
	require.Equal(t, []any{200, "CACHE"}, []any{status, source}, "the copy in PostgreSQL answers")
	_, _ = s.login(t, 0)
	require.Zero(t, s.interrupt(t))
}

// listenerOf finds the cache server by the port in its title (Linux): redis-server 127.0.0.1:PORT.
func listenerOf(t *testing.T, port int) int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, e := range entries {
		title, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if pid, err2 := strconv.Atoi(e.Name()); err == nil && err2 == nil &&
			strings.Contains(string(title), "-server") && strings.Contains(string(title), ":"+strconv.Itoa(port)) {
			return pid
		}
	}
	require.FailNow(t, "the cache server is not found")
	return 0
}

// TestATakenPortIsAClearMessage starts with a port that is in use.
func TestATakenPortIsAClearMessage(t *testing.T) {
	t.Parallel()
	bin := binaries(t)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = ln.Close() }()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "phonebill"))
	cmd.Env = append(os.Environ(), append(listeners(t), "PHONEBILL_DATA="+dataDir(t),
		"GATEWAY_ADDR="+ln.Addr().String())...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.Error(t, cmd.Run())
	require.Contains(t, stderr.String(), "gateway: port "+ln.Addr().String()+" is taken by another program")
}
