package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres/pgtest"
	"phonebill/migrations"
)

// kills is how often the bill service is killed: 12 times, or what DRILL_KILLS says (`make drills`: 200).
func kills(t *testing.T) int {
	t.Helper()
	said := os.Getenv("DRILL_KILLS")
	if said == "" {
		return 12
	}
	n, err := strconv.Atoi(said)
	require.NoError(t, err)
	return n
}

// deliveryRecorder is a proxy before the MVNO AP simulator. It records whether payloads that come twice are the same.
type deliveryRecorder struct {
	mu      sync.Mutex
	seen    map[string][sha256.Size]byte // of a payload, by webhook-id
	doubles int
	changed []string
}

func (d *deliveryRecorder) note(id string, payload []byte) {
	sum := sha256.Sum256(payload)
	d.mu.Lock()
	defer d.mu.Unlock()
	before, again := d.seen[id]
	switch {
	case !again:
		d.seen[id] = sum
	case before != sum:
		d.changed = append(d.changed, id)
	default:
		d.doubles++
	}
}

// recordDeliveries starts a deliveryRecorder and returns it with its URL.
func recordDeliveries(t *testing.T, ap string) (d *deliveryRecorder, at string) {
	t.Helper()
	d = &deliveryRecorder{seen: map[string][sha256.Size]byte{}}
	origin, err := url.Parse(ap)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(origin) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 128},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		payload, err := io.ReadAll(r.Body)
		if err != nil { // its sender was killed in the middle
			return
		}
		d.note(r.Header.Get("webhook-id"), payload)
		r.Body = io.NopCloser(bytes.NewReader(payload))
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(srv.Close)
	return d, srv.URL
}

// responses are the responses that customers received to their inquiries, by request id: the status, and the bill if
// there was one.
type responses struct {
	mu       sync.Mutex
	statuses map[string]int
	bills    map[string]shown
	answers  map[string]int
}

// shown is a bill as a customer saw it, and the request for it.
type shown struct {
	source, month string
	asOf          time.Time
	total         float64
	from          asker
	key           string
	wish          map[string]string
}

// shownIn reads a bill from an answer, or from a result as the MVNO AP gets it.
func shownIn(data map[string]any) (b shown) {
	b.source, _ = data["source"].(string)
	said, _ := data["asOf"].(string)
	b.asOf, _ = time.Parse(time.RFC3339Nano, said)
	info, _ := data["billInfo"].(map[string]any)
	b.month, _ = info["billingMonth"].(string)
	b.total, _ = info["totalAmount"].(float64)
	return b
}

// same tells whether two saw the same bill.
func (b shown) same(other shown) bool {
	return b.source == other.source && b.month == other.month && b.asOf.Equal(other.asOf) && b.total == other.total
}

func (r *responses) note(from asker, key string, wish map[string]string, a answer) {
	who := from.who
	id := a.text("requestId")
	if a.status >= http.StatusBadRequest {
		id = a.Error.Details.RequestID
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[strings.TrimSpace(fmt.Sprint(who, " ", a.status, " ", a.text("source")))]++
	// that one only says that the key is taken, by an inquiry that may have died unstored
	if id != "" && a.status != http.StatusConflict {
		r.statuses[id] = a.status
	}
	if a.status == http.StatusOK {
		b := shownIn(a.Data)
		b.from, b.key, b.wish = from, key, wish
		r.bills[id] = b
	}
}

func (r *responses) ids() (ids []string, by map[int][]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	by = map[int][]string{}
	for id, status := range r.statuses {
		ids, by[status] = append(ids, id), append(by[status], id)
	}
	return ids, by
}

// asker is a client who asks for one line's bills, over and over.
type asker struct {
	who, token, line string
	months           []string // one of them each time; "" = the current one
}

// ask asks under a key of its own, and once more under the same when there was no answer.
func (a asker) ask(ctx context.Context, received *responses, at []*instance) {
	wish := map[string]string{"lineNumber": a.line}
	if m := a.months[rand.IntN(len(a.months))]; m != "" {
		wish["inquiryMonth"] = m
	}
	key := uuid.NewString()
	got := a.under(ctx, at[rand.IntN(len(at))].url, key, wish)
	if got.status == 0 {
		got = a.under(ctx, at[rand.IntN(len(at))].url, key, wish)
	}
	received.note(a, key, wish, got)
}

func (a asker) under(ctx context.Context, at, key string, wish map[string]string) answer {
	return askUnder(ctx, key, at+"/api/v1/bills/inquiry", a.token, wish)
}

// askers are twelve: lines whose bill is at hand, lines of which any month is wanted, one that KOS has no bill of, one
// on which it fails, one on which it is slower than customers wait.
func (c *cluster) askers(t *testing.T) (all []asker) {
	t.Helper()
	tokens, lines := c.customers(t, 3, 4)
	current := []string{""}
	for i := range 3 {
		all = append(all, asker{"warm", tokens[i], lines[i][0], current}, asker{"warm", tokens[i], lines[i][1], current})
	}
	for i := range 3 {
		all = append(all, asker{"any month", tokens[i], lines[i][2], months(6)})
	}
	all = append(all, asker{"failing", tokens[0], lines[0][3], months(6)},
		asker{"slow", tokens[1], lines[1][3], months(6)})
	for _, who := range c.Customers {
		if who.Scenario == "no_bill" {
			a := ask(t.Context(), http.MethodPost, c.BaseURL+"/api/v1/auth/login", "",
				map[string]string{"userId": who.UserID, "password": who.Password})
			require.Equal(t, http.StatusOK, a.status)
			all = append(all, asker{"no bill", a.text("accessToken"), who.LineNumber, current})
		}
	}
	require.Len(t, all, 12)
	for _, trouble := range []map[string]any{
		{"operation": "bill.inquiry", "lineNumber": digits(lines[0][3]), "mode": "error"},
		{"operation": "bill.inquiry", "lineNumber": digits(lines[1][3]), "mode": "latency", "latencyMs": 4000},
	} {
		c.control(t, http.MethodPost, "/faults", trouble, nil)
	}
	return all
}

func digits(line string) string { return strings.ReplaceAll(line, "-", "") }

// months are the last n, the current one included.
func months(n int) (all []string) {
	seoul := time.FixedZone("KST", 9*60*60)
	now := time.Now().In(seoul)
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, seoul)
	for i := range n {
		all = append(all, first.AddDate(0, -i, 0).Format("2006-01"))
	}
	return all
}

