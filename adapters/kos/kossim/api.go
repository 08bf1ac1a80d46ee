package kossim

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"phonebill/core/calendar"
)

// The result codes of KOS.
const (
	OK                 = "0000"
	UnknownLine        = "E001"
	NoSuchBill         = "E002"
	LineNotInUse       = "E003"
	InContractTerm     = "E101"
	NotCompatible      = "E102"
	UnpaidBalance      = "E103"
	PlanNotOnSale      = "E104"
	OtherOperatorsPlan = "E105"
	NotCurrentPlan     = "E106"
	TransactionReused  = "E110"
	Malformed          = "E400"
	OverQuota          = "E429"
	SystemError        = "E999"
)

// reply is an answer of KOS before it is put on the wire.
type reply struct {
	code    string
	data    any           // nil = no data
	status  int           // 0 = the code's own
	message string        // empty = the code's own
	wait    time.Duration // for OverQuota: Retry-After
}

// envelope is the form of every answer (openapi/kos.yaml).
type envelope struct {
	ResultCode    string `json:"resultCode"`
	ResultMessage string `json:"resultMessage"`
	Data          any    `json:"data,omitempty"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"traceId"`
}

// describe returns the HTTP status and the text of a code. Some business errors come as 200, some as 400.
func describe(code string) (status int, message string) {
	switch code {
	case OK:
		return http.StatusOK, "정상 처리되었습니다"
	case UnknownLine:
		return http.StatusOK, "존재하지 않는 회선입니다"
	case NoSuchBill:
		return http.StatusOK, "해당 월의 청구 내역이 없습니다"
	case LineNotInUse:
		return http.StatusBadRequest, "사용 중인 회선이 아닙니다"
	case InContractTerm:
		return http.StatusOK, "약정 기간 중에는 변경할 수 없습니다"
	case NotCompatible:
		return http.StatusOK, "단말기와 호환되지 않는 상품입니다"
	case UnpaidBalance:
		return http.StatusOK, "미납 요금이 있습니다"
	case PlanNotOnSale:
		return http.StatusBadRequest, "판매 중인 상품이 아닙니다"
	case OtherOperatorsPlan:
		return http.StatusBadRequest, "다른 사업자의 상품입니다"
	case NotCurrentPlan:
		return http.StatusBadRequest, "현재 이용 중인 상품이 아닙니다"
	case TransactionReused:
		return http.StatusBadRequest, "이미 사용되었거나 처리 중인 거래번호입니다"
	case Malformed:
		return http.StatusBadRequest, "요청 형식이 올바르지 않습니다"
	case OverQuota:
		return http.StatusTooManyRequests, "호출 한도를 초과하였습니다"
	default:
		return http.StatusInternalServerError, "시스템 오류가 발생하였습니다"
	}
}

// question is a parsed request. A nil run means that it is malformed.
type question struct {
	lineNumber, requestID, transactionID string
	order                                order
	run                                  func() reply // called with mu held
}

const maxBody = 64 << 10

// Handler returns the KOS API of openapi/kos.yaml, and GET /health.
func (s *Simulator) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", health)
	for _, e := range endpoints() {
		mux.Handle(e.route, s.handle(e))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.write(w, r, reply{code: Malformed, status: http.StatusNotFound}, call{})
	})
	return mux
}

