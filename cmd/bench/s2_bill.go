package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"phonebill/adapters/devservers"
	"phonebill/cmd/internal/devstack"
)

// billScenario is S2: a cached bill inquiry through gateway and service, with its durable history row, against a bare
// Go handler that does one cache GET, behind a bare httputil.ReverseProxy.
func billScenario(ctx context.Context, o options, r *report) error {
	dir, err := devservers.TempDir("phonebill-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	f, err := startIn(ctx, dir, fmt.Sprintf("MVNOAP_RATE=%d", deliveryRate))
	if err != nil {
		return err
	}
	defer func() { f.stop() }()
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
	asks, err := inquiries(ctx, f.DemoFile)
	if err != nil {
		return err
	}
	plain := newRequest(proxy, http.MethodPost, "/api/v1/bills/inquiry", "", `{"lineNumber":"01012345678"}`)
	rows, err := compare(ctx, o, r, "S2",
		subject{name: "one cache GET behind bare proxy", next: func(int) request { return plain }},
		subject{name: "phonebill cached bill inquiry", next: func(c int) request { return asks[c%len(asks)] }},
	)
	if err != nil {
		return err
	}
	ratio := rows[1].Closed.PerSecond / rows[0].Closed.PerSecond
	tail := ms(rows[1].Open.P99) / ms(rows[0].Open.P99)
	r.Bars = append(r.Bars,
		bar{"S2 throughput / bare handler, proxy, cache GET", ">= 0.60", ratio, ratio >= 0.60},
		bar{"S2 p99 / bare handler, proxy, cache GET", "<= 2", tail, tail <= 2})
	acknowledged := len(asks) + rows[1].warmUp + rows[1].Closed.Requests + rows[1].Open.Requests
	if err := checkRecorded(ctx, f.Databases["bill"], r, acknowledged); err != nil {
		return err
	}
	o.progress.step("draining the backlog of deliveries")
	f.stop()
	if f, err = startIn(ctx, dir); err != nil { // the same data, no limit
		f = &running{stop: func() {}}
		return err
	}
	return measureDrain(ctx, f.Databases["bill"], r)
}

// deliveryRate is how many results a second are delivered to the MVNO AP server at most during the load.
const deliveryRate = 500

// inquiries logs the normal demo customers in, asks for their bills once, so that the next time they come from the
// cache, and returns the requests for the next time.
func inquiries(ctx context.Context, f devstack.DemoFile) ([]request, error) {
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

// checkRecorded returns an error unless every acknowledged inquiry has its row, and notes how fast results were
// delivered meanwhile. There may be a few rows more: of requests whose answer was not read when a load ended.
func checkRecorded(ctx context.Context, bills string, r *report, acknowledged int) error {
	db, err := pgx.Connect(ctx, bills)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = db.Close(ctx) }()
	var rows, delivered, most int
	const count = `SELECT count(*), count(*) FILTER (WHERE delivery_state = 'DELIVERED'),
		(SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM inquiries GROUP BY date_trunc('second', delivered_at)
			HAVING date_trunc('second', delivered_at) IS NOT NULL) AS each) FROM inquiries`
	if err := db.QueryRow(ctx, count).Scan(&rows, &delivered, &most); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if rows < acknowledged {
		return fmt.Errorf("bench: %d inquiries were acknowledged, %d have a row", acknowledged, rows)
	}
	r.Notes = append(r.Notes, fmt.Sprintf("S2: %d inquiries were acknowledged, %d have a row; %d results were delivered, "+
		"at most %d in a second (limited to %d/s); %d wait",
		acknowledged, rows, delivered, most, deliveryRate, rows-delivered))
	return nil
}

// measureDrain measures how fast the backlog is delivered once its rate is not limited. All results are of the few
// lines of the demo customers, so it is the order per line that limits it.
func measureDrain(ctx context.Context, bills string, r *report) error {
	db, err := pgx.Connect(ctx, bills)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = db.Close(ctx) }()
	backlog, left, begun := 0, 1, time.Now()
	for left > 0 {
		if err := db.QueryRow(ctx, `SELECT count(*) FROM inquiries WHERE delivery_state = 'PENDING'`).
			Scan(&left); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		backlog = max(backlog, left)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	took := time.Since(begun)
	rate := float64(backlog) / took.Seconds()
	r.Bars = append(r.Bars, bar{"S2 backlog of the MVNO AP drained, per second", ">= 2,000", rate, rate >= 2000})
	r.Notes = append(
		r.Notes,
		fmt.Sprintf("S2: %d results waited for the MVNO AP after a restart without the limit, drained in %s",
			backlog, took.Round(time.Millisecond)),
	)
	return nil
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
