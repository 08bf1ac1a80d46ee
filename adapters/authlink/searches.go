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
	"phonebill/ports"
)

var _ ports.SearchBudget = (*Link)(nil)

const searchesPath = "/internal/v1/exact-searches"

// Spend implements ports.SearchBudget: the auth service counts.
func (l *Link) Spend(ctx context.Context, person string) error {
	raw, err := json.Marshal(map[string]string{"person": person})
	if err != nil {
		return fmt.Errorf("authlink: %w", err)
	}
	_, err = l.do(ctx, http.MethodPost, l.internal+searchesPath, bytes.NewReader(raw), http.StatusNoContent)
	var answered *statusError
	var refused struct {
		RetryInSeconds float64 `json:"retryInSeconds"`
	}
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answered) && answered.status == http.StatusTooManyRequests && json.Unmarshal(answered.body, &refused) == nil:
		return fault.New(fault.RateLimitExceeded).WithMessage("회선번호 조회 한도를 초과하였습니다. 잠시 후 다시 시도해주세요").
			RetryIn(time.Duration(refused.RetryInSeconds * float64(time.Second)))
	default:
		return fault.New(fault.ServiceUnavailable).Because(err)
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
