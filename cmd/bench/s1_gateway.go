package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"phonebill/adapters/jose"
	"phonebill/adapters/memory"
	"phonebill/adapters/rest/internalapi"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/gateway"
	"phonebill/cmd/internal/compose/service"
	"phonebill/core/auth"
	"phonebill/core/line"
)

// gatewayScenario is S1: an authenticated, routed GET through our gateway against a bare httputil.ReverseProxy without
// any check, in front of the same backend.
func gatewayScenario(ctx context.Context, o options, r *report) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	backend, stop, err := spawn(ctx, nil, self, "serve", "backend")
	if err != nil {
		return err
	}
	defer stop()
	proxy, stop, err := spawn(ctx, nil, self, "serve", "proxy", "http://"+backend)
	if err != nil {
		return err
	}
	defer stop()
	printed, stop, err := spawn(ctx, []string{"LOG_LEVEL=info"}, self, "gateway", "http://"+backend)
	if err != nil {
		return err
	}
	defer stop()
	var g gatewayInfo
	if err := json.Unmarshal([]byte(printed), &g); err != nil {
		return fmt.Errorf("bench: gateway: %w", err)
	}
	if err := awaitReady(ctx, g.Internal+"/readyz"); err != nil {
		return err
	}
	to := func(addr, token string) func(int) request {
		req := newRequest(addr, http.MethodGet, "/api/v1/bills/menu", token, "")
		return func(int) request { return req }
	}
	rows, err := compare(ctx, o, r, "S1",
		subject{"backend alone", to(backend, "")},
		subject{"bare reverse proxy", to(proxy, "")},
		subject{"phonebill gateway", to(g.Addr, g.Token)},
	)
	if err != nil {
		return err
	}
	bare, mine := rows[1], rows[2]
	through := mine.Closed.PerSecond / bare.Closed.PerSecond
	tail := float64(mine.Open.P99) / float64(bare.Open.P99)
	r.Bars = append(r.Bars,
		bar{"S1 throughput / bare reverse proxy", ">= 0.75", through, through >= 0.75},
		bar{"S1 p99 / bare reverse proxy", "<= 1.5", tail, tail <= 1.5})
	return nil
}

// gatewayInfo is what the gateway process prints: its addresses and a token that it accepts.
type gatewayInfo struct {
	Addr     string `json:"addr"`
	Internal string `json:"internal"`
	Token    string `json:"token"`
}

// serveGateway runs our gateway as it is deployed, in front of any backend, beside a little auth service that publishes
// one key and no revocations.
func serveGateway(ctx context.Context, out io.Writer, args []string) error {
	tools := service.RealTools(boot.Logger(io.Discard, "info", "json")) // formats each access-log line, writes none
	issuer, err := jose.NewIssuer(ctx, &memory.SigningKeys{}, auth.DefaultKeys(), tools.Now, tools.NewID)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) { write(w, issuer.JWKS()) })
	internal := &internalapi.Handlers{Revocations: &memory.Revocations{}, Log: tools.Log}
	mux.Handle(internalapi.Base, internal.Handler())
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	authSite := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = authSite.Serve(ln) }()
	defer func() { _ = authSite.Close() }()

	c := gateway.Config{
		Addr: "127.0.0.1:0", Internal: "127.0.0.1:0",
		Auth: service.AuthLink{InternalURL: []string{"http://" + ln.Addr().String()}},
		Upstreams: gateway.Origins{
			Auth: []string{"http://" + ln.Addr().String()}, Bill: args[:1], Product: args[:1],
		},
	}
	unit, err := gateway.NewWithProxies(ctx, c, tools)
	if err != nil {
		return err
	}
	running, err := unit.Start(ctx, tools.Log)
	if err != nil {
		return err
	}
	n, err := line.Parse("01012345678")
	if err != nil {
		return err
	}
	now := tools.Now()
	token, err := issuer.Issue(ctx, auth.Principal{
		UserID:     "bench",
		SessionID:  tools.NewID(),
		CustomerID: "CUST-00000001",
		Lines:      []line.Number{n},
		Roles: []auth.Role{
			auth.Customer,
		},
		Permissions: []auth.Permission{auth.BillInquiry},
		ExpiresAt:   now.Add(30 * time.Minute),
	}, now)
	if err != nil {
		return err
	}
	info := gatewayInfo{Addr: running.URL[len("http://"):], Internal: running.InternalURL, Token: token.Reveal()}
	if err := json.NewEncoder(out).Encode(info); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	<-ctx.Done()
	return running.Stop()
}

func awaitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("bench: %s does not get ready", url)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
