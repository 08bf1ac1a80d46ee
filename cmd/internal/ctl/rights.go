package ctl

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	compose "phonebill/cmd/internal/compose/auth"
	"phonebill/core/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/calendar"
)

func (c Console) grant() *cobra.Command {
	var why, expires string
	cmd := &cobra.Command{
		Use: "grant USER_ID PERMISSION", Short: "Give a permission, for good or until a time",
		Example: `  phonebillctl grant hong-gildong BILL_INQUIRY --reason "applied for the service"
  phonebillctl grant ops-kim USER_ADMIN --expires 2026-12-31 --reason "helps out until the year ends"
  phonebillctl grant ops-kim USER_ADMIN --expires 8h --reason "works tonight"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := auth.ParsePermission(strings.ToUpper(args[1]))
			if err != nil {
				return err
			}
			until, err := parseExpiry(expires, time.Now())
			if err != nil {
				return err
			}
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				changed, err := a.Users.Grant(cmd.Context(), by, auth.UserID(args[0]), p, until, why)
				g, _ := changed.GrantOf(p)
				return c.said(err, "%s has %s\n", args[0], c.lang.grant(g))
			})
		},
	}
	cmd.Flags().StringVar(&expires, "expires", "",
		"a day (to its end in Korea), a time like 2026-12-31T15:00:00Z, or a duration like 8h; left out: for good")
	return reason(cmd, &why)
}

// parseExpiry reads a day, a time or a duration from now; nothing is for good.
func parseExpiry(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if day, err := calendar.ParseDate("expires", s); err == nil {
		return day.AddDays(1).Start(), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(d), nil
	}
	return time.Time{}, failf("--expires is a day like 2026-12-31, a time like 2026-12-31T15:00:00Z or a duration like 8h")
}

func (c Console) revoke() *cobra.Command {
	var why string
	return reason(&cobra.Command{
		Use: "revoke USER_ID PERMISSION", Short: "Take a permission away; takes effect within a second",
		Example: `  phonebillctl revoke ops-kim USER_ADMIN --reason "no longer helps out"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := auth.ParsePermission(strings.ToUpper(args[1]))
			if err != nil {
				return err
			}
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				before, err := a.Users.Show(cmd.Context(), by, auth.UserID(args[0]))
				if err != nil {
					return err
				}
				if _, err = a.Users.Revoke(cmd.Context(), by, auth.UserID(args[0]), p, why); err != nil {
					return err
				}
				if _, held := before.GrantOf(p); !held {
					return c.said(nil, "%s had no grant of %s: nothing was revoked\n", args[0], p)
				}
				return c.said(nil, "%s no longer has its grant of %s\n", args[0], p)
			})
		},
	}, &why)
}

func (c Console) sessions() *cobra.Command {
	cmd := &cobra.Command{Use: "sessions", Short: "List and end the sessions of an account"}
	list := &cobra.Command{
		Use: "list USER_ID", Short: "List the live sessions, newest first",
		Example: "  phonebillctl sessions list hong-gildong",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				live, err := a.Users.ListSessions(cmd.Context(), by, auth.UserID(args[0]))
				if err != nil {
					return err
				}
				return c.printSessions(live)
			})
		},
	}
	var why string
	end := reason(&cobra.Command{
		Use: "end USER_ID", SuggestFor: []string{"revoke", "kill", "delete", "stop"},
		Short:   "End all sessions, within a second everywhere",
		Example: `  phonebillctl sessions end hong-gildong --reason "device reported lost"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				n, err := a.Users.EndSessions(cmd.Context(), by, auth.UserID(args[0]), why)
				return c.said(err, "%d sessions ended\n", n)
			})
		},
	}, &why)
	cmd.AddCommand(list, end)
	return cmd
}
