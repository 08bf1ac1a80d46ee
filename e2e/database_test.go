package e2e

import (
	"bufio"
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/devservers"
)

// ownDatabase starts a server that the drill may mistreat, and returns what the system needs to use it.
func ownDatabase(t *testing.T, dir string) (admin *pgx.Conn, env string) {
	t.Helper()
	server, err := devservers.StartPostgreSQL(t.Context(), devservers.PostgreSQLOptions{
		Dir: filepath.Join(dir, "server"), Durable: true,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.WithoutCancel(t.Context()))) })
	return connect(t, server.AdminURL()), "DATABASE_URL=" + server.AdminURL()
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	var db *pgx.Conn
	require.Eventually(t, func() bool {
		var err error
		db, err = pgx.Connect(t.Context(), url)
		return err == nil
	}, eventTimeout, 50*time.Millisecond, "no connection to the database")
	t.Cleanup(func() { _ = db.Close(context.WithoutCancel(t.Context())) })
	return db
}

func execute(t *testing.T, db *pgx.Conn, statement string) {
	t.Helper()
	_, err := db.Exec(t.Context(), statement)
	require.NoError(t, err)
}

func one[T any](t *testing.T, db *pgx.Conn, query string, args ...any) (v T) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), query, args...).Scan(&v))
	return v
}

// readers ask for their cached bills, over and over, and remember what they were answered.
type readers struct {
	mu           sync.Mutex
	acknowledged []string
	failed       []string
	stop         func()
}

// read lets n readers ask, each with a pause between two answers; the customers are shared.
func (s *system) read(t *testing.T, n int, pause time.Duration) *readers {
	t.Helper()
	tokens, lines := s.warm(t)
	ctx, cancel := context.WithCancel(t.Context())
	r := &readers{}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			for next := time.NewTicker(pause); ctx.Err() == nil; <-next.C {
				k := i % len(tokens)
				status, data, err := s.call(context.WithoutCancel(ctx), http.MethodPost, "/bills/inquiry", tokens[k],
					map[string]string{"lineNumber": lines[k]})
				r.note(status, data, err)
			}
		})
	}
	r.stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	t.Cleanup(r.stop)
	return r
}

// warm logs the normal customers in and asks for their bills once.
func (s *system) warm(t *testing.T) (tokens, lines []string) {
	t.Helper()
	for nth := range 2 {
		token, line := s.login(t, nth)
		status, _, err := s.call(t.Context(), http.MethodPost, "/bills/inquiry", token, map[string]string{"lineNumber": line})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		tokens, lines = append(tokens, token), append(lines, line)
	}
	return tokens, lines
}

// logsIn tells whether the first customer can.
func (s *system) logsIn(t *testing.T) bool {
	t.Helper()
	c := s.Customers[0]
	status, _, err := s.call(t.Context(), http.MethodPost, "/auth/login", "",
		map[string]string{"userId": c.UserID, "password": c.Password})
	return err == nil && status == http.StatusOK
}

func (r *readers) note(status int, data map[string]any, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	request, _ := data["requestId"].(string)
	switch {
	case err != nil:
		r.failed = append(r.failed, err.Error())
	case status != http.StatusOK:
		r.failed = append(r.failed, strconv.Itoa(status))
	}
	if status == http.StatusOK || status == http.StatusAccepted {
		r.acknowledged = append(r.acknowledged, request)
	}
}

func (r *readers) outcomes() (acknowledged, failed []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.acknowledged), slices.Clone(r.failed)
}

// metric reads one value of a unit's metrics.
func (s *system) metric(t *testing.T, unit, name string) float64 {
	t.Helper()
	for _, line := range s.exposed(t, unit) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(value, 64)
			require.NoError(t, err)
			return v
		}
	}
	require.FailNow(t, "no such metric", name)
	return 0
}

// exposed are the lines of a unit's metrics.
func (s *system) exposed(t *testing.T, unit string) (lines []string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Metrics[unit], http.NoBody)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	for scanner := bufio.NewScanner(res.Body); scanner.Scan(); {
		lines = append(lines, scanner.Text())
	}
	return lines
}