// askedThriceAtMost demands that no inquiry cost KOS more than three calls, whichever process was killed, and that each
// had its own number.
func (c *cluster) askedThriceAtMost(t *testing.T, since time.Time, db *pgtest.DB) {
	t.Helper()
	of, most := map[string]int{}, 0
	for _, call := range c.calls(t, since, "bill.inquiry") {
		if call.RequestID != "" {
			of[call.RequestID]++
			most = max(most, of[call.RequestID])
		}
	}
	require.NotEmpty(t, of)
	t.Logf("%d inquiries were asked of KOS, one of them %d times, none more", len(of), most)
	require.LessOrEqual(t, most, 3, "calls for one inquiry")
	kos := connect(t, c.Databases["kos"])
	require.Zero(t, one[int](t, kos, `SELECT count(*) FROM (
		SELECT FROM kos_calls WHERE operation = 'bill.inquiry' GROUP BY request_id, attempt HAVING count(*) > 1) AS again`),
		"attempts that have another's number")
	require.Zero(t, one[int](t, kos, "SELECT count(*) FROM kos_calls WHERE operation = 'bill.inquiry' AND attempt > 3"))
	var counted int
	require.NoError(t, db.Admin.QueryRow(t.Context(), "SELECT max(attempts) FROM inquiries").Scan(&counted))
	require.LessOrEqual(t, counted, 3)
}

// TestTheBillServiceIsKilledAtAnyMoment kills one of two bill services under load, again and again, at random moments,
// while it starts too. Each inquiry that was acknowledged, be it with a failure, has its row, becomes final and is
// delivered to the MVNO AP: once per event id but for doubles of the same content, and each line's in order without
// gaps. A bill that a customer saw is the one in the row, the one that the AP gets, and the one that its key stands
// for.
//
//nolint:paralleltest // it loads the machine: others would fail beside it, or it beside them
func TestTheBillServiceIsKilledAtAnyMoment(t *testing.T) {
	c := startCluster(t, "KOS_QUOTA_PER_MINUTE=0", "CACHE_BILL=3s/1h")
	db := pgtest.New(t, migrations.Bill) // of their own: no other process may do their work
	seen, ap := recordDeliveries(t, c.MVNOAP.URL)
	at := c.instances(t, 2, "bill-inquiry", "BILL", "BILL_DATABASE_URL="+db.URL, "MVNOAP_URL="+ap)
	received := &responses{statuses: map[string]int{}, bills: map[string]shown{}, answers: map[string]int{}}

	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	t.Cleanup(func() { stop(); load.Wait() })
	for _, who := range c.askers(t) {
		load.Go(func() {
			for next := time.NewTicker(40 * time.Millisecond); ctx.Err() == nil; <-next.C {
				who.ask(context.WithoutCancel(ctx), received, at)
			}
		})
	}
	begun, n := time.Now(), kills(t)
	for i := range n {
		<-time.After(50*time.Millisecond + rand.N(750*time.Millisecond))
		victim := at[rand.IntN(len(at))]
		victim.kill()
		if i%10 == 9 { // once more while it starts
			victim.start(t)
			<-time.After(rand.N(300 * time.Millisecond))
			victim.kill()
		}
		victim.run(t)
	}
	stop()
	load.Wait()
	ids, by := received.ids()
	t.Logf("%d kills in %s: %d inquiries acknowledged; %v", n+n/10, time.Since(begun).Round(time.Second), len(ids),
		received.answers)
	require.Greater(t, len(ids), 10*n, "no load to speak of")
	for _, status := range []int{http.StatusOK, http.StatusAccepted, http.StatusNotFound, http.StatusServiceUnavailable} {
		require.NotEmpty(t, by[status], "%d was never said", status)
	}

	c.control(t, http.MethodDelete, "/faults", nil, nil)
	stored := func(query string, ids []string) (count int) {
		require.NoError(t, db.Admin.QueryRow(t.Context(), "SELECT count(*) FROM inquiries WHERE "+query, ids).Scan(&count))
		return count
	}
	const among = "id = ANY($1::uuid[])"
	require.Equal(t, len(ids), stored(among, ids), "rows of what was acknowledged")
	require.Len(t, by[http.StatusOK], stored(among+" AND status = 'COMPLETED'", by[http.StatusOK]))
	for status, code := range map[int]string{http.StatusNotFound: "BILL_NOT_FOUND",
		http.StatusServiceUnavailable: "SERVICE_UNAVAILABLE"} {
		require.Len(t, by[status], stored(among+" AND status = 'FAILED' AND failure_code = '"+code+"'", by[status]))
	}
	drained := time.Now()
	require.Eventually(t, func() bool {
		return stored("$1::uuid[] IS NOT NULL AND (status = 'PROCESSING' OR delivery_state <> 'DELIVERED')", ids) == 0
	},
		240*time.Second, 500*time.Millisecond, "a lease of a killed worker is over after 40 s, a wait after some more")
	t.Logf("%d rows, all final and delivered %s after the last kill", stored("$1::uuid[] IS NOT NULL", ids),
		time.Since(drained).Round(time.Second))
	received.kept(t, db)
	received.repeated(t, at[0].url)
	c.wereDelivered(t, db, seen, received)
	c.askedThriceAtMost(t, begun, db)
	for _, i := range at {
		require.NotContains(t, strings.ToLower(i.logs.String()), "panic")
	}
}

