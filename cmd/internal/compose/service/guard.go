package service

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
	"phonebill/core/auth/keys"
	"phonebill/core/personal"
	"phonebill/ports"
)

const (
	// pullInterval is how often revocations are pulled (ADR 14).
	pullInterval = 500 * time.Millisecond
	// sessionUseInterval is how often the auth service is sent which sessions are in use.
	sessionUseInterval = 5 * time.Second
	// serviceKeysInterval is how often the keys of services are read again; retiring one takes effect within it.
	serviceKeysInterval = 2 * time.Second
)

// Guard returns the check of tokens with the auth service's keys and revocations; the unit is not ready before it has
// both.
func (b *Builder) Guard(signingKeys jose.FetchKeys, feed ports.RevocationFeed) *access.Guard {
	verifier := jose.NewVerifier(signingKeys)
	revoked := access.NewRevoked(feed, verifier, b.Now, auth.DefaultSessions().Access)
	b.Checks["keys"] = func(ctx context.Context) error {
		if verifier.Ready() {
			return nil
		}
		return verifier.Refresh(ctx)
	}
	b.Checks["revocations"] = func(ctx context.Context) error {
		if revoked.Ready() {
			return nil
		}
		return revoked.Pull(ctx)
	}
	b.Worker("revocations", pullInterval, b.pullRevocations(revoked))
	return &access.Guard{Verifier: verifier, Revoked: revoked, Now: b.Now}
}

// pullRevocations returns the step that pulls, counts failures and reports how old the last good response is: without
// both ways of hearing, a revocation holds only when the token ends (docs/revocation.md).
func (b *Builder) pullRevocations(revoked *access.Revoked) func(context.Context) (int, error) {
	failed := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "revocation_pulls_failed_total", Help: "Questions to the auth service for revocations that were not answered.",
	})
	b.Registry.MustRegister(failed,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "revocation_feed_age_seconds", Help: "How long ago the revocations were last known completely; alert above 5.",
		}, func() float64 { return revoked.Age().Seconds() }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "revocations_held", Help: "Ended sessions and changed users that are held in memory.",
		}, func() float64 { return float64(revoked.Size()) }))
	return func(ctx context.Context) (int, error) {
		err := revoked.Pull(ctx)
		if err != nil && ctx.Err() == nil {
			failed.Inc()
			err = fmt.Errorf("revocations cannot be pulled; going on with those known %s ago and what is pushed: %w",
				revoked.Age(), err)
		}
		return 0, err
	}
}

// GuardByAuth returns the check of tokens of every unit but the auth service. Without a cache revocations are pulled
// alone.
func (b *Builder) GuardByAuth(l AuthLink, cache *valkey.Client) (*access.Guard, error) {
	return b.GuardBy(internalclient.NewAuth(b.Via, l.URL, l.InternalURL, l.Token), l.Token, cache)
}

// GuardBy is GuardByAuth with a link that exists already; token is what all services share.
func (b *Builder) GuardBy(
	link *internalclient.Auth, token personal.Secret, cache *valkey.Client,
) (*access.Guard, error) {
	g := b.Guard(link.Keys, link)
	g.UsedSessions = access.NewUsedSessions(link, b.Now)
	b.Worker("session-use", sessionUseInterval, func(ctx context.Context) (int, error) {
		return 0, g.UsedSessions.Flush(ctx)
	})
	if cache == nil {
		return g, nil
	}
	_, err := b.ReceiveRevocations(cache, token, g.Revoked)
	return g, err
}

// RecogniseServices returns the systems that call for their users (ADR 29), by the keys that are known to list.
func (b *Builder) RecogniseServices(list ports.ServiceKeyList) *keys.Registry {
	r := keys.NewRegistry(list, b.Now)
	b.Worker("service keys", serviceKeysInterval, func(ctx context.Context) (int, error) { return 0, r.Reload(ctx) })
	return r
}

// ReceiveRevocations adds the worker that takes what is pushed through the cache, and returns the push.
func (b *Builder) ReceiveRevocations(
	cache *valkey.Client, token personal.Secret, revoked *access.Revoked,
) (ports.RevocationPush, error) {
	push, err := valkey.NewPush(cache, token, b.Log)
	if err != nil {
		return nil, err
	}
	b.Unit.Workers = append(b.Unit.Workers, func(ctx context.Context) { push.Listen(ctx, revoked, revoked.Pull) })
	return push, nil
}
