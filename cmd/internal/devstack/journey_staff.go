package devstack

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/pquerna/otp/totp"
)

// staff shows the second factor, and that an operator sees a customer masked.
func (j *journey) staff(ctx context.Context) {
	c, ok := j.customer("normal")
	if !ok || j.err != nil {
		return
	}
	back := j.token
	defer func() { j.token = back }()
	j.token = ""
	who := object{"userId": j.file.Operator.UserID, "password": j.file.Operator.Password}
	j.step(ctx, "an operator without a code", http.MethodPost, "/auth/login", who, 401, func(a answer) string {
		return a.Error.Code + " " + a.Error.Message
	})
	if !j.operatorLogin(ctx, who) {
		return
	}
	j.step(ctx, "looks a customer up", http.MethodGet, "/admin/users/"+c.UserID, nil, 200, func(a answer) string {
		return a.text("userName") + ", " + a.text("phoneNumber") + ", " + a.text("status")
	})
	j.step(ctx, "looks for parked changes", http.MethodGet, "/ops/parked-changes", nil, 200, func(a answer) string {
		return a.text("pagination", "totalElements") + " wait for a decision"
	})
}

// operatorLogin tries the code that is right now and the next: each is accepted once, so a journey soon after another
// needs the next.
func (j *journey) operatorLogin(ctx context.Context, who object) bool {
	if j.err != nil {
		return false
	}
	start := time.Now()
	for _, at := range []time.Time{start, start.Add(30 * time.Second)} {
		code, err := totp.GenerateCode(j.file.Operator.TOTPSecret, at)
		if err != nil {
			j.err = fmt.Errorf("demo: %w", err)
			return false
		}
		who["otp"] = code
		a, err := j.call(ctx, http.MethodPost, "/auth/login", who)
		if err != nil {
			j.err = err
			return false
		}
		if a.Status == http.StatusOK {
			j.token = a.text("accessToken")
			j.steps++
			j.printf("  ✓ %-34s %7.1f ms  %s\n", "the operator with a code", millis(time.Since(start)),
				a.text("user", "userName"))
			return true
		}
	}
	j.printf("  - %-34s %10s  %s\n", "the operator with a code", "",
		"both codes of this half minute are used up; try again in a minute")
	return false
}
