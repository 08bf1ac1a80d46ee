package ctl

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"phonebill/cmd/internal/compose"
	"phonebill/core/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/calendar"
)

func (c Console) grant() *cobra.Command {
	var why, expires string
	cmd := &cobra.Command{
		Use: "grant USER_ID PERMISSION", Short: "Give a permission, for good or until a time", Args: cobra.ExactArgs(2),
		Example: `  phonebillctl grant hong-gildong BILL_INQUIRY --reason "서비스 신청"
  phonebillctl grant ops-kim USER_ADMIN --expires 2026-12-31 --reason "연말 지원"
  phonebillctl grant ops-kim USER_ADMIN --expires 8h --reason "야간 작업"`,
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
				return c.said(err, "%s has %s\n", args[0], grantText(g))
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
	return time.Time{}, errors.New("--expires is a day like 2026-12-31, a time like 2026-12-31T15:00:00Z or a duration like 8h")
}

func (c Console) revoke() *cobra.Command {
	var why string
	return reason(&cobra.Command{
		Use: "revoke USER_ID PERMISSION", Short: "Take a permission away; takes effect within a second", Args: cobra.ExactArgs(2),
		Example: `  phonebillctl revoke ops-kim USER_ADMIN --reason "지원 종료"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := auth.ParsePermission(strings.ToUpper(args[1]))
			if err != nil {
				return err
			}
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				_, err := a.Users.Revoke(cmd.Context(), by, auth.UserID(args[0]), p, why)
				return c.said(err, "%s has no grant of %s\n", args[0], p)
			})
		},
	}, &why)
}

func (c Console) sessions() *cobra.Command {
	cmd := &cobra.Command{Use: "sessions", Short: "List and end the sessions of an account"}
	list := &cobra.Command{
		Use: "list USER_ID", Short: "List the live sessions, newest first", Args: cobra.ExactArgs(1),
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
		Use: "end USER_ID", Short: "End all sessions, within a second everywhere", Args: cobra.ExactArgs(1),
		Example: `  phonebillctl sessions end hong-gildong --reason "단말 분실 신고"`,
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
