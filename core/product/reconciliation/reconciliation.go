// Package reconciliation compares three records of every plan change: our orders, what KOS knows of them, and what the
// MVNO AP server acknowledged. It reports where they differ and changes nothing (UFR-PROD-040).
package reconciliation

import (
	"context"
	"fmt"
	"time"

	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/ports"
)

// KOS is asked about the transaction, or about the line where this KOS has no such query. Its calls must use the
// least urgent lane: no customer waits for a reconciliation.
type KOS interface {
	// AskStatus is that of ports.PlanChanger.
	AskStatus(ctx context.Context, call ports.Call, o product.Order) product.Answer
	ports.CustomerSource
}

// Limits are how much a run may take of KOS.
type Limits struct {
	PerMinute int // questions a minute, evenly spread; at least 1
	// KOS is asked for so long after the run began; orders after that are only compared with the deliveries
	Asking time.Duration
}

// DefaultLimits is 20 a minute for 4 h.
func DefaultLimits() Limits { return Limits{PerMinute: 20, Asking: 4 * time.Hour} }

// Service compares orders, KOS and deliveries. All fields are required; it is safe for concurrent use, in any number of
// instances: one run goes on at a time, and the run of a process that dies is carried on by another.
type Service struct {
	Source ports.ReconciliationSource
	Runs   ports.ReconciliationRuns
	KOS    KOS
	Alerts ports.Alerts
	Limits Limits
	Night  freshness.Night // when the nightly run begins; the zero Night has none
	Now    ports.Clock
	NewID  ports.IDs

	CountChecked     func(orders int)                                // is called with the number of orders checked
	ReportDifference func(ctx context.Context, d product.Difference) // and of each difference, once it is stored
}

var _ ports.Reconciler = (*Service)(nil)

const (
	nightlySpan   = 48 * time.Hour // each order is checked by two nightly runs: one night may be missed
	pageSize      = 100
	lease         = 2 * time.Minute // of a run; longer than two questions and a beat
	renewInterval = 30 * time.Second
	callTimeout   = 10 * time.Second // with one question
	minPause      = 5 * time.Second  // when KOS could not be asked
	maxPause      = time.Minute
)

// Start stores a run, which the next free worker of any instance carries out.
func (s *Service) Start(ctx context.Context, from, to time.Time) (product.ReconciliationRun, error) {
	return s.begin(ctx, from, to, false)
}

func (s *Service) begin(ctx context.Context, from, to time.Time, nightly bool) (product.ReconciliationRun, error) {
	now := s.Now()
	if to.After(now) {
		to = now
	}
	if !to.After(from) {
		return product.ReconciliationRun{}, fault.InvalidField("until", "시작 시각보다 늦어야 합니다")
	}
	run := product.ReconciliationRun{ID: s.NewID(), Nightly: nightly, From: from, To: to, StartedAt: now}
	return run, s.Runs.Begin(ctx, run)
}

// Report returns a run with its differences; the zero id is the last one.
func (s *Service) Report(ctx context.Context, run id.ID) (product.ReconciliationReport, error) {
	return s.Runs.Report(ctx, run)
}

// Step begins the nightly run when it is due, and carries on the unfinished run that no worker has; it returns how many
// runs it finished. The worker calls it repeatedly.
func (s *Service) Step(ctx context.Context) (int, error) {
	if err := s.atNight(ctx); err != nil {
		return 0, err
	}
	run, err := s.Runs.Claim(ctx, s.Now(), lease)
	switch {
	case isFault(err, fault.ResourceNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	}
	c := &check{Service: s, run: run, until: run.StartedAt.Add(s.Limits.Asking), plans: map[line.Number]judge{}}
	return 1, c.all(ctx)
}

func (s *Service) atNight(ctx context.Context) error {
	now := s.Now()
	if s.Night == (freshness.Night{}) || !s.Night.Open(now) {
		return nil
	}
	begun, err := s.Runs.Nightly(ctx, s.Night.Began(now))
	if err != nil || begun {
		return err
	}
	if _, err = s.begin(ctx, now.Add(-nightlySpan), now, true); isFault(err, fault.StateConflict) {
		return nil // another run goes on, or another instance began it first
	}
	return err
}

// raiseAlert raises one alert for a run that found something.
func (s *Service) raiseAlert(ctx context.Context, run product.ReconciliationRun) {
	if run.Found > 0 {
		s.Alerts.Raise(ctx, operations.Alert{
			Kind: operations.ReconciliationDiffers, Subject: run.ID.String(),
			Note: fmt.Sprintf("%d differences among %d orders: see phonebillctl reconciliation show", run.Found, run.Checked),
		})
	}
}

func isFault(err error, code fault.Code) bool { return err != nil && fault.From(err).Code() == code }
