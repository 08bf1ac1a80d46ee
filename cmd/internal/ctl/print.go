package ctl

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"phonebill/core/auth"
	"phonebill/core/auth/mfa"
	"phonebill/core/line"
)

// printer writes rows of columns; the first error is kept for the end.
type printer struct {
	w   *tabwriter.Writer
	err error
}

func (c Console) printer() *printer {
	const gap = 2
	return &printer{w: tabwriter.NewWriter(c.Out, 0, 0, gap, ' ', 0)}
}

func (p *printer) line(cells ...string) {
	_, err := fmt.Fprintln(p.w, strings.Join(cells, "\t"))
	p.err = errors.Join(p.err, err)
}

// factor shows a second factor that its owner has to be handed.
func (p *printer) factor(e mfa.Enrolment) {
	p.line("second factor", e.URI.Reveal())
	for _, code := range e.RecoveryCodes {
		p.line("recovery code", code.Reveal())
	}
}

func (p *printer) done() error { return errors.Join(p.err, p.w.Flush()) }

// stamp is a time as people read it here.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func joined[T any](all []T, show func(T) string) string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = show(v)
	}
	if len(out) == 0 {
		return "-"
	}
	return strings.Join(out, " ")
}

func role(r auth.Role) string { return string(r) }

func grantText(g auth.Grant) string {
	s := string(g.Permission)
	if !g.ExpiresAt.IsZero() {
		s += " until " + stamp(g.ExpiresAt)
	}
	if g.GrantedBy != "" {
		s += " (by " + g.GrantedBy + ")"
	}
	return s
}

// printAccount shows what is personal masked by its own types, or in clear.
func (c Console) printAccount(a auth.Account, clear bool) error {
	name, email, number := a.Name.String(), a.Email.String(), line.Number.String
	if clear {
		name, email, number = a.Name.Reveal(), a.Email.Reveal(), line.Number.Hyphenated
	}
	p := c.printer()
	p.line("user", string(a.UserID))
	p.line("status", string(a.StatusNow(time.Now())))
	p.line("name", name)
	p.line("phone", number(a.Phone))
	p.line("email", email)
	p.line("customer", a.CustomerID)
	p.line("lines", joined(a.Lines, number))
	p.line("roles", joined(a.Roles, role))
	for _, g := range a.Grants {
		p.line("permission", grantText(g))
	}
	p.line("second factor", map[bool]string{true: "yes", false: "no"}[a.SecondFactor])
	if len(a.Unreadable) > 0 {
		p.line("cannot be opened", joined(a.Unreadable, func(part auth.Part) string { return string(part) }))
	}
	p.line("version", fmt.Sprint(a.Version))
	p.line("created", stamp(a.CreatedAt))
	p.line("last login", stamp(a.LastLoginAt))
	return p.done()
}

func (c Console) printAccounts(found []auth.Account, now time.Time, page, size, total int) error {
	p := c.printer()
	p.line("USER", "STATUS", "NAME", "CUSTOMER", "LINES", "ROLES", "LAST LOGIN")
	for _, a := range found {
		p.line(string(a.UserID), string(a.StatusNow(now)), named(a.User), a.CustomerID, joined(a.Lines, line.Number.String),
			joined(a.Roles, role), stamp(a.LastLoginAt))
	}
	p.footer(page, size, total)
	return p.done()
}

// named is the masked name, and what of the account cannot be opened.
func named(u auth.User) string {
	if len(u.Unreadable) == 0 {
		return u.Name.String()
	}
	parts := joined(u.Unreadable, func(p auth.Part) string { return string(p) })
	return strings.TrimSpace(u.Name.String() + " (cannot be opened: " + parts + ")")
}

// printClashes puts the ids of one folded id on one line.
func (c Console) printClashes(found []auth.UserID) error {
	p := c.printer()
	if len(found) == 0 {
		p.line("no two accounts differ in the case of their ids alone")
		return p.done()
	}
	for from := 0; from < len(found); {
		to := from + 1
		for to < len(found) && found[to].Same(found[from]) {
			to++
		}
		p.line(joined(found[from:to], func(u auth.UserID) string { return string(u) }))
		from = to
	}
	return p.done()
}

// footer tells where the page lies. Lists are counted no further than auth.MostCounted.
func (p *printer) footer(page, size, total int) {
	more := ""
	if total >= auth.MostCounted {
		more = " or more"
	}
	p.line(fmt.Sprintf("page %d of %d, %d in all%s", page, (total+size-1)/size, total, more))
}

func (c Console) printLogins(events []auth.LoginEvent, page, size, total int) error {
	p := c.printer()
	p.line("AT", "TYPE", "OUTCOME", "FROM", "SERVICE", "DEVICE")
	for _, e := range events {
		outcome := "ok"
		if !e.Success {
			outcome = e.Reason
		}
		p.line(stamp(e.At), string(e.Type), outcome, e.Client.IP, e.Client.Service, e.Client.UserAgent)
	}
	p.footer(page, size, total)
	return p.done()
}

func (c Console) printSessions(live []auth.Session) error {
	p := c.printer()
	p.line("SESSION", "BEGAN", "LAST SEEN", "ENDS", "FROM", "DEVICE")
	for _, s := range live {
		p.line(s.ID.String(), stamp(s.CreatedAt), stamp(s.LastSeenAt), stamp(s.ExpiresAt), s.Client.IP, s.Client.UserAgent)
	}
	return p.done()
}
