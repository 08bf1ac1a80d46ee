package internalapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	gen "phonebill/adapters/rest/internal/internalgen"
	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/personal"
	"phonebill/ports"
)

// AuditTrail is where staff's actions in other services are recorded, and who may record them.
type AuditTrail struct {
	Log      ports.AuditLog
	Accounts func(context.Context, auth.UserID) (auth.User, error)
	Gateway  personal.Secret // the gateway's credential; empty means that the gateway may not write
	// AcceptsUncredentialed reports whether a gateway of a release that has no credential may still run. It may write what
	// a gateway may.
	AcceptsUncredentialed func() bool
}

// gatewayService is the name of the gateway in the audit trail.
const gatewayService = "gateway"

// gatewayActions are what staff do through the gateway. The auth service itself and the command line record
// everything else.
func gatewayActions() []string {
	return []string{"DELIVERY_REPLAYED", "TIMELINE_SHOWN", "CHANGE_RESOLUTION", "REQUESTS_SEARCHED", "REQUEST_CANCELLED",
		"MAINTENANCE_STARTED", "MAINTENANCE_ENDED"}
}

// caller returns the name of the service that has the credential; FORBIDDEN when none has.
func (t *AuditTrail) caller(credential *string) (service string, err error) {
	var given string
	if credential != nil {
		given = *credential
	}
	sum := sha256.Sum256([]byte(given)) // of equal length, so that the time of comparing reveals nothing
	gateway := sha256.Sum256([]byte(t.Gateway.Reveal()))
	switch {
	case t.Gateway.Reveal() != "" && subtle.ConstantTimeCompare(sum[:], gateway[:]) == 1,
		given == "" && t.AcceptsUncredentialed():
		return gatewayService, nil
	default:
		return "", fault.New(fault.PermissionDenied)
	}
}

// AppendAuditEntry returns once the entry is durable. The calling service must be known by its credential, the action
// be one of its own, and the actor a member of staff, else FORBIDDEN; the entry names the service.
func (h *Handlers) AppendAuditEntry(
	ctx context.Context, r gen.AppendAuditEntryRequestObject,
) (gen.AppendAuditEntryResponseObject, error) {
	service, err := h.Audit.caller(r.Params.XAuditCredential)
	if err != nil {
		return nil, err
	}
	e := *r.Body
	var detail map[string]any
	err = json.Unmarshal([]byte(e.Detail), &detail)
	if err != nil || detail == nil || e.Actor == "" || e.Action == "" || e.Outcome == "" {
		return nil, malformed(err)
	}
	if !slices.Contains(gatewayActions(), e.Action) {
		h.Log.ErrorContext(ctx, "a service put an action that is not its own into the audit log",
			"service", service, "action", e.Action)
		return nil, fault.New(fault.PermissionDenied)
	}
	switch staff, err := h.Audit.isStaff(ctx, e.Actor); {
	case err != nil:
		return nil, fmt.Errorf("not in the audit log: %w", err)
	case !staff && e.Outcome != string(fault.PermissionDenied):
		h.Log.ErrorContext(ctx, "a service named an actor who is no member of staff", "service", service, "action", e.Action)
		return nil, fault.New(fault.PermissionDenied)
	}
	detail["service"] = service
	text, err := json.Marshal(detail)
	if err != nil {
		return nil, fmt.Errorf("not in the audit log: %w", err)
	}
	if err := h.Audit.Log.Append(ctx, audit.Entry{
		At: h.Now(), Actor: e.Actor, Action: e.Action, Subject: e.Subject, Reason: e.Reason,
		Outcome: audit.Outcome(e.Outcome), Detail: string(text), IP: e.IP,
	}); err != nil {
		return nil, fault.New(fault.ServiceUnavailable).Because(fmt.Errorf("not in the audit log: %w", err))
	}
	return gen.AppendAuditEntry204Response{}, nil
}

// isStaff reports whether there is an account of that id that is an operator's or administrator's. One that lost its
// role while the call was under way is refused: the result is then missing in the audit trail, and its intent says
// so.
func (t *AuditTrail) isStaff(ctx context.Context, actor string) (bool, error) {
	user, err := auth.ParseUserID(actor)
	if err != nil {
		return false, nil //nolint:nilerr // no account has such an id
	}
	u, err := t.Accounts(ctx, user)
	if errors.Is(err, fault.New(fault.UserNotFound)) {
		return false, nil
	}
	return err == nil && u.Staff(), err
}
