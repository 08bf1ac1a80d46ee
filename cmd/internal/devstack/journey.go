package devstack

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// Journey drives the product's main job through the gateway, as a front end would, and prints each step with its time.
// It returns the first step that did not go as the stories say. It can be repeated.
func Journey(ctx context.Context, f DemoFile, out io.Writer) error {
	client, err := f.Client(40 * time.Second)
	if err != nil {
		return err
	}
	j := &journey{file: f, out: out, http: client}
	j.printf("phonebill at %s\n\n", f.BaseURL)
	j.login(ctx)
	j.bills(ctx)
	j.plans(ctx)
	j.refusals(ctx)
	j.slowLine(ctx)
	j.delivered(ctx)
	j.staff(ctx)
	j.logout(ctx)
	if j.err != nil {
		return j.err
	}
	j.printf("\n%d steps, all as they should be.\n", j.steps)
	return nil
}

// slack is what a busy machine is forgiven before a promise counts as broken.
const slack = 500 * time.Millisecond

type journey struct {
	file  DemoFile
	out   io.Writer
	http  *http.Client
	token string
	steps int
	err   error // the first failure; later steps do nothing

	line, currentPlan string
	billRequest       string
	key               string // Idempotency-Key of the next calls; "" = none
}

func (j *journey) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(j.out, format, args...); err != nil && j.err == nil {
		j.err = err
	}
}

// leftOut says why a step is not made this time.
func (j *journey) leftOut(step, why string) {
	if j.err == nil {
		j.printf("  – %-34s left out: %s\n", step, why)
	}
}

