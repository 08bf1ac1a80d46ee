package authlink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/ports"
)

var _ ports.SearchBudget = (*Link)(nil)

const searchesPath = "/internal/v1/exact-searches"

// Spend implements ports.SearchBudget: the auth service counts.
func (l *Link) Spend(ctx context.Context, person string, n line.Number) (string, error) {
	raw, err := json.Marshal(map[string]string{"person": person, "line": n.Digits()})
	if err != nil {
		return "", fmt.Errorf("authlink: %w", err)
	}
	answer, err := l.do(ctx, http.MethodPost, l.internal+searchesPath, bytes.NewReader(raw), http.StatusOK)
	var answered *statusError
	var counted struct {
		Index string `json:"index"`
	}
	var refused struct {
		RetryInSeconds float64 `json:"retryInSeconds"`
	}
	switch {
	case err == nil:
		if err := json.Unmarshal(answer, &counted); err != nil {
			return "", fault.New(fault.ServiceUnavailable).Because(fmt.Errorf("authlink: %w", err))
		}
		return counted.Index, nil
	case errors.As(err, &answered) && answered.status == http.StatusTooManyRequests && json.Unmarshal(answered.body, &refused) == nil:
		return "", fault.New(fault.RateLimitExceeded).WithMessage("회선번호 조회 한도를 초과하였습니다. 잠시 후 다시 시도해주세요").
			RetryIn(time.Duration(refused.RetryInSeconds * float64(time.Second)))
	default:
		return "", fault.New(fault.ServiceUnavailable).Because(err)
	}
}

// statusError is an answer of the auth service that was not the one expected.
type statusError struct {
	status int
	body   []byte
}

func (e *statusError) Error() string {
	return fmt.Sprintf("authlink: the auth service answered %d", e.status)
}
