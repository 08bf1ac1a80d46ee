// Package opslink is how the gateway and the command line ask the instances of the services, on their internal listeners.
package opslink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/ports"
)

const maxAnswer = 1 << 20

// Link implements ports.Instances. It is safe for concurrent use. How long an answer may take is the caller's context.
type Link struct {
	all     []operations.Instance
	origins map[operations.Instance]string
	token   personal.Secret
	http    *http.Client
}

var _ ports.Instances = (*Link)(nil)

// Service are the instances of one service by the origins of their internal listeners.
type Service struct {
	Name    string
	Origins []string
}

// New answers a link; token is what all services share, empty = none. An instance is named by host and port. An origin that is none, or
// that stands there twice, is an error.
func New(token personal.Secret, services ...Service) (*Link, error) {
	l := &Link{origins: map[operations.Instance]string{}, token: token, http: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, s := range services {
		for _, origin := range s.Origins {
			u, err := url.Parse(origin)
			if err != nil || u.Host == "" || u.Path != "" {
				return nil, fmt.Errorf("opslink: %q is not an origin like http://host:9082", origin)
			}
			i := operations.Instance{Service: s.Name, Name: u.Host}
			if _, twice := l.origins[i]; twice {
				return nil, fmt.Errorf("opslink: %s has %s twice", s.Name, u.Host)
			}
			l.all, l.origins[i] = append(l.all, i), u.Scheme+"://"+u.Host
		}
	}
	return l, nil
}

// All implements ports.Instances.
func (l *Link) All() []operations.Instance { return append([]operations.Instance(nil), l.all...) }

var (
	errUnknown = errors.New("opslink: no such instance")
	errLong    = fmt.Errorf("opslink: an answer over %d bytes", maxAnswer)
)

// Status implements ports.Instances.
func (l *Link) Status(ctx context.Context, i operations.Instance) (operations.Status, error) {
	raw, err := l.get(ctx, i, "/internal/v1/operations/status")
	if err != nil {
		return operations.Status{}, err
	}
	var answer told
	if err := json.Unmarshal(raw, &answer); err != nil {
		return operations.Status{}, fmt.Errorf("opslink: %w: %w", ports.ErrBadAnswer, err)
	}
	if answer.Service != i.Service {
		return operations.Status{}, fmt.Errorf("opslink: %w: it is of %q", ports.ErrBadAnswer, answer.Service)
	}
	return answer.status(), nil
}

func (l *Link) get(ctx context.Context, i operations.Instance, path string) ([]byte, error) {
	origin, known := l.origins[i]
	if !known {
		return nil, errUnknown
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+path, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("opslink: %w", err)
	}
	if l.token.Reveal() != "" {
		req.Header.Set("Authorization", "Bearer "+l.token.Reveal())
	}
	res, err := l.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("opslink: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return nil, fmt.Errorf("opslink: %w", ports.ErrRefused)
	default:
		return nil, fmt.Errorf("opslink: %w: status %d", ports.ErrBadAnswer, res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("opslink: %w", err)
	case len(body) > maxAnswer:
		return nil, errors.Join(ports.ErrBadAnswer, errLong)
	}
	return body, nil
}