// sum adds all series of a metric whose labels hold the text.
func (s *system) sum(t *testing.T, unit, name, labels string) (sum int) {
	t.Helper()
	for _, line := range s.exposed(t, unit) {
		if strings.HasPrefix(line, name+"{") && strings.Contains(line, labels) {
			v, err := strconv.ParseFloat(line[strings.LastIndex(line, " ")+1:], 64)
			require.NoError(t, err)
			sum += int(v)
		}
	}
	return sum
}

// spooled is how many rows of history wait on disk, and folders of them that are not taken over yet.
func (s *system) spooled(t *testing.T) float64 {
	t.Helper()
	return s.metric(t, "bill", "phonebill_history_spool_rows") + s.metric(t, "bill",
		"phonebill_history_spool_left_folders")
}

// areRecorded demands that each was recorded, once, and delivered in the end.
func areRecorded(t *testing.T, db *pgx.Conn, acknowledged []string) {
	t.Helper()
	rows := one[int](t, db, "SELECT count(*) FROM inquiries WHERE id = ANY($1::uuid[])", acknowledged)
	require.Equal(t, len(acknowledged), rows, "an id is there once or not at all: it is the key")
	require.Eventually(t, func() bool {
		return one[int](t, db, "SELECT count(*) FROM inquiries WHERE delivery_state <> 'DELIVERED' AND id = ANY($1::uuid[])",
			acknowledged) == 0
	}, 120*time.Second, 250*time.Millisecond, "results that the MVNO AP did not get")
}

// TestWithoutTheBillDatabase is R6: the bill database is down for as long as the drill can wait under load. No cached
// read fails, what is not cached is refused in a word, and no row of history is lost.
func TestWithoutTheBillDatabase(t *testing.T) {
	t.Parallel()
	binaries(t)
	dir := dataDir(t)
	admin, database := ownDatabase(t, dir)
	s := start(t, dir, append(listeners(t), database))
	token, line := s.login(t, 0)
	load := s.read(t, 4, 100*time.Millisecond)
	spooled := func() float64 { return s.spooled(t) }

	execute(t, admin, "ALTER DATABASE phonebill_bill CONNECTION LIMIT 0")
	execute(t, admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'phonebill_bill'")
	down := time.Now()
	require.Eventually(t, func() bool { return spooled() > 0 }, eventTimeout, 50*time.Millisecond)
	status, _, err := s.call(t.Context(), http.MethodPost, "/bills/inquiry", token,
		map[string]string{"lineNumber": line, "inquiryMonth": lastMonth()})
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, status, "what could be lost is not begun")
	require.Eventually(t, func() bool { return time.Since(down) > outage }, 2*outage, 250*time.Millisecond)
	require.Positive(t, s.metric(t, "bill", "phonebill_history_spool_oldest_seconds"))

	waiting := spooled()
	execute(t, admin, "ALTER DATABASE phonebill_bill CONNECTION LIMIT -1")
	require.Eventually(t, func() bool { return spooled() == 0 }, 30*time.Second, 100*time.Millisecond,
		"it recovers by itself")
	load.stop()
	require.Eventually(t, func() bool { return spooled() == 0 }, eventTimeout, 100*time.Millisecond)
	acknowledged, failed := load.outcomes()
	t.Logf("bill database down for %s: %d cached reads, %d failed, %.0f rows waited", outage, len(acknowledged),
		len(failed), waiting)
	require.Empty(t, failed)
	require.Greater(t, waiting, outage.Seconds())
	areRecorded(t, connect(t, s.Databases["bill"]), acknowledged)
	require.Zero(t, s.interrupt(t))
}

// outage stands for ten minutes.
const outage = 20 * time.Second

func lastMonth() string {
	seoul := time.FixedZone("KST", 9*60*60)
	now := time.Now().In(seoul)
	return now.AddDate(0, 0, -now.Day()).Format("2006-01")
}

