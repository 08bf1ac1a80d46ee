package compose

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/adapters/internalclient"
	"phonebill/adapters/jose"
	"phonebill/adapters/valkey"
	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/personal"
	"phonebill/ports"
)

const (
	pullEvery = 500 * time.Millisecond // how often revocations are pulled (ADR 14)
	tellEvery = 5 * time.Second        // how often the auth service is told which sessions are in use
)

// guard verifies tokens with the auth service's keys and revocations; the unit is not ready before it has both.
func (p *parts) guard(keys jose.FetchKeys, feed ports.RevocationFeed) *access.Guard {
	verifier := jose.NewVerifier(keys)
	revoked := access.NewRevoked(feed, verifier, p.Now, auth.DefaultSessions().Access)
	p.checks["keys"] = func(ctx context.Context) error {
		if verifier.Ready() {
			return nil
		}
		return verifier.Refresh(ctx)
	}
	p.checks["revocations"] = func(ctx context.Context) error {
		if revoked.Ready() {
			return nil
		}
		return revoked.Pull(ctx)
	}
	p.worker("revocations", pullEvery, p.pull(revoked))
	return &access.Guard{Verifier: verifier, Revoked: revoked, Now: p.Now}
}

// pull pulls, counts what goes wrong and tells how old the last good answer is: without both ways of hearing, a revocation holds only
// when the token ends (docs/revocation.md).
func (p *parts) pull(revoked *access.Revoked) func(context.Context) (int, error) {
	failed := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "revocation_pulls_failed_total", Help: "Questions to the auth service for revocations that were not answered.",
	})
	p.registry.MustRegister(failed,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "revocation_feed_age_seconds", Help: "How long ago the revocations were last known completely; alert above 5.",
		}, func() float64 { return revoked.Age().Seconds() }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "revocations_held", Help: "Ended sessions and changed users that are held in memory.",
		}, func() float64 { return float64(revoked.Held()) }))
	return func(ctx context.Context) (int, error) {
		err := revoked.Pull(ctx)
		if err != nil && ctx.Err() == nil {
			failed.Inc()
			err = fmt.Errorf("revocations cannot be pulled; going on with those known %s ago and what is pushed: %w", revoked.Age(), err)
		}
		return 0, err
	}
}

// guardBy is the guard of everybody but the auth service itself. Without a cache it pulls alone.
func (p *parts) guardBy(l AuthLink, cache *valkey.Client) (*access.Guard, error) {
	link := internalclient.NewAuth(l.URL, l.InternalURL, l.Token)
	g := p.guard(link.Keys, link)
	g.Seen = access.NewSeen(link, p.Now)
	p.worker("session-use", tellEvery, func(ctx context.Context) (int, error) { return 0, g.Seen.Flush(ctx) })
	if cache == nil {
		return g, nil
	}
	_, err := p.listen(cache, l.Token, g.Revoked)
	return g, err
}

// listen makes the guard hear what is pushed through the cache.
func (p *parts) listen(cache *valkey.Client, token personal.Secret, revoked *access.Revoked) (ports.RevocationPush, error) {
	push, err := valkey.NewPush(cache, token, p.Log)
	if err != nil {
		return nil, err
	}
	p.unit.Workers = append(p.unit.Workers, func(ctx context.Context) { push.Listen(ctx, revoked, revoked.Pull) })
	return push, nil
}

// everywhere pushes to each in turn: the own guard first, which is at once.
type everywhere []ports.RevocationPush

// Push implements ports.RevocationPush.
func (e everywhere) Push(ctx context.Context, ended ...auth.Revocation) {
	if len(ended) == 0 {
		return
	}
	for _, p := range e {
		p.Push(ctx, ended...)
	}
}
