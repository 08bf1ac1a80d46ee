package ctl

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	compose "phonebill/cmd/internal/compose/auth"
	"phonebill/core/audit/trail"
	"phonebill/core/auth/admin"
	"phonebill/core/calendar"
	"phonebill/core/operations"
	"phonebill/core/staff/cases"
)

const maintenanceHelp = `Switch customers' operations off for a time. They are 503 with the message and Retry-After;
logging in, what staff do, deliveries and orders under way go on. Every gateway knows within a second.
It ends by itself. A time without a zone is Korean time: 2026-03-15T05:00. docs/maintenance.md has the rest.`

func (c Console) maintenance() *cobra.Command {
	cmd := &cobra.Command{
		Use: "maintenance", Short: "Switch customers' operations off for a time, and on again", Long: maintenanceHelp,
	}
	cmd.AddCommand(c.maintenanceOn(), c.maintenanceOff(), c.showMaintenance())
	return cmd
}

func (c Console) maintenanceOn() *cobra.Command {
	var from, until, why string
	var changes bool
	var m operations.Maintenance
	cmd := &cobra.Command{
		Use: "on", Short: "Switch customers' operations off until a time", Args: cobra.NoArgs,
		Example: `  phonebillctl maintenance on --until 30m --reason "restore of the cache"
  phonebillctl maintenance on --from 2026-03-15T02:00 --until 2026-03-15T05:00 --changes --reason "carrier at work"`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if changes {
				m.Scope = operations.ChangesOnly
			}
			return c.withMaintenance(cmd.Context(), func(d *cases.Maintenance, by trail.By) error {
				now := d.Log.Now()
				if m.Until, err = parseMoment("until", until, now); err != nil {
					return err
				}
				if from != "" {
					if m.From, err = parseMoment("from", from, now); err != nil {
						return err
					}
				}
				set, err := d.Start(cmd.Context(), by, m, why)
				if err != nil {
					return err
				}
				return c.printMaintenance(set, now)
			})
		},
	}
	cmd.Flags().StringVar(&until, "until", "", "when it ends: a time, or how long from now (required)")
	cmd.Flags().StringVar(&from, "from", "", "when it begins: a time, or how long from now; empty = now")
	cmd.Flags().BoolVar(&changes, "changes", false, "checks and changes of plans alone")
	cmd.Flags().StringVar(&m.Message, "message", "", "what customers read; empty = a text that names the end")
	_ = cmd.MarkFlagRequired("until") // the flag exists
	return reason(cmd, &why)
}

func (c Console) maintenanceOff() *cobra.Command {
	return &cobra.Command{
		Use: "off", Short: "Switch customers' operations on again", Args: cobra.NoArgs,
		Example: "  phonebillctl maintenance off",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withMaintenance(cmd.Context(), func(d *cases.Maintenance, by trail.By) error {
				return c.said(d.End(cmd.Context(), by), "there is no maintenance any more\n")
			})
		},
	}
}

func (c Console) showMaintenance() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show the maintenance that is under way or planned", Args: cobra.NoArgs,
		Example: "  phonebillctl maintenance show",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withMaintenance(cmd.Context(), func(d *cases.Maintenance, by trail.By) error {
				m, err := d.Show(cmd.Context(), by)
				if err != nil {
					return err
				}
				return c.printMaintenance(m, d.Log.Now())
			})
		},
	}
}

// withMaintenance works on the auth database, as gateways read it through the auth service.
func (c Console) withMaintenance(ctx context.Context, work func(*cases.Maintenance, trail.By) error) error {
	return c.do(ctx, func(a *compose.Admin, by admin.Caller) error {
		staff, err := c.staff(a.Audit)
		if err != nil {
			return err
		}
		return work(staff.Maintenance(a.Maintenance), trail.By{Name: by.Name, Roles: by.Roles})
	})
}

func (c Console) printMaintenance(m operations.Maintenance, now time.Time) error {
	if m.Over(now) {
		return c.said(nil, "there is no maintenance\n")
	}
	state := "it is planned\n"
	if m.On(now) {
		state = "it is under way\n"
	}
	if err := c.said(nil, state); err != nil {
		return err
	}
	p := c.printer()
	p.head("FROM", "UNTIL", "SCOPE", "BY", "MESSAGE")
	p.line(stamp(m.From), stamp(m.Until), string(m.Scope), m.By, orDash(m.Message))
	return p.done()
}

// parseMoment reads a time, Korean without a zone, or a duration from now.
func parseMoment(flag, s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, s, calendar.Seoul); err == nil {
			return t, nil
		}
	}
	if d, err := time.ParseDuration(strings.TrimPrefix(s, "+")); err == nil && d > 0 {
		return now.Add(d), nil
	}
	return time.Time{}, failf("--%s is a time like 2026-03-15T05:00 (Korean) or 2026-03-15T05:00:00+09:00, "+
		"or a duration like 30m", flag)
}