// TestKilledWithHistoryInTheSpool kills the system while history waits on disk: the next process brings it in.
func TestKilledWithHistoryInTheSpool(t *testing.T) {
	t.Parallel()
	binaries(t)
	dir := dataDir(t)
	admin, database := ownDatabase(t, dir)
	env := append(listeners(t), database)
	s := start(t, dir, env)
	load := s.read(t, 4, 20*time.Millisecond)
	execute(t, admin, "ALTER DATABASE phonebill_bill CONNECTION LIMIT 0")
	execute(t, admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'phonebill_bill'")
	require.Eventually(t, func() bool { return s.spooled(t) > 50 }, eventTimeout, 50*time.Millisecond)
	s.kill()
	load.stop()
	execute(t, admin, "ALTER DATABASE phonebill_bill CONNECTION LIMIT -1")
	s = start(t, dir, env)
	require.Eventually(t, func() bool { return s.spooled(t) == 0 }, eventTimeout, 100*time.Millisecond)
	acknowledged, _ := load.outcomes()
	areRecorded(t, connect(t, s.Databases["bill"]), acknowledged)
	require.Zero(t, s.interrupt(t))
}

// TestPostgreSQLRestarts is R6: the server crashes under load and recovers, twice. Nothing acknowledged is lost, and
// all goes on by itself.
func TestPostgreSQLRestarts(t *testing.T) {
	t.Parallel()
	binaries(t)
	dir := dataDir(t)
	admin, database := ownDatabase(t, dir)
	s := start(t, dir, append(listeners(t), database))
	load := s.read(t, 4, 20*time.Millisecond)
	for range 2 {
		before, _ := load.outcomes()
		require.Eventually(t, func() bool { now, _ := load.outcomes(); return len(now) > len(before)+50 }, eventTimeout,
			50*time.Millisecond)
		backend := one[int](t, admin,
			"SELECT pid FROM pg_stat_activity WHERE datname = 'phonebill_bill' AND backend_type = 'client backend' LIMIT 1")
		require.NoError(t, syscall.Kill(backend, syscall.SIGKILL), "one that ends so takes all the others with it")
		require.Eventually(t, func() bool { return admin.Ping(t.Context()) != nil }, eventTimeout, 10*time.Millisecond,
			"until then a new connection would be one that is about to end too")
		admin = connect(t, strings.TrimPrefix(database, "DATABASE_URL="))
		require.Eventually(t, func() bool { return s.logsIn(t) }, eventTimeout, 100*time.Millisecond,
			"no customer can log in any more")
	}
	load.stop()
	require.Eventually(t, func() bool { return s.spooled(t) == 0 }, eventTimeout, 100*time.Millisecond)
	acknowledged, failed := load.outcomes()
	t.Logf("two crashes of PostgreSQL: %d cached reads, %d failed", len(acknowledged), len(failed))
	require.Empty(t, failed)
	areRecorded(t, connect(t, s.Databases["bill"]), acknowledged)
	require.Zero(t, s.interrupt(t))
}

// ready returns the status of a unit's readiness probe.
func (s *system) ready(t *testing.T, unit string) int {
	t.Helper()
	probe := strings.TrimSuffix(s.Metrics[unit], "/metrics") + "/readyz"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, probe, http.NoBody)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

// TestAFailoverToAReadOnlyServer is R6: all four databases give read-only sessions alone for a while, as a standby does
// before it is promoted. Meanwhile no service is ready and cached bills are still answered; afterwards everything
// recovers by itself within seconds.
func TestAFailoverToAReadOnlyServer(t *testing.T) {
	t.Parallel()
	binaries(t)
	dir := dataDir(t)
	admin, database := ownDatabase(t, dir)
	s := start(t, dir, append(listeners(t), database))
	load := s.read(t, 4, 50*time.Millisecond)
	databases, services := []string{"auth", "bill", "product", "kos"}, []string{"auth", "bill", "product"}

	for _, db := range databases {
		execute(t, admin, "ALTER DATABASE phonebill_"+db+" SET default_transaction_read_only = on")
		execute(t, admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'phonebill_"+db+"'")
	}
	for _, service := range services {
		require.Eventually(t, func() bool { return s.ready(t, service) == http.StatusServiceUnavailable },
			eventTimeout, 50*time.Millisecond, service)
	}
	require.False(t, s.logsIn(t))
	require.Eventually(t, func() bool { return s.spooled(t) > 0 }, eventTimeout, 50*time.Millisecond)

	for _, db := range databases {
		execute(t, admin, "ALTER DATABASE phonebill_"+db+" SET default_transaction_read_only = off")
	}
	for _, service := range services {
		require.Eventually(t, func() bool { return s.ready(t, service) == http.StatusOK }, 20*time.Second,
			50*time.Millisecond, service)
	}
	require.Eventually(t, func() bool { return s.logsIn(t) }, 20*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool { return s.spooled(t) == 0 }, eventTimeout, 100*time.Millisecond)
	load.stop()
	require.Eventually(t, func() bool { return s.spooled(t) == 0 }, eventTimeout, 100*time.Millisecond)
	acknowledged, failed := load.outcomes()
	require.Empty(t, failed)
	areRecorded(t, connect(t, s.Databases["bill"]), acknowledged)
	require.Zero(t, s.interrupt(t))
}

// hangAP lets the MVNO AP server take notifications and not answer.
func (s *system) hangAP(t *testing.T) {
	t.Helper()
	hang := strings.NewReader(`{"mode":"hang"}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.MVNOAP.Control+"/control/faults", hang)
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Less(t, res.StatusCode, 300)
}

// TestAWarmInquiryReadsNothing is S8: cached inquiries cost the databases no read, and less than a write each.
//
//nolint:paralleltest // it counts what a busy machine does otherwise
func TestAWarmInquiryReadsNothing(t *testing.T) {
	binaries(t)
	dir := dataDir(t)
	_, database := ownDatabase(t, dir)
	s := start(t, dir, append(listeners(t), database, "HISTORY_DELAY=1ms"))
	tokens, lines := s.warm(t)
	s.hangAP(t) // so that no delivery reads beside the requests
	scans := func(db, tables string) int {
		return one[int](t, connect(t, s.Databases[db]),
			`SELECT sum(seq_scan + coalesce(idx_scan, 0)) FROM pg_stat_user_tables
			WHERE relname = ANY(string_to_array($1, ','))`, tables)
	}
	// Tables of which a request could read; of polled ones workers read several times a second.
	read := func() int {
		return scans("bill", "bill_versions") + scans("kos", "customer_copies") + scans("auth", "user_lines,user_grants")
	}
	polled := func() int { return scans("kos", "line_epochs") + scans("auth", "users,sessions") }
	bill := connect(t, s.Databases["bill"])
	commits := func() int {
		return one[int](t, bill, "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
	}
	inserted := func() int {
		return one[int](t, bill, "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'inquiries'")
	}
	require.Eventually(t, func() bool { return inserted() == len(tokens) }, 60*time.Second, 100*time.Millisecond)

	// What a busy machine makes the cache too slow for is read from the database, as it should be; a request that reads
	// otherwise is not counted as trouble.
	trouble := func() int {
		return s.sum(t, "bill", "cache_calls_total", `result="trouble"`) + s.sum(t, "auth", "cache_calls_total",
			`result="trouble"`)
	}
	const callers, each = 64, 40
	readBefore, polledBefore, commitsBefore, troubleBefore, begun := read(), polled(), commits(), trouble(), time.Now()
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for range each {
				k := i % len(tokens)
				status, data, err := s.call(t.Context(), http.MethodPost, "/bills/inquiry", tokens[k],
					map[string]string{"lineNumber": lines[k]})
				if err != nil || status != http.StatusOK || data["source"] != "CACHE" {
					t.Errorf("%d %v %v", status, data["source"], err)
				}
			}
		})
	}
	all.Wait()
	rows := callers * each
	require.Eventually(t, func() bool { return inserted() == len(tokens)+rows }, 60*time.Second, 100*time.Millisecond)
	reads, polls, spent := read()-readBefore, polled()-polledBefore, commits()-commitsBefore
	excused := 2 * (trouble() - troubleBefore)
	t.Logf("%d cached inquiries: %d scans (%d excused), %d of what workers poll, %d commits on the bill database",
		rows, reads, excused, polls, spent)
	require.Less(t, reads, rows/10+excused, "a delivery looks its bill up, a request does not")
	idle := 50 * int(time.Since(begun).Seconds()) // what workers look up, however little there is to do
	require.Less(t, polls, rows/2+excused+idle)
	require.Less(t, spent, rows/2+excused+idle)
}
