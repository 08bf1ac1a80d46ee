package internalclient

import (
	"context"
	"fmt"
	"net/http"
	"time"

	gen "phonebill/adapters/internalclient/internal/internalgen"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// ParkedChanges implements ports.ParkedChanges for one service. A resolution that may have arrived is not sent to
// another instance. SERVICE_UNAVAILABLE when no instance answers.
type ParkedChanges struct{ service service }

var _ ports.ParkedChanges = (*ParkedChanges)(nil)

// ParkedChanges returns those of the named service.
func (s *Services) ParkedChanges(name string) *ParkedChanges {
	return &ParkedChanges{service{s, name, changeTimeout}}
}

// List implements ports.ParkedChanges.
func (p *ParkedChanges) List(ctx context.Context, page, size int) ([]product.ParkedOrder, int, error) {
	answer, err := askAny[gen.ParkedChangePage](ctx, p.service,
		func(ctx context.Context, to *gen.Client) (*http.Response, error) {
			return to.ListParkedChanges(ctx, &gen.ListParkedChangesParams{Page: page, Size: size})
		})
	if err != nil {
		return nil, 0, err
	}
	return convertPage(answer.Items, answer.Total, fromParkedChange)
}

// Resolve implements ports.ParkedChanges; the time is that of the instance.
func (p *ParkedChanges) Resolve(ctx context.Context, order id.ID, r product.Resolution) (product.Judgement, error) {
	word := gen.Resolution{Outcome: string(r.Outcome), Reason: r.Reason, By: string(r.By)}
	verdict, err := askOnce[gen.Verdict](ctx, p.service,
		func(ctx context.Context, to *gen.Client) (*http.Response, error) {
			return to.ResolveParkedChange(ctx, order.String(), word)
		})
	if err != nil {
		return product.Proposed, err
	}
	for _, j := range []product.Judgement{product.Proposed, product.Confirmed} {
		if verdict.Result == j.String() {
			return j, nil
		}
	}
	return product.Proposed, unavailable(badAnswer(fmt.Errorf("result %q", verdict.Result)))
}

// Reconciliations implements ports.Reconciler for one service. A run that may have been started is not started by
// another instance. SERVICE_UNAVAILABLE when no instance answers.
type Reconciliations struct{ service service }

var _ ports.Reconciler = (*Reconciliations)(nil)

// Reconciliations returns those of the named service.
func (s *Services) Reconciliations(name string) *Reconciliations {
	return &Reconciliations{service{s, name, changeTimeout}}
}

// Start implements ports.Reconciler.
func (r *Reconciliations) Start(ctx context.Context, from, to time.Time) (product.ReconciliationRun, error) {
	window := gen.ReconciliationWindow{From: from, To: to}
	answer, err := askOnce[gen.Reconciliation](ctx, r.service,
		func(ctx context.Context, to *gen.Client) (*http.Response, error) {
			return to.StartReconciliation(ctx, window)
		})
	if err != nil {
		return product.ReconciliationRun{}, err
	}
	report, err := fromReconciliation(answer)
	return report.Run, err
}

// lastRun names the newest run in place of an id.
const lastRun = "last"

// Report implements ports.Reconciler.
func (r *Reconciliations) Report(ctx context.Context, run id.ID) (product.ReconciliationReport, error) {
	name := lastRun
	if !run.IsZero() {
		name = run.String()
	}
	answer, err := askAny[gen.Reconciliation](ctx, r.service,
		func(ctx context.Context, to *gen.Client) (*http.Response, error) {
			return to.GetReconciliation(ctx, name)
		})
	if err != nil {
		return product.ReconciliationReport{}, err
	}
	return fromReconciliation(answer)
}