// answer is the envelope with whatever data the step looks at.
type answer struct {
	Status  int
	Message string `json:"message"`
	Data    map[string]any
	Error   struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// text digs a value out of data, as text; empty when it is not there.
func (a answer) text(path ...string) string {
	var v any = a.Data
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[key]
	}
	if v == nil {
		return ""
	}
	if n, ok := v.(float64); ok {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprint(v)
}

// plan is how a plan is shown: by its name, or by its code where the carrier does not give the name.
func (a answer) plan(path ...string) string {
	of := func(field string) string { return a.text(append(slices.Clone(path), field)...) }
	return cmp.Or(of("productName"), of("productCode"))
}

func (a answer) list(key string) []any {
	l, _ := a.Data[key].([]any)
	return l
}

// step calls the API, checks the status and prints a line; say picks what is worth showing.
func (j *journey) step(
	ctx context.Context, name, method, path string, body any, want int, say func(answer) string,
) answer {
	if j.err != nil {
		return answer{}
	}
	start := time.Now()
	a, err := j.call(ctx, method, path, body)
	took := time.Since(start)
	if err == nil && a.Status != want {
		err = fmt.Errorf("status %d instead of %d: %s %s", a.Status, want, a.Error.Code, a.Error.Message)
	}
	if err != nil {
		j.err = fmt.Errorf("%s: %w", name, err)
		j.printf("  ✗ %-34s %7.1f ms  %v\n", name, millis(took), err)
		return answer{}
	}
	j.steps++
	j.printf("  ✓ %-34s %7.1f ms  %s\n", name, millis(took), say(a))
	return a
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (j *journey) call(ctx context.Context, method, path string, body any) (answer, error) {
	var payload io.Reader = http.NoBody
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return answer{}, fmt.Errorf("demo: %w", err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, j.file.BaseURL+"/api/v1"+path, payload)
	if err != nil {
		return answer{}, fmt.Errorf("demo: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if j.token != "" {
		req.Header.Set("Authorization", "Bearer "+j.token)
	}
	if j.key != "" {
		req.Header.Set("Idempotency-Key", j.key)
	}
	res, err := j.http.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("demo: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	a := answer{Status: res.StatusCode}
	if err := json.NewDecoder(res.Body).Decode(&a); err != nil {
		return answer{}, fmt.Errorf("demo: status %d without the envelope: %w", res.StatusCode, err)
	}
	return a, nil
}

type object = map[string]any

func (j *journey) login(ctx context.Context) {
	c, ok := j.customer("normal")
	if !ok {
		j.err = errors.New("demo.json names no customer with the scenario normal")
		return
	}
	a := j.step(ctx, "log in", http.MethodPost, "/auth/login", object{"userId": c.UserID, "password": c.Password}, 200,
		func(a answer) string { return a.text("user", "userName") + "님, " + a.text("expiresIn") + " s" })
	j.token = a.text("accessToken")
	j.step(ctx, "permissions", http.MethodGet, "/auth/permissions", nil, 200, func(a answer) string {
		return fmt.Sprintf("%d permissions known", len(a.list("permissions")))
	})
}

// customer finds a demo account by scenario.
func (j *journey) customer(scenario string) (Login, bool) {
	for _, c := range j.file.Customers {
		if c.Scenario == scenario {
			return c, true
		}
	}
	return Login{}, false
}

func (j *journey) bills(ctx context.Context) {
	menu := j.step(ctx, "bill menu", http.MethodGet, "/bills/menu", nil, 200, func(a answer) string {
		return a.text("customerInfo", "lineNumber") + ", " + fmt.Sprint(a.list("availableMonths"))
	})
	j.line = menu.text("customerInfo", "lineNumber")
	bill := func(a answer) string {
		return a.text("source") + ": " + a.text("billInfo", "productName") + ", " + a.text("billInfo", "totalAmount") + "원"
	}
	ask := object{"lineNumber": j.line}
	first := j.step(ctx, "bill of this month", http.MethodPost, "/bills/inquiry", ask, 200, bill)
	j.billRequest = first.text("requestId")
	j.step(ctx, "the same again, from the cache", http.MethodPost, "/bills/inquiry", ask, 200, bill)
	if months := menu.list("availableMonths"); len(months) > 1 {
		ask = object{"lineNumber": j.line, "inquiryMonth": months[1]}
		j.step(ctx, "bill of last month", http.MethodPost, "/bills/inquiry", ask, 200, bill)
	} else {
		j.leftOut("bill of last month", "only one month can be chosen")
	}
	j.step(ctx, "bill history", http.MethodGet, "/bills/history?size=5", nil, 200, func(a answer) string {
		return a.text("pagination", "totalElements") + " inquiries so far"
	})
}

func (j *journey) plans(ctx context.Context) {
	j.step(ctx, "change menu", http.MethodGet, "/products/menu", nil, 200, func(a answer) string {
		return "current: " + a.plan("currentProduct")
	})
	path := "/products/customer/" + j.line
	customer := j.step(ctx, "customer and plan", http.MethodGet, path, nil, 200, func(a answer) string {
		return a.text("lineStatus") + ", next: " + a.plan("scheduledProduct", "product")
	})
	j.currentPlan = customer.text("currentProduct", "productCode")
	path = "/products/available?lineNumber=" + j.line
	offer := j.step(ctx, "plans on offer", http.MethodGet, path, nil, 200, func(a answer) string {
		return a.text("totalCount") + " plans"
	})
	target := ""
	for _, p := range offer.list("products") {
		plan, _ := p.(map[string]any)
		if code, _ := plan["productCode"].(string); code != customer.text("scheduledProduct", "product", "productCode") {
			target = code
			break
		}
	}
	wish := object{"lineNumber": j.line, "currentProductCode": j.currentPlan, "targetProductCode": target}
	j.step(ctx, "pre-check", http.MethodPost, "/products/change/validation", wish, 200, func(a answer) string {
		return a.Message
	})
	j.key = rand.Text()
	done := j.step(ctx, "change the plan", http.MethodPost, "/products/change", wish, 200, func(a answer) string {
		return a.Message + " → " + a.plan("changedProduct") + " from " + a.text("effectiveDate")
	})
	j.step(ctx, "the same request once more", http.MethodPost, "/products/change", wish, 200, func(a answer) string {
		if a.text("requestId") != done.text("requestId") {
			j.err = errors.New("a repeated request became another one")
		}
		return "the same answer, nothing is done twice"
	})
	j.key = ""
	path = "/products/change/" + done.text("requestId")
	j.step(ctx, "too late to take it back", http.MethodDelete, path, nil, 409, func(a answer) string {
		return a.Error.Code + " " + a.Error.Message
	})
	j.step(ctx, "its result", http.MethodGet, "/products/change/"+done.text("requestId"), nil, 200, func(a answer) string {
		return a.text("processStatus")
	})
	j.step(ctx, "change history", http.MethodGet, "/products/history", nil, 200, func(a answer) string {
		return a.text("pagination", "totalElements") + " changes so far"
	})
}

// refusals shows that what must not happen does not.
func (j *journey) refusals(ctx context.Context) {
	refused := func(a answer) string { return a.Error.Code + " " + a.Error.Message }
	if other, ok := j.customer("suspended"); ok {
		theirs := object{"lineNumber": other.LineNumber}
		j.step(ctx, "somebody else's line", http.MethodPost, "/bills/inquiry", theirs, 403, refused)
	} else {
		j.leftOut("somebody else's line", "the demo data has no second customer")
	}
	j.step(ctx, "a month that does not exist", http.MethodPost, "/bills/inquiry",
		object{"lineNumber": j.line, "inquiryMonth": "2026-13"}, 400, refused)
	j.as(ctx, "suspended", func(c Login) {
		wish := object{
			"lineNumber": c.LineNumber, "currentProductCode": "LTE-PREMIUM-001", "targetProductCode": "5G-PREMIUM-001",
		}
		const path = "/products/change/validation"
		j.step(ctx, "pre-check of a suspended line", http.MethodPost, path, wish, 200, func(a answer) string {
			return a.Message + ": " + a.text("failureReason")
		})
	})
}

// as acts as another demo customer and comes back.
func (j *journey) as(ctx context.Context, scenario string, act func(Login)) {
	c, ok := j.customer(scenario)
	if !ok {
		j.leftOut("a line that is "+scenario, "the demo data has no such customer")
	}
	if !ok || j.err != nil {
		return
	}
	back := j.token
	j.token = ""
	a, err := j.call(ctx, http.MethodPost, "/auth/login", object{"userId": c.UserID, "password": c.Password})
	if err != nil || a.Status != http.StatusOK {
		j.err = errors.Join(fmt.Errorf("log in as %s: status %d %s", c.UserID, a.Status, a.Error.Code), err)
		return
	}
	j.token = a.text("accessToken")
	act(c)
	j.token = back
}

// slowLine shows a line on which KOS takes 5 s: the customer has an answer within 3 s, the bill follows.
func (j *journey) slowLine(ctx context.Context) {
	j.as(ctx, "slow", func(c Login) {
		if j.err != nil {
			return
		}
		start := time.Now()
		a, err := j.call(ctx, http.MethodPost, "/bills/inquiry", object{"lineNumber": c.LineNumber})
		if took := time.Since(start); err == nil && took > 3*time.Second+slack {
			err = fmt.Errorf("the answer took %v, more than 3 s", took.Round(time.Millisecond))
		}
		if err != nil {
			j.err = fmt.Errorf("a slow line: %w", err)
			return
		}
		j.steps++
		j.printf("  ✓ %-34s %7.1f ms  %d %s\n", "a line on which KOS takes 5 s", millis(time.Since(start)), a.Status,
			a.Message+a.Error.Message)
		if a.Status == http.StatusAccepted {
			j.step(ctx, "its bill, a little later", http.MethodGet, "/bills/inquiry/"+a.text("requestId")+"?wait=20", nil, 200,
				func(a answer) string { return a.text("status") + " " + a.text("billInfo", "productName") })
		} else {
			j.leftOut("its bill, a little later", "a copy of it is here since the last demo, so it came at once")
		}
	})
}

// delivered waits until the result of the first inquiry is delivered.
func (j *journey) delivered(ctx context.Context) {
	if j.err != nil {
		return
	}
	start := time.Now()
	for time.Since(start) < 10*time.Second {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.file.MVNOAP.Control+"/control/received", http.NoBody)
		if err != nil {
			j.err = err
			return
		}
		res, err := j.http.Do(req)
		if err != nil {
			j.err = fmt.Errorf("MVNO AP simulator: %w", err)
			return
		}
		raw, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			j.err = fmt.Errorf("MVNO AP simulator: %w", err)
			return
		}
		if bytes.Contains(raw, []byte(j.billRequest)) {
			j.steps++
			j.printf("  ✓ %-34s %7.1f ms  %s\n", "the MVNO AP server knows", millis(time.Since(start)), "signed, in order")
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	j.err = errors.New("the result of the inquiry was not delivered within 10 s")
}

// logout ends the session and shows that its token dies everywhere within a second.
func (j *journey) logout(ctx context.Context) {
	j.step(ctx, "log out", http.MethodPost, "/auth/logout", nil, 200, func(a answer) string { return a.Message })
	if j.err != nil {
		return
	}
	start := time.Now()
	for {
		a, err := j.call(ctx, http.MethodGet, "/bills/menu", nil)
		switch {
		case err != nil:
			j.err = err
			return
		case a.Status == http.StatusUnauthorized:
			j.steps++
			j.printf("  ✓ %-34s %7.1f ms  %s\n", "the old token is refused", millis(time.Since(start)), a.Error.Code)
			return
		case time.Since(start) > time.Second+slack:
			j.err = errors.New("the token still works a second after the log-out")
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}
