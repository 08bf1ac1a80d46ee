package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"phonebill/adapters/jose"
	"phonebill/adapters/memory"
	"phonebill/adapters/rest/internalapi"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/gateway"
	"phonebill/cmd/internal/compose/service"
	"phonebill/core/auth"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/core/ratelimit"
)

// gatewayInfo is what the gateway process prints: its addresses and a token of each user.
type gatewayInfo struct {
	Addr     string   `json:"addr"`
	Internal string   `json:"internal"`
	Tokens   []string `json:"tokens"`
}

// gateway starts our gateway as a process and returns when it is ready.
func (d *doors) gateway(ctx context.Context, more ...string) (g gatewayInfo, pid int, err error) {
	args := append([]string{"gateway", "-users", strconv.Itoa(d.users), "-cache", d.cache.Addr()}, more...)
	if d.files != nil {
		args = append(args, "-cert", d.files.paths.Cert, "-key", d.files.paths.Key)
	}
	env := []string{"VALKEY_PASSWORD=" + d.cache.Password()}
	printed, pid, err := d.self(ctx, env, append(args, "http://"+d.backend)...)
	if err != nil {
		return g, 0, err
	}
	if err := json.Unmarshal([]byte(printed), &g); err != nil {
		return g, 0, fmt.Errorf("bench: gateway: %w", err)
	}
	return g, pid, awaitReady(ctx, g.Internal+"/readyz")
}

// decisions describes, from the gateway's metrics, what the limiter decided: that each request was counted, and where.
func (g gatewayInfo) decisions(ctx context.Context) (string, error) {
	metrics, err := scrape(ctx, g.Internal+"/metrics")
	if err != nil {
		return "", err
	}
	passed := metrics.sum("rate_limit_decisions_total", `outcome="passed"`)
	return fmt.Sprintf("the limiter let %.0f requests of %d users pass (%.1f %% by what it knew, %.1f %% by asking the "+
		"cache, %.1f %% without the cache) and refused %.0f; %.0f trips to the cache", passed, len(g.Tokens),
		100*metrics.sum("rate_limit_decisions_total", `outcome="passed"`, `by="local"`)/max(passed, 1),
		100*metrics.sum("rate_limit_decisions_total", `outcome="passed"`, `by="cache"`)/max(passed, 1),
		100*metrics.sum("rate_limit_decisions_total", `outcome="passed"`, `by="fallback"`)/max(passed, 1),
		metrics.sum("rate_limit_decisions_total", `outcome="refused"`), metrics.sum("rate_limit_cache_trips_total")), nil
}

// served are the settings of a gateway process.
type served struct {
	users            int
	cache, cert, key string
	waf              string
	backend          string
}

func parseServed(args []string) (s served, err error) {
	flags := flag.NewFlagSet("bench gateway", flag.ContinueOnError)
	flags.IntVar(&s.users, "users", 1, "how many users get a token")
	flags.StringVar(&s.cache, "cache", "", "address of the cache; its password is VALKEY_PASSWORD")
	flags.StringVar(&s.cert, "cert", "", "certificate of the listener")
	flags.StringVar(&s.key, "key", "", "its key")
	flags.StringVar(&s.waf, "waf", "off", "mode of the web application firewall")
	if err := flags.Parse(args); err != nil {
		return s, fmt.Errorf("bench: %w", err)
	}
	if flags.NArg() != 1 || s.users < 1 {
		return s, errors.New("usage: bench gateway [options] URL of the backend")
	}
	s.backend = flags.Arg(0)
	return s, nil
}

// serveGateway runs our gateway as it is deployed, in front of any backend, beside a little auth service that publishes
// one key and no revocations. It formats each line of the access log and writes none.
func serveGateway(ctx context.Context, env boot.Env, out io.Writer, args []string) error {
	s, err := parseServed(args)
	if err != nil {
		return err
	}
	boot.LetHeapGrow(env, boot.GatewayHeapGrowth)
	tools := service.RealTools(boot.Logger(io.Discard, "info", "json"))
	issuer, err := jose.NewIssuer(ctx, &memory.SigningKeys{}, auth.DefaultKeys(), tools.Now, tools.NewID)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) { write(w, issuer.JWKS()) })
	token := personal.NewSecret(rand.Text() + rand.Text())
	internal := &internalapi.Handlers{Revocations: &memory.Revocations{}, Log: tools.Log}
	mux.Handle(internalapi.Base, internal.Handler())
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	authSite := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = authSite.Serve(ln) }()
	defer func() { _ = authSite.Close() }()

	site := "http://" + ln.Addr().String()
	c := gateway.Config{
		Addr: "127.0.0.1:0", Internal: "127.0.0.1:0",
		Auth:      service.AuthLink{InternalURL: []string{site}},
		Upstreams: gateway.Origins{Auth: []string{site}, Bill: []string{s.backend}, Product: []string{s.backend}},
		Cache:     service.Cache{Addr: s.cache, Password: personal.NewSecret(env("VALKEY_PASSWORD"))},
		Limits:    gateway.Limits{Tiers: ratelimit.DefaultLimits(), Instances: 1},
		TLS:       gateway.TLS{Cert: s.cert, Key: s.key},
		Firewall:  gateway.Firewall{Mode: s.waf},
	}
	c.Auth.Token = token
	unit, err := gateway.NewWithProxies(ctx, c, tools)
	if err != nil {
		return err
	}
	running, err := unit.Start(ctx, tools.Log)
	if err != nil {
		return err
	}
	_, addr, _ := strings.Cut(running.URL, "://")
	info := gatewayInfo{Addr: addr, Internal: running.InternalURL}
	for i := range s.users {
		token, err := issuer.Issue(ctx, benchUser(i, tools), tools.Now())
		if err != nil {
			return err
		}
		info.Tokens = append(info.Tokens, token.Reveal())
	}
	if err := json.NewEncoder(out).Encode(info); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	<-ctx.Done()
	return running.Stop()
}

// benchUser returns one of many users: one of a hundred is a calling system's, five of a hundred are VIP.
func benchUser(i int, t service.Tools) auth.Principal {
	tier := auth.TierDefault
	switch {
	case i%100 == 0:
		tier = auth.TierMVNOAP
	case i%20 == 1:
		tier = auth.TierVIP
	}
	n, _ := line.Parse(fmt.Sprintf("010%08d", 10_000_000+i)) // it has the form of a line number
	return auth.Principal{
		UserID: auth.UserID(fmt.Sprintf("bench-%d", i)), SessionID: t.NewID(), CustomerID: "CUST-00000001",
		Lines: []line.Number{n}, Roles: []auth.Role{auth.Customer}, Permissions: []auth.Permission{auth.BillInquiry},
		Tier: tier, ExpiresAt: t.Now().Add(tokenLife),
	}
}

// tokenLife is as long as access tokens live.
const tokenLife = 30 * time.Minute
