// Package newproduct shows that a third kind of request, about something that is not a line, needs a product of its own
// and nothing else: acceptance, 202, long poll, replay, delivery, timeline and parking are the frame's. It is the
// example of docs/adding-a-product.md, on a real PostgreSQL.
package newproduct_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/adapters/rest"
	"phonebill/adapters/vault"
	"phonebill/core/auth"
	"phonebill/core/delivery"
	"phonebill/core/delivery/dispatch"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/quota"
	"phonebill/core/request"
	"phonebill/core/request/lifecycle"
	"phonebill/core/timeline"
	"phonebill/migrations"
	"phonebill/ports"
)

// Gift is the product: a member gives points to another member. It is about the member who gives.
type Gift struct {
	To     string `json:"to"`
	Points int    `json:"points"`
}

// parse reads a gift: VALIDATION_ERROR names the field.
func parse(raw []byte) (Gift, error) {
	var g Gift
	if json.Unmarshal(raw, &g) != nil || g.To == "" {
		return Gift{}, fault.InvalidField("to", "받는 회원을 입력해야 합니다")
	}
	if g.Points < 1 {
		return Gift{}, fault.InvalidField("points", "1 이상이어야 합니다")
	}
	return g, nil
}

// points is the system that books gifts. It is as slow and as broken as the test wants.
type points struct {
	mu     sync.Mutex
	booked map[id.ID]Gift
	calls  []ports.Call
	fails  int           // of the next calls, without an answer
	hold   chan struct{} // when it is set, calls wait until it is closed
}

// book books a gift once per request, however often it is called.
func (p *points) book(ctx context.Context, call ports.Call, g Gift) error {
	p.mu.Lock()
	hold := p.hold
	p.calls = append(p.calls, call)
	p.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fails > 0 {
		p.fails--
		return context.DeadlineExceeded
	}
	p.booked[call.RequestID] = g
	return nil
}

// attempt is all that the frame calls of the product.
func (p *points) attempt(ctx context.Context, call ports.Call, r request.Request) request.Outcome {
	g, err := parse(r.Payload)
	if err != nil {
		return request.Outcome{Status: request.Failed, Code: fault.From(err).Code()}
	}
	if p.book(ctx, call, g) != nil {
		return request.Outcome{Note: "TIMEOUT"}
	}
	return request.Outcome{Status: request.Completed, Result: []byte(`{"booked":true}`)}
}

// masked is a member as staff see it.
func masked(s request.Subject) string { return string(s[:len("member h")]) + "***" }

