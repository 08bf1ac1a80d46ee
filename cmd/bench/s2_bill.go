package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"phonebill/adapters/postgres/pgserver"
	"phonebill/cmd/internal/allinone"
	"phonebill/cmd/internal/demo"
)

// billScenario is S2: a cached bill inquiry through gateway and service, with its durable history row, against a bare Go handler
// that does one cache GET, behind a bare httputil.ReverseProxy.
func billScenario(ctx context.Context, o options, r *report) error {
	f, stop, err := startSystem(ctx)
	if err != nil {
		return err
	}
	defer stop()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	bare, stop, err := spawn(ctx, nil, self, "serve", "cacheget", f.Cache.Address, f.Cache.Password)
	if err != nil {
		return err
	}
	defer stop()
	proxy, stop, err := spawn(ctx, nil, self, "serve", "proxy", "http://"+bare)
	if err != nil {
		return err
	}
	defer stop()
	asks, err := customers(ctx, f)
	if err != nil {
		return err
	}
	plain := newRequest(proxy, http.MethodPost, "/api/v1/bills/inquiry", "", `{"lineNumber":"01012345678"}`)
	rows, err := compare(ctx, o, r, "S2",
		subject{"one cache GET behind bare proxy", func(int) request { return plain }},
		subject{"phonebill cached bill inquiry", func(c int) request { return asks[c%len(asks)] }},
	)
	if err != nil {
		return err
	}
	ratio := rows[1].Closed.PerSecond / rows[0].Closed.PerSecond
	r.Bars = append(r.Bars, bar{"S2 throughput / bare handler, proxy, cache GET", ">= 0.50", ratio, ratio >= 0.50})
	return drained(ctx, o, f, r, rows[1], func(c int) request { return asks[c%len(asks)] })
}

// startSystem runs the all-in-one as its own process with its own data, no limit on KOS calls, any free ports, and what more it is told.
func startSystem(ctx context.Context, more ...string) (demo.File, func(), error) {
	self, err := os.Executable()
	if err != nil {
		return demo.File{}, nil, fmt.Errorf("bench: %w", err)
	}
	dir, err := pgserver.TempDir("phonebill-bench-")
	if err != nil {
		return demo.File{}, nil, err
	}
	env := append([]string{"PHONEBILL_DATA=" + dir, "KOS_QUOTA_PER_MINUTE=0", "LOG_LEVEL=error"}, more...)
	for _, unit := range []string{"GATEWAY", "AUTH", "BILL", "PRODUCT"} {
		env = append(env, unit+"_ADDR=127.0.0.1:0", unit+"_INTERNAL_ADDR=127.0.0.1:0")
	}
	for _, sim := range []string{"KOS", "MVNOAP"} {
		env = append(env, sim+"_ADDR=127.0.0.1:0", sim+"_CONTROL_ADDR=127.0.0.1:0")
	}
	_, kill, err := spawn(ctx, env, filepath.Join(filepath.Dir(self), "phonebill"))
	if err != nil {
		return demo.File{}, nil, fmt.Errorf("%w (make build first)", err)
	}
	stop := func() { kill(); _ = os.RemoveAll(dir) }
	f, err := demo.Read(filepath.Join(dir, allinone.DemoFile))
	if err != nil {
		stop()
	}
	return f, stop, err
}

// customers logs the normal demo customers in and asks for their bills once, so that the next time they come from the cache.
func customers(ctx context.Context, f demo.File) ([]request, error) {
	addr := strings.TrimPrefix(f.BaseURL, "http://")
	var asks []request
	for _, c := range f.Customers {
		if c.Scenario != "normal" {
			continue
		}
		var login struct {
			Data struct {
				AccessToken string `json:"accessToken"`
			} `json:"data"`
		}
		body := map[string]string{"userId": c.UserID, "password": c.Password}
		if err := post(ctx, f.BaseURL+"/api/v1/auth/login", "", body, &login); err != nil {
			return nil, err
		}
		ask := map[string]string{"lineNumber": c.LineNumber}
		if err := post(ctx, f.BaseURL+"/api/v1/bills/inquiry", login.Data.AccessToken, ask, nil); err != nil {
			return nil, err
		}
		asks = append(asks, newRequest(addr, http.MethodPost, "/api/v1/bills/inquiry", login.Data.AccessToken,
			`{"lineNumber":"`+c.LineNumber+`"}`))
	}
	if len(asks) == 0 {
		return nil, errors.New("bench: no normal demo customer")
	}
	return asks, nil
}

func post(ctx context.Context, url, token string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("bench: %s answered %s", url, res.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// drained checks that every acknowledged inquiry has its row, lets a backlog pile up while the MVNO AP server is down, and measures how
// fast it is told once that is back. All results are of the few lines of the demo customers, so order is what limits it.
func drained(ctx context.Context, o options, f demo.File, r *report, mine row, next func(int) request) error {
	db, err := pgx.Connect(ctx, f.Databases["bill"])
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = db.Close(ctx) }()
	var rows int
	if err := db.QueryRow(ctx, `SELECT count(*) FROM inquiries`).Scan(&rows); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	acknowledged := mine.Closed.Requests + mine.Open.Requests
	if rows < acknowledged {
		return fmt.Errorf("bench: %d inquiries were acknowledged, %d have a row", acknowledged, rows)
	}
	if err := control(ctx, http.MethodPost, f.MVNOAP.Control+"/control/faults", `{"mode":"fail","status":503}`); err != nil {
		return err
	}
	closed(ctx, o.connections, 2*o.duration, next)
	if err := control(ctx, http.MethodDelete, f.MVNOAP.Control+"/control/faults", ""); err != nil {
		return err
	}
	backlog, took, err := drain(ctx, db)
	if err != nil {
		return err
	}
	rate := float64(backlog) / took.Seconds()
	r.Bars = append(r.Bars, bar{"S2 backlog of the MVNO AP drained, per second", ">= 2,000", rate, rate >= 2000})
	r.Note = append(r.Note, fmt.Sprintf("S2: %d inquiries have their history row; %d results waited for the MVNO AP, drained in %s",
		rows, backlog, took.Round(time.Millisecond)))
	return nil
}

// drain waits until the breaker lets results pass again and answers how many there were and how long they took from then on.
func drain(ctx context.Context, db *pgx.Conn) (backlog int, took time.Duration, err error) {
	left, begun := 0, time.Time{}
	for {
		if err := db.QueryRow(ctx, `SELECT count(*) FROM inquiries WHERE delivery_state = 'PENDING'`).Scan(&left); err != nil {
			return 0, 0, fmt.Errorf("bench: %w", err)
		}
		switch {
		case backlog == 0 || begun.IsZero() && left >= backlog:
			backlog = left
		case begun.IsZero() && left < backlog-backlog/100: // not the few that a half-open breaker tries
			backlog, begun = left, time.Now()
		case left == 0:
			return backlog, time.Since(begun), nil
		}
		select {
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func control(ctx context.Context, method, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return res.Body.Close()
}
