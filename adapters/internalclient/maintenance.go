package internalclient

import (
	"context"
	"net/http"

	gen "phonebill/adapters/internalclient/internal/internalgen"
	"phonebill/core/operations"
	"phonebill/ports"
)

// Maintenance implements ports.MaintenanceSwitch: the auth service keeps it.
type Maintenance struct{ at *Auth }

var _ ports.MaintenanceSwitch = Maintenance{}

// Maintenance is when customers' operations are switched off.
func (a *Auth) Maintenance() Maintenance { return Maintenance{a} }

// Current fails with any error when the auth service does not answer.
func (m Maintenance) Current(ctx context.Context) (operations.Maintenance, error) {
	body, err := read(func() (*http.Response, error) {
		return m.at.internal.GetMaintenance(ctx)
	}, http.StatusOK, maxAuthAnswer)
	if err != nil {
		return operations.Maintenance{}, unavailable(err)
	}
	answer, err := decode[gen.MaintenanceSwitch](body)
	if err != nil {
		return operations.Maintenance{}, unavailable(err)
	}
	is := answer.Maintenance
	return operations.Maintenance{
		From: is.From, Until: is.Until, Scope: operations.Scope(is.Scope), Message: is.Message, By: is.By,
	}, nil
}

// Set fails with SERVICE_UNAVAILABLE unless the auth service confirms it.
func (m Maintenance) Set(ctx context.Context, to operations.Maintenance) error {
	params := &gen.SetMaintenanceParams{XAuditCredential: m.at.credential}
	_, err := read(func() (*http.Response, error) {
		return m.at.internal.SetMaintenance(ctx, params, gen.MaintenanceSwitch{Maintenance: gen.Maintenance{
			From: to.From, Until: to.Until, Scope: string(to.Scope), Message: to.Message, By: to.By,
		}})
	}, http.StatusNoContent, maxAuthAnswer)
	if err != nil {
		return unavailable(err)
	}
	return nil
}
