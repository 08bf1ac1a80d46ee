package ctl

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	compose "phonebill/cmd/internal/compose/auth"
	"phonebill/core/audit/trail"
	"phonebill/core/auth/admin"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/staff/cases"
	"phonebill/core/timeline"
	"phonebill/ports"
)

const timelineHelp = `Show what happened to one inquiry or plan change, and why, oldest event first.

The instances of the services are asked as "ops" does, with the same variables; who looked is recorded in the
audit log. docs/operations.md says what the codes mean.`

func (c Console) timeline() *cobra.Command {
	return &cobra.Command{
		Use: "timeline REQUEST_ID", Short: "Show what happened to one inquiry or plan change, and why", Long: timelineHelp,
		Example: "  phonebillctl timeline 01936d6e-6b7a-7c3e-9a55-0f5f6f0a1b2c",
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := id.Parse(args[0])
			if err != nil {
				return fault.InvalidField("request id", "올바른 UUID 형식이어야 합니다").Because(err)
			}
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				s, err := c.timelines(a.Audit)
				if err != nil {
					return err
				}
				found, err := s.Timeline(cmd.Context(), trail.By{Name: by.Name, Roles: by.Roles}, request)
				if err != nil {
					return err
				}
				return c.printTimeline(found)
			})
		},
	}
}

func (c Console) timelines(log ports.AuditLog) (*cases.Timelines, error) {
	staff, err := c.staff(log)
	if err != nil {
		return nil, err
	}
	return staff.Timelines(), nil
}

func (c Console) printTimeline(t timeline.Combined) error {
	p := c.printer()
	p.row("kind", string(t.Kind))
	p.row("line", t.Line)
	p.row("status", t.Status)
	p.row("next", stamp(t.NextAt))
	for _, g := range t.Missing {
		p.row("missing", string(g))
	}
	for _, s := range t.Unreachable {
		p.row("unreachable", s)
	}
	p.line()
	p.head("AT", "SOURCE", "WHAT", "FACTS", "TEXT")
	for _, e := range t.Events {
		p.line(e.At.UTC().Format("2006-01-02 15:04:05.000Z"), string(e.Source), string(e.Type),
			factsText(e.Facts), c.lang.event(e))
	}
	return p.done()
}

// event is an event's text, which the services give in Korean. In English it is that of its code.
func (l lang) event(e timeline.Event) string {
	if l == hangul {
		return e.Text
	}
	if t, ok := englishEvents[e.Type]; ok {
		return t
	}
	return string(e.Type)
}

func factsText(facts map[string]string) string {
	if len(facts) == 0 {
		return "-"
	}
	var all []string
	for _, k := range slices.Sorted(maps.Keys(facts)) {
		all = append(all, k+"="+strings.Join(strings.Fields(facts[k]), " ")) // a reason may have lines
	}
	return strings.Join(all, " ")
}
