package ctl

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	compose "phonebill/cmd/internal/compose/auth"
	"phonebill/core/audit/trail"
	"phonebill/core/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/staff/cases"
	"phonebill/ports"
)

const deliveriesHelp = `Show results delivered to the MVNO AP server, and deliver them again.

The instances of the services are asked as "ops" does, with the same variables. docs/deliveries.md says how a
result travels.`

func (c Console) deliveries() *cobra.Command {
	cmd := &cobra.Command{
		Use: "deliveries", Short: "Show results delivered to the MVNO AP server, and deliver them again",
		Long: deliveriesHelp,
	}
	cmd.AddCommand(c.listDeliveries(), c.replayDelivery())
	return cmd
}

func (c Console) listDeliveries() *cobra.Command {
	kind := delivery.BillResult
	var ago time.Duration
	f := delivery.Filter{}
	cmd := &cobra.Command{
		Use: "list", Short: "List results and the state of their delivery, newest first",
		Example: "  phonebillctl deliveries list --state PARKED --since 24h",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ago > 0 {
				f.Since = time.Now().Add(-ago)
			}
			d, err := c.desk(nil)
			if err != nil {
				return err
			}
			page, total, err := d.List(cmd.Context(), trail.By{Roles: []auth.Role{auth.Operator}}, kind, f)
			if err != nil {
				return err
			}
			return c.printDeliveries(page, f, total)
		},
	}
	cmd.Flags().Var(oneOf(&kind, delivery.Kinds()...), "kind", "results of which requests")
	cmd.Flags().Var(oneOf(&f.State, delivery.ListedStates()...), "state", "only those in this state")
	cmd.Flags().DurationVar(&ago, "since", 0, "only of requests not older than this; 0 = all")
	cmd.Flags().IntVar(&f.Page, "page", 1, "page, the first is 1")
	cmd.Flags().IntVar(&f.Size, "size", 20, "results per page") //nolint:mnd // as the API has it
	return cmd
}

func (c Console) replayDelivery() *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use: "replay EVENT_ID", Short: "Deliver a parked or delivered result again, under its id and number",
		Example: `  phonebillctl deliveries replay 01936d6e-6b7a-7c3e-9a55-0f5f6f0a1b2c \
    --reason "the MVNO has corrected its receiver"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			event, err := id.Parse(args[0])
			if err != nil {
				return fault.InvalidField("event id", "올바른 UUID 형식이어야 합니다").Because(err)
			}
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				d, err := c.desk(a.Audit)
				if err != nil {
					return err
				}
				if err := d.Replay(cmd.Context(), trail.By{Name: by.Name, Roles: by.Roles}, event, why); err != nil {
					return err
				}
				return c.said(nil, "pending again\n")
			})
		},
	}
	return reason(cmd, &why)
}

// desk asks the services; log may be nil when nothing is changed.
func (c Console) desk(log ports.AuditLog) (*cases.Deliveries, error) {
	staff, err := c.staff(log)
	if err != nil {
		return nil, err
	}
	return staff.Deliveries(), nil
}

func (c Console) printDeliveries(page []delivery.Listed, f delivery.Filter, total int) error {
	p := c.printer()
	p.head("EVENT", "LINE", "NUMBER", "STATE", "ATTEMPTS", "RESULT OF", "NEXT", "DELIVERED", "LAST")
	for _, t := range page {
		last := "-"
		if len(t.Last) > 0 {
			last = stamp(t.Last[0].At) + " " + t.Last[0].Note
		}
		p.line(t.ID.String(), t.Line, strconv.FormatInt(t.Sequence, 10), string(t.State), strconv.Itoa(t.Attempts),
			stamp(t.FinalAt),
			stamp(t.NextAt), stamp(t.DeliveredAt), last)
	}
	p.footer(f.Page, f.Size, total)
	return p.done()
}
