// Package authlink is how the other services and the gateway hear from the auth service: its keys and its revocations.
package authlink

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"phonebill/core/auth"
	"phonebill/core/id"
)

const (
	timeout   = 2 * time.Second
	maxAnswer = 8 << 20
)

// Link implements ports.RevocationFeed and ports.SessionUse, and answers the keys. It is safe for concurrent use.
type Link struct {
	public, internal string
	http             *http.Client
}

// New answers a link to the auth service's public and internal origin.
func New(public, internal string) *Link {
	return &Link{public: public, internal: internal, http: &http.Client{Timeout: timeout}}
}

// Keys answers the JWKS as JSON.
func (l *Link) Keys(ctx context.Context) ([]byte, error) {
	return l.get(ctx, l.public+"/.well-known/jwks.json")
}

// revocation is one entry on the wire.
type revocation struct {
	SessionID string    `json:"sid"`
	At        time.Time `json:"at"`
}

// Since answers the sessions revoked at or after t.
func (l *Link) Since(ctx context.Context, t time.Time) ([]auth.Revocation, error) {
	raw, err := l.get(ctx, l.internal+"/internal/revocations?since="+url.QueryEscape(t.UTC().Format(time.RFC3339Nano)))
	if err != nil {
		return nil, err
	}
	var list []revocation
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("authlink: %w", err)
	}
	out := make([]auth.Revocation, len(list))
	for i, r := range list {
		sid, err := id.Parse(r.SessionID)
		if err != nil {
			return nil, fmt.Errorf("authlink: %w", err)
		}
		out[i] = auth.Revocation{SessionID: sid, At: r.At}
	}
	return out, nil
}

// Used implements ports.SessionUse: it tells the auth service which sessions are in use.
func (l *Link) Used(ctx context.Context, sids []id.ID) error {
	raw, err := json.Marshal(sids)
	if err != nil {
		return fmt.Errorf("authlink: %w", err)
	}
	_, err = l.do(ctx, http.MethodPost, l.internal+"/internal/sessions/used", bytes.NewReader(raw), http.StatusNoContent)
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
		return nil, fmt.Errorf("authlink: the auth service answered %d", res.StatusCode)
	}
	return body, nil
}
