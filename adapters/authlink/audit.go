package authlink

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"phonebill/core/audit"
	"phonebill/core/fault"
	"phonebill/ports"
)

var _ ports.AuditLog = (*Link)(nil)

const auditPath = "/internal/v1/audit"

// Append implements ports.AuditLog: the auth service keeps it. SERVICE_UNAVAILABLE when it does not answer that it is durable.
func (l *Link) Append(ctx context.Context, e audit.Entry) error {
	raw, err := json.Marshal(map[string]string{
		"actor": e.Actor, "action": e.Action, "subject": e.Subject, "reason": e.Reason, "outcome": string(e.Outcome),
		"detail": e.Detail, "ip": e.IP,
	})
	if err != nil {
		return fmt.Errorf("authlink: %w", err)
	}
	if _, err = l.do(ctx, http.MethodPost, l.internal+auditPath, bytes.NewReader(raw), http.StatusNoContent); err != nil {
		return fault.New(fault.ServiceUnavailable).Because(err)
	}
	return nil
}