// world is the product, wired.
type world struct {
	db        *pgtest.DB
	points    *points
	gifts     *lifecycle.Service
	store     *postgres.RequestStore
	publisher *memory.Publisher[ports.RequestResult]
	delivery  *dispatch.Service[ports.RequestResult]
	server    *httptest.Server
	parked    chan id.ID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	raw, err := vault.New()
	require.NoError(t, err)
	keys, err := vault.Parse(raw)
	require.NoError(t, err)
	db := pgtest.New(t, migrations.Request)
	w := &world{
		db: db, points: &points{booked: map[id.ID]Gift{}}, publisher: &memory.Publisher[ports.RequestResult]{},
		parked: make(chan id.ID, 1),
		store:  postgres.NewRequestStore(db.Pool, keys, &memory.Alerts{}),
	}
	half := func() float64 { return 0.5 }
	w.gifts = &lifecycle.Service{
		Store: w.store, Attempt: w.points.attempt, Lane: quota.Read, Timeout: 10 * time.Second,
		Retry: request.Retry{Attempts: 3, FirstWait: time.Millisecond, MaxWait: time.Millisecond},
		Now:   time.Now, Random: half, NewID: func() id.ID { return id.ID(uuid.Must(uuid.NewV7())) },
		Report: func(_ context.Context, err error) { t.Log(err) },
		Parked: func(_ context.Context, r request.Request) { w.parked <- r.ID },
	}
	w.delivery = &dispatch.Service[ports.RequestResult]{
		Outbox: w.store.Outbox("gift", masked), Publisher: w.publisher, Now: time.Now, Random: half, Alerts: &memory.Alerts{},
		Lease: 30 * time.Second, Attempt: 10 * time.Second, Lines: 16, EventsPerLine: 20,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /gifts", w.accept)
	mux.HandleFunc("GET /gifts/{id}", w.get)
	w.server = httptest.NewServer(mux)
	t.Cleanup(w.server.Close)
	t.Cleanup(w.gifts.Wait)
	return w
}

// accept is the handler of POST: 200 when the gift is booked within the budget, else 202.
func (w *world) accept(out http.ResponseWriter, in *http.Request) {
	key, err := request.ParseKey(in.Header.Get(request.KeyHeader))
	if err != nil {
		out.WriteHeader(rest.Status(fault.From(err).Kind()))
		return
	}
	g, err := parse([]byte(in.FormValue("gift")))
	if err != nil {
		out.WriteHeader(rest.Status(fault.From(err).Kind()))
		return
	}
	payload, _ := json.Marshal(g)
	user := auth.UserID(in.Header.Get("X-User"))
	r := request.Request{Kind: "GIFT", UserID: user, Subject: request.Subject("member " + user), Payload: payload}
	r, _, err = w.gifts.Accept(in.Context(), r, key)
	answer(out, r, err)
}

// get is the handler of GET with ?wait=.
func (w *world) get(out http.ResponseWriter, in *http.Request) {
	asked, _ := id.Parse(in.PathValue("id"))
	wait, _ := time.ParseDuration(in.FormValue("wait"))
	r, err := w.gifts.Get(in.Context(), auth.UserID(in.Header.Get("X-User")), asked, wait)
	answer(out, r, err)
}

func answer(out http.ResponseWriter, r request.Request, err error) {
	if err != nil {
		out.WriteHeader(rest.Status(fault.From(err).Kind()))
		return
	}
	status := http.StatusOK
	if !r.Status.Final() {
		status = http.StatusAccepted
	}
	out.WriteHeader(status)
	_ = json.NewEncoder(out).Encode(map[string]any{"requestId": r.ID.String(), "status": r.Status,
		"result": string(r.Result)})
}

type reply struct {
	code      int
	RequestID string `json:"requestId"`
	Status    string `json:"status"`
	Result    string `json:"result"`
}

func (w *world) call(t *testing.T, method, path, user, key string) (r reply) {
	t.Helper()
	in, err := http.NewRequestWithContext(t.Context(), method, w.server.URL+path, strings.NewReader(""))
	require.NoError(t, err)
	in.Header.Set("X-User", user)
	in.Header.Set(request.KeyHeader, key)
	out, err := http.DefaultClient.Do(in)
	require.NoError(t, err)
	defer func() { _ = out.Body.Close() }()
	r.code = out.StatusCode
	_ = json.NewDecoder(out.Body).Decode(&r)
	return r
}

const gift = "/gifts?gift=%7B%22to%22%3A%22kim%22%2C%22points%22%3A5%7D"

func TestAGiftWithinTheBudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	done := w.call(t, "POST", gift, "hong", "k-1")
	require.Equal(t, http.StatusOK, done.code)
	require.Equal(t, "COMPLETED", done.Status)
	require.JSONEq(t, `{"booked":true}`, done.Result)
	again := w.call(t, "POST", gift, "hong", "k-1")
	require.Equal(t, done, again, "the same key is the same gift")
	require.Len(t, w.points.booked, 1)
	require.Equal(t, http.StatusUnprocessableEntity,
		w.call(t, "POST", strings.Replace(gift, "5", "6", 1), "hong", "k-1").code)
	require.Equal(t, http.StatusNotFound, w.call(t, "GET", "/gifts/"+done.RequestID, "lee", "").code)
	require.Equal(t, http.StatusBadRequest, w.call(t, "POST", "/gifts?gift=%7B%7D", "hong", "k-2").code)
}

