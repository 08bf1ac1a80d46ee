package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"phonebill/adapters/credentials"
	"phonebill/adapters/devservers"
	"phonebill/adapters/kos/kossim"
	"phonebill/adapters/postgres"
	"phonebill/adapters/vault"
	"phonebill/core/auth"
	"phonebill/core/line"
	"phonebill/core/personal"
)

// dataset is a data folder with a thousand customers who are logged in and whose copies are warm. Scenarios start
// systems on it, one after the other.
type dataset struct {
	dir       string
	made      time.Time
	customers []customer
	demo      []customer // of the demo lines that bills may be asked of
	cost      string     // what it took, for the notes
	free      time.Time  // when the ledger of the quota has forgotten what was called without a limit
}

// customer is a user with a line and a token that is valid for 30 minutes.
type customer struct{ user, line, token string }

const (
	customerCount   = 1000
	datasetPassword = "bench-password-7!"
	// datasetLife is how long a dataset is used: its tokens must outlive every scenario that is begun with them.
	datasetLife = 8 * time.Minute
	datasetSeed = 7
)

// datasets keeps the current dataset of this run.
type datasets struct{ now *dataset }

// get returns the dataset; it makes a new one when there is none or it is too old.
func (t *datasets) get(ctx context.Context, p *progress) (*dataset, error) {
	if t.now != nil && time.Since(t.now.made) < datasetLife {
		return t.now, nil
	}
	t.close()
	p.step(fmt.Sprintf("making %d customers", customerCount))
	dir, err := devservers.TempDir("phonebill-bench-")
	if err != nil {
		return nil, err
	}
	t.now = &dataset{dir: dir}
	if err := t.now.prepare(ctx, p); err != nil {
		t.close()
		return nil, err
	}
	return t.now, nil
}

func (t *datasets) close() {
	if t.now != nil {
		_ = os.RemoveAll(t.now.dir)
	}
	t.now = nil
}

// prepare makes customers in KOS and accounts for them, logs them in, and asks once for everything that copies are kept
// of. Meanwhile the quota is lifted on both sides, KOS answers at once, and a password hash costs next to nothing: none
// of that is measured. What is measured later runs in processes of its own, started on the same data without any of it.
func (t *dataset) prepare(ctx context.Context, p *progress) error {
	begun := time.Now()
	cheap := credentials.HashParams{MemoryKiB: 64, Passes: 1, Lanes: 1}
	s, err := startIn(
		ctx,
		t.dir,
		"KOS_DELAY_PERCENT=0",
		"ARGON2_MEMORY_KIB=64",
		"ARGON2_PASSES=1",
		"LOGIN_THROTTLE_PER_MINUTE=0",
	)
	if err != nil {
		return err
	}
	defer s.stop()
	var lines []string
	body := map[string]int{"count": customerCount, "seed": datasetSeed}
	if err := post(ctx, s.KOS.Control+"/control/customers", "", body, &lines); err != nil {
		return err
	}
	if err := t.accounts(ctx, s, lines, cheap); err != nil {
		return err
	}
	for i, n := range lines {
		t.customers = append(t.customers, customer{user: fmt.Sprintf("bench-%d", i), line: n})
	}
	made := time.Now()
	p.step("logging them in")
	if err := t.logIn(ctx, s); err != nil {
		return err
	}
	loggedIn := time.Now()
	t.made = loggedIn
	p.step("fetching their copies")
	if err := t.warm(ctx, s); err != nil {
		return err
	}
	t.markBudgetSpent()
	t.cost = fmt.Sprintf("%d customers made in %s, logged in in %s, their copies fetched in %s", customerCount,
		made.Sub(begun).Round(time.Second), loggedIn.Sub(made).Round(time.Second), time.Since(loggedIn).Round(time.Second))
	return nil
}

// markBudgetSpent records that KOS was called without a limit until now: the ledger holds those calls, and a budget
// that counts them is used up.
func (t *dataset) markBudgetSpent() { t.free = time.Now().Add(65 * time.Second) }

// waitForBudget blocks until the ledger no longer counts those calls.
func (t *dataset) waitForBudget(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(t.free)):
		return nil
	}
}