func health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"status":"UP"}`+"\n") // the client is gone
}

// handle carries out one call: log it, check credential and quota, do it, wait as long as KOS takes, write the answer.
// A change is made before the delay, so that a client that gives up waiting leaves an accepted change behind, as with a
// real backend.
func (s *Simulator) handle(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, tooLong := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		q := e.parse(s, r, body)
		if q.requestID == "" {
			q.requestID = cut(r.Header.Get("X-Request-ID"), 64)
		}
		t, err := s.receive(e, q, s.authorised(r))
		switch {
		case err != nil:
			s.answer(w, r, t, reply{code: SystemError})
		case t.refusal != nil:
			s.answer(w, r, t, *t.refusal)
		case t.effect.mode == Error || t.effect.mode == Refuse || t.effect.mode == Hang:
			s.fail(w, r, t)
		case tooLong != nil || q.run == nil:
			s.answer(w, r, t, reply{code: Malformed})
		case t.effect.mode == ApplyLate:
			s.mu.Lock()
			s.reserve(q.order, t.effect.late)
			s.mu.Unlock()
			_ = s.journal.Sync() // there is no answer that could carry the error
			s.hang(r.Context(), t)
		default:
			s.carryOut(w, r, t, q)
		}
	})
}

// fail carries out a fault with which nothing is done.
func (s *Simulator) fail(w http.ResponseWriter, r *http.Request, t call) {
	if t.effect.mode == Hang {
		s.hang(r.Context(), t)
		return
	}
	s.wait(r.Context(), t.effect.latency)
	if t.effect.mode == Error {
		s.answer(w, r, t, reply{code: SystemError})
		return
	}
	s.finish(t, string(Refuse))
	s.metrics.observe(t, string(Refuse), s.opts.Clock().Sub(t.started))
	panic(http.ErrAbortHandler) // net/http closes the connection without an answer
}

// carryOut does what is asked, then waits as long as KOS takes.
func (s *Simulator) carryOut(w http.ResponseWriter, r *http.Request, t call, q question) {
	out := reply{code: SystemError}
	if t.scenario != Failing {
		s.mu.Lock()
		out = q.run()
		s.mu.Unlock()
	}
	if s.journal.Sync() != nil {
		out = reply{code: SystemError}
	}
	if t.effect.mode == ApplyThenHang {
		s.hang(r.Context(), t)
		return
	}
	s.wait(r.Context(), s.delay(t)+t.effect.latency)
	s.answer(w, r, t, out)
}

// hang gives no answer until the client disconnects.
func (s *Simulator) hang(ctx context.Context, t call) {
	s.finish(t, string(t.effect.mode))
	select {
	case <-ctx.Done():
	case <-s.closed:
	}
	s.finish(t, string(t.effect.mode))
	s.metrics.observe(t, string(t.effect.mode), s.opts.Clock().Sub(t.started))
	panic(http.ErrAbortHandler)
}

// delay returns how long KOS takes for the call.
func (s *Simulator) delay(t call) time.Duration {
	d := t.endpoint.delay(s.delays)
	if t.scenario == Slow {
		d = max(d, s.delays.SlowLine)
	}
	return d
}

// wait blocks for d, or until the client disconnects or the simulator closes.
func (s *Simulator) wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.closed:
	}
}

// answer completes the log entry and writes the answer, in this order, so that a client that has its answer finds the
// entry.
func (s *Simulator) answer(w http.ResponseWriter, r *http.Request, t call, out reply) {
	result := out.code
	if t.effect.mode == MalformedBody {
		result = string(MalformedBody)
	}
	s.finish(t, result)
	s.metrics.observe(t, result, s.opts.Clock().Sub(t.started))
	s.write(w, r, out, t)
}

func (s *Simulator) write(w http.ResponseWriter, r *http.Request, out reply, t call) {
	status, message := describe(out.code)
	if out.status != 0 {
		status = out.status
	}
	if out.message != "" {
		message = out.message
	}
	at := s.Now().In(calendar.Seoul).Format("2006-01-02T15:04:05.000Z07:00")
	body, err := json.Marshal(envelope{out.code, message, shaped(out.data, t.endpoint.name, t.shapes), at, traceID(r)})
	if err != nil {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if out.wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(out.wait.Seconds()))))
	}
	if t.effect.mode == MalformedBody {
		status, body = http.StatusOK, body[:len(body)/2]
	}
	if t.effect.mode == AnswerTwice {
		body = append(body, body...)
	}
	body = wrapped(w.Header(), body, t.shapes)
	w.WriteHeader(status)
	_, _ = w.Write(body) // on an error the client is gone
}

// authorised reports whether the credential is accepted. It compares in constant time.
func (s *Simulator) authorised(r *http.Request) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	tokens := s.tokens
	s.mu.Unlock()
	match := 0
	for _, token := range tokens {
		match |= subtle.ConstantTimeCompare([]byte(given), []byte(token))
	}
	return ok && match == 1
}

// traceID returns the caller's trace id (W3C trace context), or a new one.
func traceID(r *http.Request) string {
	parts := strings.Split(r.Header.Get("Traceparent"), "-")
	if len(parts) == 4 && len(parts[1]) == 32 {
		if _, err := hex.DecodeString(parts[1]); err == nil {
			return parts[1]
		}
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func cut(s string, n int) string { return s[:min(len(s), n)] }
