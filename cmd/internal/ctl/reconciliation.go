package ctl

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// ErrDiffer says that a reconciliation found differences: exit code 3.
var ErrDiffer = errors.New("the reconciliation found differences")

const reconciliationHelp = `Compare our plan changes with KOS and with what was delivered to the MVNO AP server.
Differences are reported; nothing is changed.

The instances of the product service are asked as "ops" does, with the same variables. docs/reconciliation.md
says what to do.`

func (c Console) reconciliation() *cobra.Command {
	cmd := &cobra.Command{
		Use: "reconciliation", Aliases: []string{"books"}, // its name until 0.6
		Short: "Compare our plan changes with KOS and with what was delivered to the MVNO AP server",
		Long:  reconciliationHelp,
	}
	cmd.AddCommand(c.reconcile(), c.showReconciliation())
	return cmd
}

const reconcileHelp = `Reconcile now. Orders are compared that became final within --since before
--until, and all that are open for too long.

KOS is asked 20 questions a minute by default, so a busy day takes its time. It goes on when this command is
interrupted: "phonebillctl reconciliation show" prints the result.`

func (c Console) reconcile() *cobra.Command {
	var since time.Duration
	var until string
	cmd := &cobra.Command{
		Use: "check", Short: "Reconcile now, and wait for it; exit code 3 when they differ",
		Long: reconcileHelp,
		Example: "  phonebillctl reconciliation check --since 48h\n" +
			"  phonebillctl reconciliation check --since 24h --until 2026-11-20T00:00:00+09:00",
		RunE: func(cmd *cobra.Command, _ []string) error {
			to := time.Now()
			if until != "" {
				var err error
				if to, err = time.Parse(time.RFC3339, until); err != nil {
					return failf("--until is a time like 2026-11-20T00:00:00+09:00: %w", fault.New(fault.ValidationError).Because(err))
				}
			}
			checks, err := c.reconciliationChecks()
			if err != nil {
				return err
			}
			run, err := checks.Start(cmd.Context(), to.Add(-since), to)
			if err != nil {
				return err
			}
			report, err := c.awaitReconciliation(cmd.Context(), checks, run.ID)
			if err != nil {
				return err
			}
			return c.printReconciliation(report)
		},
	}
	cmd.Flags().DurationVar(&since, "since", 48*time.Hour, "how far back") //nolint:mnd // as the nightly run does
	cmd.Flags().StringVar(&until, "until", "", "until when, like 2026-11-20T00:00:00+09:00 (default now)")
	return cmd
}

func (c Console) showReconciliation() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show the last comparison; exit code 3 when it found differences",
		Example: "  phonebillctl reconciliation show",
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks, err := c.reconciliationChecks()
			if err != nil {
				return err
			}
			report, err := checks.Report(cmd.Context(), id.ID{})
			if errors.Is(err, fault.New(fault.ResourceNotFound)) {
				return c.said(nil,
					"no reconciliation has run yet: run \"phonebillctl reconciliation check\", or wait for the nightly run\n")
			}
			if err != nil {
				return err
			}
			return c.printReconciliation(report)
		},
	}
}

func (c Console) reconciliationChecks() (ports.Reconciler, error) {
	staff, err := c.staff(nil)
	if err != nil {
		return nil, err
	}
	return staff.Reconciliations(), nil
}

// How often the service is asked for the progress, and how often it is printed.
const (
	pollInterval     = 200 * time.Millisecond
	progressInterval = 10 * time.Second
)

// awaitReconciliation waits for the end of a run. An instance that is away for a moment does not end the wait, for
// another one carries on.
func (c Console) awaitReconciliation(
	ctx context.Context, checks ports.Reconciler, run id.ID,
) (product.ReconciliationReport, error) {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	progress := c.meter(progressInterval)
	for {
		report, err := checks.Report(ctx, run)
		switch {
		case err == nil && !report.Run.Finished.IsZero():
			return report, nil
		case err != nil && fault.From(err).Code() != fault.ServiceUnavailable:
			return report, err
		case err == nil && progress.due():
			c.say("%d orders compared, %d differences so far, about %s left\n", report.Run.Checked, report.Run.Found,
				progress.left(report.Run.Share()))
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return report, ctx.Err()
		}
	}
}

func (c Console) printReconciliation(r product.ReconciliationReport) error {
	p := c.printer()
	if len(r.Differences) > 0 {
		p.head("REQUEST", "LINE", "KIND", "FOUND", "WHAT")
	}
	for _, d := range r.Differences {
		p.line(d.RequestID.String(), d.Line, string(d.Kind), stamp(d.Found), c.lang.text(d.Text))
	}
	if more := r.Run.Found - len(r.Differences); more > 0 {
		p.say("… and %d more", more)
	}
	ended := fmt.Sprintf(c.lang.text("finished %s"), stamp(r.Run.Finished))
	if r.Run.Finished.IsZero() {
		ended = c.lang.text("still going on")
	}
	p.say("%s … %s: %d orders compared, %d differences; KOS asked %d times, undecided %d, not asked %d; %s",
		stamp(r.Run.From),
		stamp(r.Run.To), r.Run.Checked, r.Run.Found, r.Run.Asked, r.Run.Undecided, r.Run.Unasked, ended)
	if err := p.done(); err != nil || r.Run.Found == 0 {
		return err
	}
	return failf("%w: see docs/reconciliation.md", ErrDiffer)
}
