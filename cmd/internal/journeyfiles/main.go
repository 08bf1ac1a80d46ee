// Journeyfiles writes the coverage counters of one cold bill and of one plan change, each between the customer's call
// and the answer, and those of an idle system. It must be built with -cover -covermode=atomic; scripts/journey-files.sh
// does that and makes lists of files from the counters.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime/coverage"
	"time"

	"phonebill/cmd/internal/allinone"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/devstack"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: journeyfiles DATA-FOLDER COUNTERS-FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// idle is long enough for every worker to look for work a few times.
const idle = 5 * time.Second

func run(data, out string) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	vars := map[string]string{boot.Environment: "development", "PHONEBILL_DATA": data}
	for _, unit := range []string{"GATEWAY", "AUTH", "BILL", "PRODUCT"} {
		vars[unit+"_ADDR"], vars[unit+"_INTERNAL_ADDR"] = "127.0.0.1:0", "127.0.0.1:0"
	}
	for _, key := range []string{"KOS_ADDR", "KOS_CONTROL_ADDR", "MVNOAP_ADDR", "MVNOAP_CONTROL_ADDR"} {
		vars[key] = "127.0.0.1:0"
	}
	done := make(chan error, 1)
	go func() {
		env := func(key string) string { return vars[key] }
		done <- allinone.Run(ctx, env, io.Discard, boot.Logger(io.Discard, "info", "json"))
	}()
	system, err := await(filepath.Join(data, allinone.DemoFile), done)
	if err != nil {
		return err
	}
	return errors.Join(measure(ctx, system, out), func() error { stop(); return <-done }())
}

func await(path string, done <-chan error) (f devstack.DemoFile, err error) {
	for {
		if f, err = devstack.ReadDemo(path); err == nil {
			return f, nil
		}
		select {
		case err := <-done:
			return f, errors.Join(errors.New("the system ended"), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func measure(ctx context.Context, system devstack.DemoFile, out string) error {
	c := client{base: system.BaseURL}
	var lines []string
	var tokens []string
	for _, who := range system.Customers {
		if who.Scenario == "normal" && len(tokens) < 2 {
			token, err := c.login(ctx, who)
			if err != nil {
				return err
			}
			lines, tokens = append(lines, who.LineNumber), append(tokens, token)
		}
	}
	time.Sleep(idle)
	err := errors.Join(
		counted(out, "idle", func() error { time.Sleep(idle); return nil }),
		counted(out, "cold-bill", func() error {
			_, err := c.post(ctx, "/bills/inquiry", tokens[0], map[string]string{"lineNumber": lines[0]})
			return err
		}))
	time.Sleep(idle) // its delivery
	return errors.Join(err, counted(out, "change", func() error {
		_, err := c.post(ctx, "/products/change", tokens[1], map[string]string{
			"lineNumber": lines[1], "currentProductCode": "LTE-PREMIUM-001", "targetProductCode": "5G-PREMIUM-001",
		})
		return err
	}))
}

// counted writes the counters of what happens during the call.
func counted(out, name string, during func() error) error {
	dir := filepath.Join(out, name)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	if err := errors.Join(coverage.WriteMetaDir(dir), coverage.ClearCounters()); err != nil {
		return err
	}
	return errors.Join(during(), coverage.WriteCountersDir(dir))
}

type client struct{ base string }

func (c client) login(ctx context.Context, who devstack.Login) (string, error) {
	data, err := c.post(ctx, "/auth/login", "", map[string]string{"userId": who.UserID, "password": who.Password})
	token, _ := data["accessToken"].(string)
	return token, err
}

// post returns the data of an answer with status 200; every other one is an error.
func (c client) post(ctx context.Context, path, token string, body any) (map[string]any, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/api/v1"+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	var envelope struct{ Data map[string]any }
	if err := json.NewDecoder(res.Body).Decode(&envelope); err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d", path, res.StatusCode)
	}
	return envelope.Data, nil
}