// kept compares the bills that customers saw with the rows, and the versions that those refer to.
func (r *responses) kept(t *testing.T, db *pgtest.DB) {
	t.Helper()
	ids := slices.Collect(maps.Keys(r.bills))
	rows, err := db.Admin.Query(t.Context(), `
		SELECT i.id::text, i.source, i.as_of, i.month, coalesce(v.told_at = i.as_of, false)
		FROM inquiries i
		LEFT JOIN bill_versions v ON v.id = i.version_id AND v.line_index = i.line_index AND v.month = i.month
		WHERE i.id = ANY($1::uuid[])`, ids)
	require.NoError(t, err)
	var id string
	var row shown
	var versioned bool
	n := 0
	_, err = pgx.ForEachRow(rows, []any{&id, &row.source, &row.asOf, &row.month, &versioned}, func() error {
		n++
		row.total = r.bills[id].total // sealed; the delivery has it
		require.True(t, row.same(r.bills[id]), "%s: the row says %+v, the customer got %+v", id, row, r.bills[id])
		require.True(t, versioned, "%s: the version of that time", id)
		return nil
	})
	require.NoError(t, err)
	require.Len(t, ids, n)
}

// repeated asks again under some of the keys that were answered with a bill.
func (r *responses) repeated(t *testing.T, at string) {
	t.Helper()
	n := 0
	for id, b := range r.bills {
		if n++; n > 200 {
			break
		}
		again := b.from.under(t.Context(), at, b.key, b.wish)
		require.Equal(t, http.StatusOK, again.status, "%v", again)
		require.Equal(t, id, again.text("requestId"))
		require.True(t, b.same(shownIn(again.Data)), "%s: first %+v, then %+v", id, b, again.Data)
	}
}

// wereDelivered compares what the MVNO AP got with the rows: each row's event once, each line's in order without gaps;
// and with what customers saw.
func (c *cluster) wereDelivered(t *testing.T, db *pgtest.DB, seen *deliveryRecorder, received *responses) {
	t.Helper()
	var rows []string
	require.NoError(t, db.Admin.QueryRow(t.Context(), "SELECT array_agg(id::text) FROM inquiries").Scan(&rows))
	last, got, doubles := map[string]int64{}, make([]string, 0, len(rows)), 0
	for _, e := range c.received(t) {
		require.Equal(t, last[e.LineNumber]+1, e.Sequence, "%s of %s in order, without gaps", e.ID, e.LineNumber)
		last[e.LineNumber] = e.Sequence
		got, doubles = append(got, e.ID), doubles+e.Duplicates
		if b, ok := received.bills[e.ID]; ok {
			var payload map[string]any
			require.NoError(t, json.Unmarshal(e.Payload, &payload))
			require.True(t, b.same(shownIn(payload)), "%s: the customer saw %+v, the AP %s", e.ID, b, e.Payload)
		}
	}
	slices.Sort(rows)
	slices.Sort(got)
	require.Equal(t, rows, got, "an event for each row, and none for what is not there")
	seen.mu.Lock()
	defer seen.mu.Unlock()
	require.Empty(t, seen.changed, "what came again was not the same")
	t.Logf("%d events on %d lines, %d came again unchanged", len(got), len(last), doubles)
}