func TestASlowGiftIsWaitedForAndDeliveredInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.points.hold = make(chan struct{})
	taken := w.call(t, "POST", gift, "hong", "k-1")
	require.Equal(t, http.StatusAccepted, taken.code, "it is slower than the answer budget")
	n, err := w.gifts.Step(t.Context(), 10)
	require.NoError(t, err)
	require.Zero(t, n, "its first attempt holds the lease")

	waited := make(chan reply, 1)
	go func() { waited <- w.call(t, "GET", "/gifts/"+taken.RequestID+"?wait=20s", "hong", "") }()
	close(w.points.hold)
	r := <-waited
	require.Equal(t, reply{http.StatusOK, taken.RequestID, "COMPLETED", `{"booked":true}`}, r)
	require.Equal(t, http.StatusOK, w.call(t, "POST", gift, "hong", "k-2").code)

	n, err = w.delivery.Step(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, n)
	told := w.publisher.Published()
	require.Equal(t, []int64{1, 2}, []int64{told[0].Sequence, told[1].Sequence})
	require.Equal(t, taken.RequestID, told[0].Body.Request.ID.String())

	story, err := w.store.ByRequest(t.Context(), told[0].ID)
	require.NoError(t, err)
	var happened []timeline.EventType
	for _, e := range story.Events {
		happened = append(happened, e.Type)
	}
	require.Equal(t, []timeline.EventType{timeline.Requested, timeline.Completed, timeline.Delivered}, happened)
	events, total, err := w.store.Outbox("gift", masked).List(t.Context(), delivery.Filter{Page: 1, Size: 20})
	require.NoError(t, err)
	require.Equal(t, []any{2, delivery.Delivered, "member h***"}, []any{total, events[0].State, events[0].Line})
}

func TestAGiftWithoutAnAnswerIsParkedAndResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.points.fails = 3
	taken := w.call(t, "POST", gift, "hong", "k-1")
	require.Equal(t, http.StatusAccepted, taken.code)
	for parked := false; !parked; { // attempts are a millisecond apart
		_, err := w.gifts.Step(t.Context(), 10)
		require.NoError(t, err)
		select {
		case asked := <-w.parked:
			parked = asked.String() == taken.RequestID
		case <-time.After(time.Millisecond):
		}
	}
	require.Equal(t, "PARKED", w.call(t, "GET", "/gifts/"+taken.RequestID+"?wait=5s", "hong", "").Status,
		"a long poll does not wait for a person")
	page, total, err := w.store.Parked(t.Context(), 1, 20)
	require.NoError(t, err)
	require.Equal(t, []any{1, "TIMEOUT"}, []any{total, page[0].Note})
	require.Equal(t, []int{1, 2, 3}, []int{w.points.calls[0].Attempt, w.points.calls[1].Attempt,
		w.points.calls[2].Attempt})

	require.NoError(t, w.gifts.Resume(t.Context(), page[0].ID))
	n, err := w.gifts.Step(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, "COMPLETED", w.call(t, "GET", "/gifts/"+taken.RequestID, "hong", "").Status)
	require.ErrorIs(t, w.gifts.Resume(t.Context(), page[0].ID), fault.New(fault.StateConflict))
	require.Len(t, w.points.booked, 1)
}

func TestOldGiftsAreDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, key := range []string{"k-1", "k-2", "k-3"} {
		require.Equal(t, http.StatusOK, w.call(t, "POST", gift, "hong", key).code)
	}
	// Two of the three become old; the event of one of these is not delivered.
	for i, delivered := range []string{"DELIVERED", "PENDING"} {
		_, err := w.db.Admin.Exec(t.Context(), `UPDATE requests SET id = ('01000000-0000-7000-8000-00000000000' || $1)::uuid,
			delivery_state = $2 WHERE id = (SELECT max(id::text)::uuid FROM requests)`, strconv.Itoa(i), delivered)
		require.NoError(t, err)
	}
	n, more, err := postgres.PurgeRequests(w.db.Pool)(t.Context(), 1, 100)
	require.NoError(t, err)
	require.Equal(t, []any{1, true}, []any{n, more})
	page, total, err := w.store.Outbox("gift", masked).List(t.Context(), delivery.Filter{Page: 1, Size: 20})
	require.NoError(t, err)
	require.Equal(t, 2, total, "%+v", page)
}
