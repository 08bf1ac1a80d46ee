package ctl

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	compose "phonebill/cmd/internal/compose/auth"
	"phonebill/core/audit/trail"
	"phonebill/core/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/staff/cases"
	"phonebill/ports"
)

const parkedHelp = `List plan changes of which KOS cannot tell whether it has carried them out, those requested
first coming first.

The instances of the product service are asked as "ops" does, with the same variables. docs/parked-changes.md
says how to decide.`

func (c Console) parked() *cobra.Command {
	var page, size int
	cmd := &cobra.Command{
		Use: "parked", Short: "List plan changes of which KOS cannot tell, and decide on them",
		Long:    parkedHelp,
		Example: "  phonebillctl parked",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := c.parkedDesk(nil)
			if err != nil {
				return err
			}
			orders, total, err := d.List(cmd.Context(), trail.By{Roles: []auth.Role{auth.Operator}}, page, size)
			if err != nil {
				return err
			}
			return c.printParked(orders, page, size, total)
		},
	}
	cmd.Flags().IntVar(&page, "page", 1, "page, the first is 1")
	cmd.Flags().IntVar(&size, "size", 20, "changes per page") //nolint:mnd // as the API has it
	cmd.AddCommand(c.resolveParked())
	return cmd
}

func (c Console) resolveParked() *cobra.Command {
	var w cases.Decision
	cmd := &cobra.Command{
		Use: "resolve REQUEST_ID", Short: "Say what became of a parked change; another person must say the same within 24 h",

		Example: `  phonebillctl parked resolve 01936d6e-6b7a-7c3e-9a55-0f5f6f0a1b2c --outcome COMPLETED \
    --reason "the KOS screen shows the new plan"`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if w.Order, err = id.Parse(args[0]); err != nil {
				return fault.InvalidField("request id", "올바른 UUID 형식이어야 합니다").Because(err)
			}
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				d, err := c.parkedDesk(a.Audit)
				if err != nil {
					return err
				}
				verdict, err := d.Resolve(cmd.Context(), trail.By{Name: by.Name, Roles: by.Roles}, w)
				if err != nil {
					return err
				}
				return c.said(nil, said(verdict)+"\n")
			})
		},
	}
	cmd.Flags().Var(oneOf(&w.Outcome, texts(product.Outcomes())...), "outcome", "what became of it (required)")
	cmd.Flags().StringVar(&w.Reason, "reason", "", "how you know, in 2 characters or more; it is recorded (required)")
	_ = cmd.MarkFlagRequired("outcome") // the flags exist
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

func said(verdict product.Judgement) string {
	if verdict == product.Confirmed {
		return "resolved"
	}
	return "proposed: another person must say the same within 24 h"
}

// parkedDesk asks the product service; log may be nil when nothing is changed.
func (c Console) parkedDesk(log ports.AuditLog) (*cases.ParkedChanges, error) {
	staff, err := c.staff(log)
	if err != nil {
		return nil, err
	}
	return staff.ParkedChanges(), nil
}

func (c Console) printParked(orders []product.ParkedOrder, page, size, total int) error {
	p := c.printer()
	p.head("REQUEST", "LINE", "FROM", "TO", "EFFECTIVE", "REQUESTED", "PARKED", "SENT", "ASKED", "TRANSACTION",
		"KOS ORDER", "PROPOSAL")
	for _, o := range orders {
		kos, proposal := "-", "-"
		if o.KOSOrder != "" {
			kos = o.KOSOrder
		}
		if w := o.Proposal; w.Outcome != "" {
			proposal = fmt.Sprintf(c.lang.text("%s by %s until %s: %s"), w.Outcome, w.By,
				stamp(w.At.Add(product.ProposalLifetime)), w.Reason)
		}
		p.line(o.ID.String(), o.Line, o.From, o.To, o.EffectiveDate.String(), stamp(o.RequestedAt), stamp(o.ParkedAt),
			strconv.Itoa(o.Sends),
			strconv.Itoa(o.Reconciles), o.TransactionID.String(), kos, proposal)
	}
	p.footer(page, size, total)
	return p.done()
}
