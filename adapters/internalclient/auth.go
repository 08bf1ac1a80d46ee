package internalclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	gen "phonebill/adapters/internalclient/internal/internalgen"
	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/ports"
)

const (
	authTimeout   = 2 * time.Second
	maxAuthAnswer = 64 << 20 // bytes: some 600,000 revocations
)

// Auth asks the auth service: it implements ports.RevocationFeed, ports.SessionUse, ports.ServiceKeyList,
// ports.AuditLog and ports.SearchBudget, and returns the signing keys. It is safe for concurrent use.
type Auth struct {
	doer       *http.Client // for public
	internal   *gen.Client
	credential *string // of the audit trail
}

var (
	_ ports.RevocationFeed = (*Auth)(nil)
	_ ports.SessionUse     = (*Auth)(nil)
	_ ports.ServiceKeyList = (*Auth)(nil)
	_ ports.AuditLog       = (*Auth)(nil)
	_ ports.SearchBudget   = (*Auth)(nil)
)

// NewAuth returns a client of the auth service's instances at their public and their internal origins. via is how to
// reach them, nil the ordinary way. token is what all services share; the empty token is not sent.
func NewAuth(via http.RoundTripper, public, internal []string, token personal.Secret) *Auth {
	doer := func(origins []string) *http.Client {
		return newDoer(&failover{via: via, origins: origins}, authTimeout)
	}
	return &Auth{doer: doer(public), internal: newClient(anywhere, token, doer(internal))}
}

// WithKeysThrough returns a copy that fetches the public keys through a transport that finds the service itself.
func (a *Auth) WithKeysThrough(t http.RoundTripper) *Auth {
	with := *a
	with.doer = newDoer(t, authTimeout)
	return &with
}

// WithAuditCredential returns a copy that sends the credential by which the auth service knows the caller when it
// writes to the audit trail or counts searches.
func (a *Auth) WithAuditCredential(credential personal.Secret) *Auth {
	with := *a
	with.credential = nil
	if c := credential.Reveal(); c != "" {
		with.credential = &c
	}
	return &with
}

// Keys returns the signing keys as a JSON Web Key Set.
func (a *Auth) Keys(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, anywhere+"/.well-known/jwks.json", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("internalclient: %w", err)
	}
	return read(func() (*http.Response, error) { return a.doer.Do(req) }, http.StatusOK, maxAuthAnswer)
}

var errNoTime = errors.New("it has no time")

// Since implements ports.RevocationFeed. An answer that is not understood as a whole is an error.
func (a *Auth) Since(ctx context.Context, t time.Time) (auth.Feed, error) {
	params := &gen.ListRevocationsParams{}
	if !t.IsZero() {
		params.Since = new(t.UTC())
	}
	body, err := read(func() (*http.Response, error) {
		return a.internal.ListRevocations(ctx, params)
	}, http.StatusOK, maxAuthAnswer)
	if err != nil {
		return auth.Feed{}, err
	}
	answer, err := decode[gen.Revocations](body)
	if err != nil {
		return auth.Feed{}, err
	}
	if answer.AsOf.IsZero() {
		return auth.Feed{}, badAnswer(errNoTime)
	}
	return fromRevocations(answer)
}

// Used implements ports.SessionUse.
func (a *Auth) Used(ctx context.Context, sids []id.ID) error {
	_, err := read(func() (*http.Response, error) {
		return a.internal.ReportSessionUse(ctx, convertAll(sids, id.ID.String))
	}, http.StatusNoContent, maxAuthAnswer)
	return err
}

// List implements ports.ServiceKeyList.
func (a *Auth) List(ctx context.Context) ([]auth.ServiceKey, error) {
	body, err := read(func() (*http.Response, error) {
		return a.internal.ListServiceKeys(ctx)
	}, http.StatusOK, maxAuthAnswer)
	if err != nil {
		return nil, err
	}
	answer, err := decode[gen.ServiceKeys](body)
	if err != nil {
		return nil, err
	}
	return fromServiceKeys(answer)
}

// Append implements ports.AuditLog: the auth service keeps the entry. SERVICE_UNAVAILABLE unless it confirms that the
// entry is durable.
func (a *Auth) Append(ctx context.Context, e audit.Entry) error {
	params := &gen.AppendAuditEntryParams{XAuditCredential: a.credential}
	entry := gen.AuditEntry{
		Actor: e.Actor, Action: e.Action, Subject: e.Subject, Reason: e.Reason, Outcome: string(e.Outcome),
		Detail: e.Detail, IP: e.IP,
	}
	if _, err := read(func() (*http.Response, error) {
		return a.internal.AppendAuditEntry(ctx, params, entry)
	}, http.StatusNoContent, maxAuthAnswer); err != nil {
		return unavailable(err)
	}
	return nil
}

// Spend implements ports.SearchBudget: the auth service counts.
func (a *Auth) Spend(ctx context.Context, person string, n line.Number) (string, error) {
	params := &gen.CountExactSearchParams{XAuditCredential: a.credential}
	body, err := read(func() (*http.Response, error) {
		return a.internal.CountExactSearch(ctx, params, gen.ExactSearch{Person: person, Line: n.Digits()})
	}, http.StatusOK, maxAuthAnswer)
	if err == nil {
		counted, wrong := decode[gen.CountedSearch](body)
		if wrong == nil {
			return counted.Index, nil
		}
		err = wrong
	}
	var answered *statusError
	if errors.As(err, &answered) && answered.status == http.StatusTooManyRequests {
		if refusal, wrong := decode[gen.Refusal](answered.body); wrong == nil {
			return "", fault.New(fault.RateLimitExceeded).WithMessage(
				"회선번호 조회 한도를 초과하였습니다. 잠시 후 다시 시도해주세요").
				RetryIn(seconds(refusal.RetryInSeconds))
		}
	}
	return "", unavailable(err)
}
