package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"phonebill/cmd/internal/devstack"
)

const (
	loginClients = 200
	readRate     = 200 // a second
	readers      = 2   // customers who read; the others log in, since a new session ends a customer's oldest
)

// loginScenario is S6: a plain read at a fixed rate through gateway and service, alone and then while 200 clients log
// in continuously with right passwords, retrying as Retry-After says. The baseline is the same with hashing in the
// service's own process.
func loginScenario(ctx context.Context, o options, r *report) error {
	for _, c := range []struct{ name, worker string }{
		{"hashing in the process", "off"}, {"hashing in a child of low priority", ""},
	} {
		alone, during, outcomes, err := readsDuringLogins(ctx, o, c.worker)
		if err != nil {
			return err
		}
		r.Rows = append(r.Rows,
			row{Scenario: "S6", Subject: "reads alone, " + c.name, Open: alone},
			row{Scenario: "S6", Subject: "reads during logins, " + c.name, Open: during})
		r.Notes = append(r.Notes, fmt.Sprintf("S6 %s: %d clients logging in: %v", c.name, loginClients, outcomes))
		for status := range outcomes {
			if status != http.StatusOK && status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
				return fmt.Errorf("bench: a right password was answered with %d", status)
			}
		}
		ratio := float64(during.P99) / float64(alone.P99)
		if c.worker == "" {
			r.Bars = append(r.Bars, bar{"S6 read p99 during 200 parallel logins / alone", "< 4", ratio, ratio < 4})
		} else {
			r.Notes = append(r.Notes, fmt.Sprintf("S6 %s: p99 ratio %.2f", c.name, ratio))
		}
	}
	return nil
}

func readsDuringLogins(
	ctx context.Context,
	o options,
	worker string,
) (alone, during result, outcomes map[int]int, err error) {
	f, stop, err := startSystem(ctx, "HASH_WORKER="+worker, "LOGIN_THROTTLE_PER_MINUTE=0")
	if err != nil {
		return alone, during, nil, err
	}
	defer stop()
	asks, err := menus(ctx, f)
	if err != nil {
		return alone, during, nil, err
	}
	next := func(c int) request { return asks[c%len(asks)] }
	o.progress.step("reads alone")
	open(ctx, o.connections, time.Second, readRate, next) // warm up
	alone = open(ctx, o.connections, o.duration, readRate, next)
	o.progress.step("reads during logins")
	logins := begin(ctx, f)
	during = open(ctx, o.connections, o.duration, readRate, next)
	outcomes = logins.end()
	return alone, during, outcomes, ctx.Err()
}

// menus logs the readers in and returns their requests of the bill menu, which needs neither KOS nor a database.
func menus(ctx context.Context, f devstack.DemoFile) ([]request, error) {
	addr := strings.TrimPrefix(f.BaseURL, "http://")
	var asks []request
	for _, c := range f.Customers[:readers] {
		var login struct {
			Data struct {
				AccessToken string `json:"accessToken"`
			} `json:"data"`
		}
		body := map[string]string{"userId": c.UserID, "password": c.Password}
		if err := post(ctx, f.BaseURL+"/api/v1/auth/login", "", body, &login); err != nil {
			return nil, err
		}
		asks = append(asks, newRequest(addr, http.MethodGet, "/api/v1/bills/menu", login.Data.AccessToken, ""))
	}
	return asks, nil
}

// logins are clients that log in until end is called.
type logins struct {
	stop     context.CancelFunc
	all      sync.WaitGroup
	mu       sync.Mutex
	outcomes map[int]int
}

func begin(ctx context.Context, f devstack.DemoFile) *logins {
	ctx, stop := context.WithCancel(ctx)
	l := &logins{stop: stop, outcomes: map[int]int{}}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: loginClients}}
	for n := range loginClients {
		who := f.Customers[readers+n%(len(f.Customers)-readers)]
		l.all.Go(func() { l.run(ctx, client, f.BaseURL+"/api/v1/auth/login", who) })
	}
	return l
}

func (l *logins) end() map[int]int {
	l.stop()
	l.all.Wait()
	return l.outcomes
}

func (l *logins) run(ctx context.Context, client *http.Client, url string, who devstack.Login) {
	body, err := json.Marshal(map[string]string{"userId": who.UserID, "password": who.Password})
	for err == nil && ctx.Err() == nil {
		var status int
		var wait time.Duration
		if status, wait, err = logIn(ctx, client, url, body); err != nil {
			return
		}
		l.mu.Lock()
		l.outcomes[status]++
		l.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(wait + rand.N(time.Second)): //nolint:gosec // not all at once again
		}
	}
}

func logIn(
	ctx context.Context,
	client *http.Client,
	url string,
	body []byte,
) (status int, wait time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, 0, fmt.Errorf("bench: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return 0, 0, fmt.Errorf("bench: %w", err)
	}
	seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
	if err := res.Body.Close(); err != nil {
		return 0, 0, fmt.Errorf("bench: %w", err)
	}
	return res.StatusCode, time.Duration(seconds) * time.Second, nil
}