// accounts creates accounts as the demo's are created, through the auth service's own store. All have one password,
// hashed once.
func (t *dataset) accounts(ctx context.Context, s *running, lines []string, cost credentials.HashParams) error {
	keyring, err := vault.Open(filepath.Join(t.dir, "keyring.json"))
	if err != nil {
		return err
	}
	pool, err := postgres.Pool(ctx, s.Databases["auth"], postgres.PoolConfig{Name: "bench", MaxConns: 4})
	if err != nil {
		return err
	}
	defer pool.Close()
	hash, err := credentials.NewHasher(cost).Hash(ctx, personal.NewSecret(datasetPassword))
	if err != nil {
		return err
	}
	users, now := postgres.NewUsers(pool, keyring), time.Now()
	return parallel(len(lines), 4, func(i int) error {
		n, err := line.Parse(lines[i])
		if err != nil {
			return err
		}
		owner := kossim.CustomerOf(lines[i])
		return users.Create(ctx, auth.User{
			UserID: auth.UserID(fmt.Sprintf("bench-%d", i)),
			Name:   personal.NewName(owner.CustomerName),
			Phone:  n,
			Email: personal.NewEmail(
				fmt.Sprintf("bench-%d@example.com", i),
			),
			CustomerID:   owner.CustomerID,
			Lines:        []line.Number{n},
			Roles:        []auth.Role{auth.Customer},
			Status:       auth.Active,
			PasswordHash: hash,
			CreatedAt:    now,
			Grants: []auth.Grant{
				{Permission: auth.BillInquiry, GrantedAt: now},
				{Permission: auth.ProductChange, GrantedAt: now},
			},
		})
	})
}

// logIn gets a token for every customer of the dataset and for every demo customer.
func (t *dataset) logIn(ctx context.Context, s *running) error {
	if err := parallel(len(t.customers), 8, func(i int) (err error) {
		t.customers[i].token, err = s.login(ctx, t.customers[i].user, datasetPassword)
		return err
	}); err != nil {
		return err
	}
	for _, c := range s.Customers {
		token, err := s.login(ctx, c.UserID, c.Password)
		if err != nil {
			return err
		}
		t.demo = append(t.demo, customer{c.UserID, c.LineNumber, token})
	}
	return nil
}

func (s *running) login(ctx context.Context, user, password string) (string, error) {
	var answer struct {
		Data struct {
			AccessToken string `json:"accessToken"`
		} `json:"data"`
	}
	err := post(ctx, s.BaseURL+"/api/v1/auth/login", "", map[string]string{"userId": user, "password": password}, &answer)
	return answer.Data.AccessToken, err
}

// warm asks once for everything that copies are kept of. From then on the copies are in PostgreSQL, and in the cache as
// long as it runs.
func (t *dataset) warm(ctx context.Context, s *running) error {
	return parallel(len(t.customers), 16, func(i int) error {
		for _, want := range t.customers[i].reads(s.addr())[:3] {
			if err := once(ctx, want); err != nil {
				return err
			}
		}
		return nil
	})
}

// reads returns the seven reads of a customer. The first three touch everything that copies are kept of.
func (p customer) reads(addr string) []namedRequest {
	get := func(kind, path string) namedRequest {
		return namedRequest{"read " + kind, newRequest(addr, http.MethodGet, "/api/v1"+path, p.token, "")}
	}
	return []namedRequest{
		{
			"read bill inquiry",
			newRequest(addr, http.MethodPost, "/api/v1/bills/inquiry", p.token, `{"lineNumber":"`+p.line+`"}`),
		},
		get(
			"products customer",
			"/products/customer/"+p.line,
		),
		get("products available", "/products/available?lineNumber="+p.line),
		get("bills menu", "/bills/menu"),
		get("products menu", "/products/menu"),
		get("bills history", "/bills/history"),
		get("products history", "/products/history"),
	}
}

// once sends one request over a connection of its own; any answer but 200 is an error.
func once(ctx context.Context, want namedRequest) error {
	c, err := dial(ctx, want.request)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.do(want.request); err != nil {
		return fmt.Errorf("%s: %w", want.kind, err)
	}
	return nil
}

// parallel calls do(0) to do(n-1), at most atOnce at a time, and returns the first error by index.
func parallel(n, atOnce int, do func(i int) error) error {
	errs := make([]error, n)
	turns := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := range n {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			errs[i] = do(i)
		})
	}
	all.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return errs[i]
	}
	return nil
}

// getJSON sends a GET and unmarshals the answer.
func getJSON(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("bench: %s answered %s", url, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// call sends a POST and returns its status.
func call(ctx context.Context, url, token string, body any) (status int, err error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(raw))
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	return res.StatusCode, res.Body.Close()
}
