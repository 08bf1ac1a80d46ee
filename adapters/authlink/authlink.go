// Package authlink is how the other services and the gateway hear from the auth service: its keys and its revocations.
package authlink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/personal"
)

const (
	timeout   = 2 * time.Second
	maxAnswer = 64 << 20 // some 600,000 revocations
)

// Link implements ports.RevocationFeed and ports.SessionUse, and answers the keys. It is safe for concurrent use.
type Link struct {
	public, internal string
	token            personal.Secret
	audit            personal.Secret
	http             *http.Client
}

// New answers a link to the auth service's public and internal origin. token is what all services share; empty = none.
func New(public, internal string, token personal.Secret) *Link {
	return &Link{public: public, internal: internal, token: token, http: &http.Client{
		Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Auditing is the link with the credential that lets its owner put into the audit log what its staff do.
func (l *Link) Auditing(credential personal.Secret) *Link {
	with := *l
	with.audit = credential
	return &with
}

// Keys answers the JWKS as JSON.
func (l *Link) Keys(ctx context.Context) ([]byte, error) {
	return l.get(ctx, l.public+"/.well-known/jwks.json")
}

// told is the answer on the wire, version 1.
type told struct {
	AsOf     time.Time `json:"asOf"`
	Keys     []string  `json:"keys"`
	Sessions []struct {
		SessionID string    `json:"sid"`
		At        time.Time `json:"at"`
		Why       string    `json:"why"`
	} `json:"sessions"`
	Users []struct {
		UserID string    `json:"userId"`
		Epoch  int       `json:"epoch"`
		At     time.Time `json:"at"`
	} `json:"users"`
}

var errNoTime = errors.New("authlink: an answer without its time")

// Since implements ports.RevocationFeed. An answer that is not understood as a whole is an error.
func (l *Link) Since(ctx context.Context, t time.Time) (auth.Feed, error) {
	address := l.internal + "/internal/v1/revocations"
	if !t.IsZero() {
		address += "?since=" + url.QueryEscape(t.UTC().Format(time.RFC3339Nano))
	}
	raw, err := l.get(ctx, address)
	if err != nil {
		return auth.Feed{}, err
	}
	var answer told
	if err := json.Unmarshal(raw, &answer); err != nil {
		return auth.Feed{}, fmt.Errorf("authlink: %w", err)
	}
	if answer.AsOf.IsZero() {
		return auth.Feed{}, errNoTime
	}
	out := auth.Feed{AsOf: answer.AsOf, KeyIDs: answer.Keys}
	for _, s := range answer.Sessions {
		sid, err := id.Parse(s.SessionID)
		if err != nil {
			return auth.Feed{}, fmt.Errorf("authlink: %w", err)
		}
		out.Revocations = append(out.Revocations, auth.Revocation{SessionID: sid, At: s.At, Why: auth.EndReason(s.Why)})
	}
	for _, u := range answer.Users {
		user, err := auth.ParseUserID(u.UserID)
		if err != nil {
			return auth.Feed{}, fmt.Errorf("authlink: %w", err)
		}
		out.Revocations = append(out.Revocations, auth.Revocation{UserID: user, Epoch: u.Epoch, At: u.At})
	}
	return out, nil
}

// Used implements ports.SessionUse: it tells the auth service which sessions are in use.
func (l *Link) Used(ctx context.Context, sids []id.ID) error {
	raw, err := json.Marshal(sids)
	if err != nil {
		return fmt.Errorf("authlink: %w", err)
	}
	_, err = l.do(ctx, http.MethodPost, l.internal+"/internal/v1/sessions/used", bytes.NewReader(raw), http.StatusNoContent)
	return err
}

func (l *Link) get(ctx context.Context, address string) ([]byte, error) {
	return l.do(ctx, http.MethodGet, address, http.NoBody, http.StatusOK)
}

func (l *Link) do(ctx context.Context, method, address string, payload io.Reader, want int) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, payload)
	if err != nil {
		return nil, fmt.Errorf("authlink: %w", err)
	}
	if strings.HasPrefix(address, l.internal+"/internal/") && l.token.Reveal() != "" {
		req.Header.Set("Authorization", "Bearer "+l.token.Reveal())
	}
	if l.audit.Reveal() != "" && (address == l.internal+auditPath || address == l.internal+searchesPath) {
		req.Header.Set("X-Audit-Credential", l.audit.Reveal())
	}
	res, err := l.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("authlink: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("authlink: %w", err)
	}
	if res.StatusCode != want {
		return nil, &statusError{res.StatusCode, body}
	}
	return body, nil
}
