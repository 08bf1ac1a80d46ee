package ctl

import (
	"context"

	"github.com/spf13/cobra"

	compose "phonebill/cmd/internal/compose/auth"
	"phonebill/core/audit/trail"
	"phonebill/core/auth/admin"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/staff"
	"phonebill/core/staff/cases"
)

const requestsHelp = `Find the bill inquiries and plan changes of customers, and take one back.

The instances of the services are asked as "ops" does, with the same variables; what was searched is recorded
in the audit log. "phonebillctl timeline REQUEST_ID" shows what happened to one of them.`

func (c Console) requests() *cobra.Command {
	cmd := &cobra.Command{
		Use: "requests", Short: "Find the bill inquiries and plan changes of customers, and take one back",
		Long: requestsHelp,
	}
	cmd.AddCommand(c.listRequests(), c.findRequests(), c.cancelRequest())
	return cmd
}

func (c Console) listRequests() *cobra.Command {
	kind, number := staff.Change, ""
	var f staff.Filter
	cmd := &cobra.Command{
		Use: "list", Short: "List requests by line, account or state, the newest first",
		Example: `  phonebillctl requests list --line 010-1234-5678
  phonebillctl requests list --kind INQUIRY --user hong-gildong
  phonebillctl requests list --state UNKNOWN`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if number != "" {
				if f.Line, err = line.Parse(number); err != nil {
					return err
				}
			}
			if err := checkPage(f.Page, f.Size); err != nil {
				return err
			}
			return c.withRequests(cmd.Context(), func(d *cases.Requests, by trail.By) error {
				page, total, err := d.List(cmd.Context(), by, kind, f)
				if err != nil {
					return err
				}
				return c.printRequests(page, func(p *printer) { p.footer(f.Page, f.Size, total) })
			})
		},
	}
	cmd.Flags().Var(oneOf(&kind, staff.Kinds()...), "kind", "which requests")
	cmd.Flags().StringVar(&number, "line", "", "only those of this line")
	cmd.Flags().StringVar((*string)(&f.UserID), "user", "", "only those of this account")
	cmd.Flags().Var(oneOf(&f.State, staff.States()...), "state", "only those in this state")
	paged(cmd, &f.Page, &f.Size)
	return cmd
}

const traceHelp = `Find the requests of the call whose trace id a customer quotes: the traceId of an error, 32
hexadecimal digits. Requests that were made before trace ids were kept are not found.`

func (c Console) findRequests() *cobra.Command {
	return &cobra.Command{
		Use: "find TRACE_ID", Short: "Find the requests of the call whose trace id a customer quotes",
		Long:    traceHelp,
		Example: "  phonebillctl requests find 4bf92f3577b34da6a3ce929d0e0e4736",
		RunE: func(cmd *cobra.Command, args []string) error {
			trace, err := staff.ParseTraceID(args[0])
			if err != nil {
				return err
			}
			return c.withRequests(cmd.Context(), func(d *cases.Requests, by trail.By) error {
				found, err := d.Find(cmd.Context(), by, trace)
				if err != nil {
					return err
				}
				if len(found) == 0 {
					return c.said(nil, "no request was made under this trace id\n")
				}
				return c.printRequests(found, func(*printer) {})
			})
		},
	}
}

func (c Console) cancelRequest() *cobra.Command {
	var why string
	return reason(&cobra.Command{
		Use: "cancel REQUEST_ID", Short: "Take a plan change back that its customer could take back",
		Example: `  phonebillctl requests cancel 01936d6e-6b7a-7c3e-9a55-0f5f6f0a1b2c --reason "the customer asks"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := id.Parse(args[0])
			if err != nil {
				return err
			}
			return c.withRequests(cmd.Context(), func(d *cases.Requests, by trail.By) error {
				return c.said(d.Cancel(cmd.Context(), by, request, why), "it is taken back\n")
			})
		},
	}, &why)
}

// withRequests asks the services; what is done is on record in the auth service's audit log, which counts searches too.
func (c Console) withRequests(ctx context.Context, work func(*cases.Requests, trail.By) error) error {
	return c.do(ctx, func(a *compose.Admin, by admin.Caller) error {
		staff, err := c.staff(a.Audit)
		if err != nil {
			return err
		}
		return work(staff.Requests(a.Users), trail.By{Name: by.Name, Roles: by.Roles})
	})
}

func (c Console) printRequests(page []staff.Request, end func(*printer)) error {
	p := c.printer()
	p.head("REQUEST", "KIND", "USER", "LINE", "STATE", "SUBJECT", "REQUESTED", "ENDED", "NEXT", "CODE",
		"TRACE", "CANCELLABLE")
	for _, r := range page {
		p.line(r.ID.String(), string(r.Kind), string(r.UserID), r.Line, r.State, r.Subject, stamp(r.RequestedAt),
			stamp(r.ProcessedAt),
			stamp(r.NextAt), orDash(r.Code), orDash(r.TraceID),
			c.lang.text(map[bool]string{true: "yes", false: "no"}[r.Cancellable]))
	}
	end(p)
	return p.done()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
